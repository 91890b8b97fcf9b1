"""The parser of ``train``: Lightning's, with plain errors, our settings first, and those of a run that goes on."""

import argparse
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Any, NoReturn, get_args

import lightning.pytorch as pl
import yaml
from jsonargparse import ActionConfigFile
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from typing_extensions import override

from spam_classifier import hints
from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.errors import UserError, did_you_mean, refuse_usage
from spam_classifier.models.gpt2_classifier import SIZES
from spam_classifier.runs.check import read_checkpoint
from spam_classifier.runs.find import LAST_CHECKPOINT, find_checkpoint, read_settings, run_directory
from spam_classifier.training.module import SpamClassifier
from spam_classifier.training.refusals import refuse_unused
from spam_classifier.training.typed import CONFIG, SHORT, typed_flags

FIT = "fit"
SEED = 123
TRAINER_DEFAULTS = {"max_epochs": 5, "log_every_n_steps": 10, "enable_model_summary": False}
NOT_VALID = re.compile(r'Parser key "(?P<key>[\w.]+)":.*(?:Got value|Given value): (?P<value>.*)$', re.DOTALL)
EXPECTED = re.compile(r"Expected an? (?:<class '(?:[\w.]+\.)?(\w+)'>|typing\.Literal\[(.+?)\]|(dot import path))")
PLAIN = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text", "NoneType": "null"}
PLAIN |= {"Iterable": "a list", "dot import path": "an importable name"}
NOT_KNOWN = re.compile(
    r"unrecognized arguments: (?P<flag>\S+)|does not accept option '(?P<key>\S+)'|Key '(?P<other>\S+)' is not expected"
)


class OneLineParser(LightningArgumentParser):
    """Lightning's parser with one-line errors; it does not guess flags from their first letters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    @override
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        refuse_usage(f"{self._explained(message)} (see --help)")

    def _explained(self, message: str) -> str:
        """The message without Python's types, and with what may have been meant."""
        if found := NOT_KNOWN.search(message):
            name = found["flag"] or found["key"] or found["other"]
            meant = did_you_mean(name.partition("=")[0], self._names(dashes=bool(found["flag"])))
            return f"{message if found['flag'] else f'a config sets {name}, but there is no such setting'}{meant}"
        found = NOT_VALID.search(message)
        if not found or not EXPECTED.search(message):
            return message
        key, value = found["key"], " ".join(found["value"].split())
        kinds = [
            PLAIN.get(kind or path, kind) or f"one of {choices.replace(chr(39), '')}"
            for kind, choices, path in EXPECTED.findall(message)
        ]
        typed = any(re.match(rf"--{re.escape(key)}\+?(=|$)", word) for word in sys.argv)
        quoted = ' (quote labels: \'["yes", "1"]\')' if key == "data.labels" else ""
        place = f"--{key} {value}" if typed else f"{key}: {value} in a config"
        return f"{place}: give {' or '.join(dict.fromkeys(kinds))}{quoted}"

    def _names(self, *, dashes: bool) -> list[str]:
        nested = (action for action in self._actions if isinstance(action, argparse._SubParsersAction))
        parsers = [self, *(parser for action in nested for parser in action._name_parser_map.values())]
        names = dict.fromkeys(one.dest for parser in parsers for one in parser._actions if hasattr(one, "_typehint"))
        return [*SHORT, CONFIG, *(f"--{name}" for name in names)] if dashes else [*names]


def add_settings(parser: LightningArgumentParser) -> None:
    """Add the settings of a run: those of the model and of the data before the Trainer's."""
    parser.add_argument("--seed_everything", type=bool | int, default=SEED)
    parser.add_lightning_class_args(SpamClassifier, "model")
    parser.add_lightning_class_args(SpamDataModule, "data")
    parser.add_lightning_class_args(pl.Trainer, "trainer")
    parser.set_defaults({f"trainer.{name}": value for name, value in TRAINER_DEFAULTS.items()})
    for action in parser._actions:
        # typing caches unions whatever their order: where another package wrote float | int first, one batch
        # (--trainer.limit_test_batches 1) would become 1.0, which means all; before a text, or 0.25 would be one
        parts = get_args(getattr(action, "_typehint", None))
        if int in parts and float in parts:
            vars(action)["_typehint"] = reduce(or_, sorted(parts, key=lambda part: {int: 0, float: 1}.get(part, 2)))


