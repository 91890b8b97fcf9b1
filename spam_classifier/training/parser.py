"""The parser of ``train``: Lightning's, with the project's settings first and errors that a user can read."""

import argparse
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

import lightning.pytorch as pl
import yaml
from jsonargparse import ActionConfigFile
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from typing_extensions import override

from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.errors import did_you_mean, refuse_usage
from spam_classifier.training.module import SpamClassifier
from spam_classifier.training.typed import CONFIG, SHORT, typed_flags
from spam_classifier.training.unused_flags import refuse_unused

SEED = 123
TRAINER_DEFAULTS = {"max_epochs": 5, "log_every_n_steps": 10, "enable_model_summary": False}
PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", NoneType: "null"}
NOT_VALID = re.compile(r'Parser key "(?P<key>[\w.]+)":.*(?:Got value|Given value): (?P<value>.*)$', re.DOTALL)
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
        types = {action.dest: action._typehint for action in self._typed_actions() if found}
        if not found or found["key"] not in types:
            return message
        key, value, kind = found["key"], " ".join(found["value"].split()), types[found["key"]]
        typed = any(re.match(rf"--{re.escape(key)}\+?(=|$)", word) for word in sys.argv)
        choices = [str(choice) for choice in choices_of(kind)]
        remedy = ' (quote labels: \'["yes", "1"]\')' if key == "data.labels" else ""
        return (
            f"{f'--{key} {value}' if typed else f'{key}: {value} in a config'}: give {plainly(kind)}"
            f"{did_you_mean(value, choices)}{remedy}"
        )

    def _typed_actions(self) -> Iterator[Any]:
        nested = (action for action in self._actions if isinstance(action, argparse._SubParsersAction))
        for parser in (self, *(parser for action in nested for parser in action._name_parser_map.values())):
            yield from (action for action in parser._actions if hasattr(action, "_typehint"))

    def _names(self, *, dashes: bool) -> list[str]:
        names = dict.fromkeys(action.dest for action in self._typed_actions())
        return [*SHORT, CONFIG, *(f"--{name}" for name in names)] if dashes else [*names]


def choices_of(kind: Any) -> list[Any]:
    """The values that a type lists."""
    if get_origin(kind) is Literal:
        return [*get_args(kind)]
    if get_origin(kind) in (Union, UnionType):
        return [value for part in get_args(kind) for value in choices_of(part)]
    return []


def plainly(kind: Any) -> str:
    """A type in words: ``one of head, tail, both``, ``a whole number or null``."""
    choices = list(dict.fromkeys(map(str, choices_of(kind))))
    parts = [*get_args(kind)] if get_origin(kind) in (Union, UnionType) else [kind]
    words = []
    for part in parts:
        if get_origin(part) is list:
            words.append("a list")
        elif get_origin(part) is not Literal:
            words.append(PLAIN.get(part, f"a {getattr(part, '__name__', part)}"))
    if choices:
        words.insert(0, f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0])
    return " or ".join(dict.fromkeys(words))


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
    """The settings that flags of ``fit`` give, as a config has them; ends the command if a flag is wrong.

    Args:
        flags: The flags.
        defaults: Whether to give all other settings, too.
    """
    parser = settings_parser()
    given = parser.parse_args(list(flags), defaults=defaults)
    given.pop("config", None)
    return yaml.safe_load(parser.dump(given, skip_validation=True, skip_none=False)) or {}


def check_settings(
    configs: Sequence[Mapping[str, Any]], flags: Sequence[str], typed: Collection[str] | None = None
) -> None:
    """Refuse what ``fit`` would refuse before its training: a setting, a flag without effect, a path of no corpus.

    Args:
        configs: Settings, later ones override earlier ones.
        flags: Flags of ``fit``, which override them.
        typed: Names of flags that have to have an effect; default: those of ``flags``.
    """
    words = [word for config in configs for word in ("--config", yaml.safe_dump(dict(config), allow_unicode=True))]
    settings = settings_parser().parse_args([*words, *flags]).as_dict()
    refuse_unused(typed_flags(flags) if typed is None else typed, settings)
    SpamDataModule(**settings["data"]).check_sources()
    SpamClassifier(**settings["model"])
