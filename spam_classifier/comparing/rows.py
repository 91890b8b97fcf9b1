"""The rows of a table of experiments: a folder of configs of ``fit``, one row a file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spam_classifier.errors import UserError
from spam_classifier.models.pretrained import RANDOM, resolve_shape

FEWEST_LAYERS = 2  # so that a block is left to freeze
SIZES = ("layers", "width", "heads", "context")


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: The name of its file, as in ``03_head_only``.
        config: The file; None for a row that needs no run.
    """

    name: str
    config: Path | None

    @property
    def number(self) -> str:
        """What the name begins with, as in ``03``; "" where it has no number."""
        found = re.match(r"(\d+)_", self.name)
        return found[1] if found else ""

    @property
    def what(self) -> str:
        """What it tries, in words."""
        return self.name.removeprefix(f"{self.number}_").replace("_", " ")

    def settings(self) -> dict[str, Any]:
        """What its config says.

        Raises:
            UserError: It is no config.
        """
        assert self.config is not None
        try:
            settings = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{self.config} is not YAML: {error}") from error
        if not isinstance(settings, dict):
            raise UserError(f"{self.config} holds no settings; for none, as in the book's recipe, write {{}}")
        return settings


def read_rows(configs: Path) -> list[Row]:
    """The rows that a folder of configs makes, in the order of its listing.

    Raises:
        UserError: There is no such folder, or no config in it.
    """
    rows = [Row(path.stem, path) for path in sorted(configs.glob("*.yaml"))]
    if not rows:
        raise UserError(
            f"--configs {configs}: no .yaml file there; name a folder of configs of fit (configs/experiments of the "
            "project's checkout has the book's table)"
        )
    return rows


def choose_rows(rows: Sequence[Row], asked: Sequence[str]) -> list[Row]:
    """The rows that are asked for, in their own order; all where none is.

    Args:
        rows: All rows.
        asked: Numbers (``3`` or ``03``) or names (``03_head_only``).

    Raises:
        UserError: One of them is no row.
    """
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
    """Flags that make a row's backbone smaller, with random weights: fewer layers and heads, each head as wide.

    Args:
        row: The row; the sizes are those of its weights, unless its config gives others.
        divisor: Layers (at least 2 are left) and heads (at least 1) are divided by it.

    Raises:
        UserError: The config's weights or sizes do not exist.
    """
    model = row.settings().get("model")
    model = model if isinstance(model, dict) else {}  # else fit says what is wrong
    shape = resolve_shape(model.get("weights", "gpt2"), **{name: model.get(name) for name in SIZES})
    heads = max(1, shape.heads // divisor)
    layers = max(min(FEWEST_LAYERS, shape.layers), shape.layers // divisor)
    sizes = (layers, shape.width // shape.heads * heads, heads, shape.context)
    return [f"--model.weights={RANDOM}", *(f"--model.{name}={size}" for name, size in zip(SIZES, sizes, strict=True))]
