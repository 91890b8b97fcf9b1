"""``fit --help`` is read from the sources: it says what the parser knows."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import lightning.pytorch as pl
import pytest

from spam_classifier import SpamClassifier, SpamDataModule, hints
from spam_classifier.training.help import CLASSES, GENERAL, RUN, TRAINER, argument_texts, flags_of
from spam_classifier.training.parser import settings_parser
from spam_classifier.training.typed import SHORT


def choices_of(kind: Any) -> list[Any]:
    """The values that a type lists."""
    if get_origin(kind) is Literal:
        return [*get_args(kind)]
    return [value for part in get_args(kind) for value in choices_of(part)]


TYPES = {action.dest: action._typehint for action in settings_parser()._actions if hasattr(action, "_typehint")}


@pytest.mark.parametrize(("group", "own"), [("model", SpamClassifier), ("data", SpamDataModule)])
def test_flags_of_a_class_are_those_of_the_parser(group: str, own: type) -> None:
    flags = {flag.name: flag for flag in flags_of(*CLASSES[group])}
    parameters = inspect.signature(own).parameters
    assert {name: flag.default for name, flag in flags.items()} == {
        name: parameter.default for name, parameter in parameters.items()
    }
    for name, flag in flags.items():
        assert len(flag.text) > 10
        assert "`" not in flag.text
        choices = choices_of(TYPES[f"{group}.{name}"])
        assert all(choice in flag.text for choice in choices)
        assert ("NAME" in flag.values) == bool(choices)


def test_flags_of_the_trainer_are_its_arguments() -> None:
    arguments = inspect.signature(pl.Trainer).parameters
    assert {name.removesuffix("+") for name in TRAINER} <= set(arguments)
    assert {name.removeprefix("--trainer.") for name in SHORT.values()} <= set(arguments)
    assert set(GENERAL) - set(SHORT) == {"--config", "--ckpt_path", "--seed_everything", "--print_config"}


@pytest.mark.parametrize("subcommand", hints.OF_TRAIN)
def test_our_flags_come_first_and_types_are_plain(train: Callable, subcommand: str) -> None:
    done = train(subcommand, "--help")
    assert done.code == 0
    places = [done.out.index(f"{part}:\n") for part in ("run", "model", "data", "trainer (most used)")]
    assert places == sorted(places)
    assert " ".join(RUN.get(subcommand, RUN["validate"]).split()) in " ".join(done.out.split())
    for foreign in ("typing", "Literal", ":param", "class_path", "lightning.pytorch", "``"):
        assert foreign not in done.out


def test_help_without_a_subcommand_lists_them(train: Callable) -> None:
    said = train("--help").out
    assert all(f"{hints.program(name)} [options]" in said for name in hints.OF_TRAIN)


def test_texts_of_arguments() -> None:
    assert argument_texts(
        "Do.\n\nArgs:\n    one: First ``x``,\n        again.\n    two: Second.\n\nRaises:\n    E: no."
    ) == {
        "one": "First x, again.",
        "two": "Second.",
    }