@cache
def settings_parser() -> OneLineParser:
    """A parser of the configs and flags of ``fit``, without the subcommand."""
    parser = OneLineParser()
    parser.add_argument("-c", "--config", action=ActionConfigFile)
    add_settings(parser)
    parser.add_method_arguments(pl.Trainer, "fit", skip={*LightningCLI.subcommands()["fit"]})
    return parser


def settings_of(flags: Sequence[str], *, defaults: bool = False) -> dict[str, Any]:
    """The settings that flags of ``fit`` give, as a config has them, all others too with ``defaults``."""
    parser = settings_parser()
    given = parser.parse_args(list(flags), defaults=defaults)
    given.pop("config", None)
    return yaml.safe_load(parser.dump(given, skip_validation=True, skip_none=False)) or {}


def check_settings(
    configs: Sequence[Mapping[str, Any]], flags: Sequence[str], typed: Collection[str] | None = None
) -> None:
    """Refuse what ``fit`` would refuse before its training: a setting, a flag without effect, a path of no corpus.

    Later configs override earlier ones, and flags override them all. ``typed`` are names of flags that must have an
    effect, by default those of ``flags``.
    """
    words = [word for config in configs for word in ("--config", yaml.safe_dump(dict(config), allow_unicode=True))]
    settings = settings_parser().parse_args([*words, *flags]).as_dict()
    refuse_unused(typed_flags(flags) if typed is None else typed, settings)
    SpamDataModule(**settings["data"]).check_sources()
    SpamClassifier(**settings["model"])


@dataclass(frozen=True)
class ResumedRun:
    """A run that a command resumes or ``evaluates``, with the step and the hyper-parameters of the checkpoint."""

    directory: Path
    step: int
    hyper_parameters: dict[str, Any]
    evaluates: bool


def with_run_settings(words: list[str]) -> tuple[list[str], ResumedRun | None]:
    """Expand a command line that resumes or evaluates a run, so that it builds the run's model and data again.

    Lightning restores a model's hyper-parameters from a checkpoint, over what the command line says, and nothing of
    the data's. Here the run's settings are the first config: its ``config.yaml``, and what only its checkpoint knows
    (the backbone's sizes, the label names and the maximum length). So the user's configs and flags win. For ``fit``
    without ``--ckpt_path`` and for ``--print_config`` the words stay as they are, and there is no run.
    """
    subcommand, *others = words
    resumes = subcommand == FIT
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--ckpt_path")
    own.add_argument("--trainer.default_root_dir", dest="root", default=".")
    flags, _ = own.parse_known_args(others)
    which = None if flags.ckpt_path == "null" else flags.ckpt_path
    if any(word.startswith("--print_config") for word in others) or (resumes and which is None):
        return words, None

    checkpoint = find_checkpoint(which, Path(flags.root), of_run="last" if resumes else "best")
    contents = read_checkpoint(checkpoint)
    hyper_parameters = contents["hyper_parameters"]
    if resumes and "optimizer_states" not in contents:
        last = checkpoint.with_name(LAST_CHECKPOINT)
        raise UserError(
            f"{checkpoint} keeps no state of the optimizer, training can't be resumed from it: use "
            f"--ckpt_path {hints.quoted(str(last))}, or last"
        )
    directory = run_directory(checkpoint)
    settings = read_settings(directory)
    model, data = (settings.setdefault(name, {}) for name in ("model", "data"))
    model |= {name: hyper_parameters[name] for name in SIZES}
    data |= {"labels": hyper_parameters["label_names"], "max_length": hyper_parameters["max_length"]}
    config = yaml.safe_dump(settings, allow_unicode=True)
    expanded = [subcommand, "--config", config, *others, f"--ckpt_path={checkpoint}"]
    return expanded, ResumedRun(directory, contents["global_step"], hyper_parameters, evaluates=not resumes)
