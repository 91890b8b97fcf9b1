"""The rows of a table of experiments: configs of ``fit``, one row a file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2_classifier import SIZES
from spam_classifier.models.pretrained import RANDOM, resolve_shape

# Published for the book's table, accuracies in per cent, by the names of our rows: the README of
# ch06/02_bonus_additional-experiments in https://github.com/rasbt/LLMs-from-scratch, pretrained GPT-2 on an A100.
# A row without a run can have no effect; ``remark`` says why.
PUBLISHED = pd.read_csv(Path(__file__).with_name("published.csv"), index_col="name").fillna({"remark": ""})
FEWEST_LAYERS = 2  # so that a block is left to freeze


@dataclass(frozen=True)
class Row:
    """One row of the table, as ``03_head_only`` with its file."""

    name: str
    config: Path | None  # None for a row that needs no run
    in_folder: bool = True  # of --configs; False for a file that is named itself

    @property
    def number(self) -> str:
        """The digits that the name starts with, as in ``03``; "" without any."""
        found = re.match(r"(\d+)_", self.name)
        return found[1] if found else ""

    @property
    def what(self) -> str:
        """The name in words, without the number."""
        return self.name.removeprefix(f"{self.number}_").replace("_", " ")

    def settings(self) -> dict[str, Any]:
        """The settings in its config."""
        assert self.config is not None
        try:
            settings = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{self.config} is not YAML: {error}") from error
        if not isinstance(settings, dict):
            raise UserError(f"{self.config} holds no settings; for the book's recipe, without changes, write {{}}")
        return settings


def read_rows(configs: Sequence[Path]) -> list[Row]:
    """The rows of folders, in the order of their listing, and of single files."""
    rows: list[Row] = []
    for path in configs:
        if path.is_file():
            rows.append(Row(path.stem, path, in_folder=False))
            continue
        found: dict[str, Path | None] = {config.stem: config for config in path.glob("*.yaml")}
        if not found:
            raise UserError(f"--configs {path}: no .yaml file there; name configs of fit, or a folder of them")
        if not found.keys().isdisjoint(PUBLISHED.index):
            found |= dict.fromkeys(PUBLISHED.index[~PUBLISHED["has_run"]])
        rows += [Row(name, found[name]) for name in sorted(found)]
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        raise UserError(f"two configs have the same name: {', '.join(names)}; name each once")
    return rows


def choose_rows(rows: Sequence[Row], asked: Sequence[str]) -> list[Row]:
    """The rows that are asked for by number (``3`` or ``03``) or name, in the order of the table; all if none is."""
    chosen = set()
    for word in asked:
        wanted = Path(word).stem if word.endswith(".yaml") else word
        number = int(wanted) if wanted.isdecimal() else None
        found = {row for row in rows if row.name == wanted or (row.number and int(row.number) == number)}
        if not found:
            raise UserError(f"there is no row {word}: the rows are {', '.join(row.name for row in rows)}")
        chosen |= found
    return [row for row in rows if row in chosen or not asked]


def shrunken(row: Row, divisor: int) -> list[str]:
    """Flags for a smaller backbone with random weights: layers and heads are divided, each head stays as wide."""
    model = row.settings().get("model")
    model = model if isinstance(model, dict) else {}  # fit will say what is wrong
    shape = resolve_shape(model.get("weights", "gpt2"), **{name: model.get(name) for name in SIZES})
    heads = max(1, shape.heads // divisor)
    layers = max(min(FEWEST_LAYERS, shape.layers), shape.layers // divisor)
    sizes = (layers, shape.width // shape.heads * heads, heads, shape.context)
    return [f"--model.weights={RANDOM}", *(f"--model.{name}={size}" for name, size in zip(SIZES, sizes, strict=True))]
