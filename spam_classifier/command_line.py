"""The argparse parser of the light commands, and the flags that several of them share."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import override

from spam_classifier import hints
from spam_classifier.errors import did_you_mean, refuse_usage

OTHER_NAMES = {"--device": "--accelerator", "--cuda": "--accelerator gpu", "--gpu": "--accelerator gpu"}
NO_NUMBER = re.compile(r"argument (?P<flag>\S+): invalid (?P<kind>int|float) value: '(?P<value>.*)'")
OF_FIT = re.compile(r"--(data|model|trainer)\.|--seed_everything\b")


class CommandLine(argparse.ArgumentParser):
    """A parser that reports a mistake in one line, and does not guess flags from their first letters.

    With ``flags_of_fit``, flags of ``fit`` may follow after ``--``. Texts may hold ``%(prog)s``.
    """

    def __init__(self, command: str = "", *, flags_of_fit: bool = False, **options: Any) -> None:
        options.setdefault("prog", hints.program(command))
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        self.flags_of_fit = flags_of_fit

    @override
    def error(self, message: str) -> NoReturn:
        if unknown := message.removeprefix("unrecognized arguments: ").split() if "unrecognized" in message else []:
            message = f"unrecognized arguments: {' '.join(unknown)}{self._meant(unknown)}"
        if found := NO_NUMBER.match(message):
            number = "a whole number" if found["kind"] == "int" else "a number"
            message = f"{found['flag']} {found['value']}: give {number}"
        refuse_usage(f"{message} (see --help)")

    def _meant(self, unknown: list[str]) -> str:
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        if self.flags_of_fit and any(OF_FIT.match(flag) for flag in flags):
            return f"; flags of fit follow after --, as in {self.prog} -- {' '.join(unknown)}"
        if flags and flags[0] in OTHER_NAMES:
            return f"; did you mean {OTHER_NAMES[flags[0]]}?"
        if not flags:
            return "; a run is named by --ckpt_path" if "--ckpt_path" in self._option_string_actions else ""
        return did_you_mean(flags[0], self._flags())

    def _flags(self) -> Iterator[str]:
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    yield from parser._option_string_actions


def add_root_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag for where runs are."""
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="directory that holds lightning_logs (default: .)"
    )


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that ``runs.find.find_checkpoint`` reads."""
    parser.add_argument(
        "--ckpt_path",
        metavar="RUN",
        help="a run directory, a checkpoint, or best or last of the newest run (default: best)",
    )
    add_root_flag(parser)


def add_accelerator_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag for where to compute, with Lightning's names."""
    parser.add_argument(
        "--accelerator",
        default="auto",
        metavar="NAME",
        help="cpu, gpu, cuda or mps (default: auto, a GPU if there is one)",
    )


def add_classifier_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for a run, and how it labels."""
    add_run_flags(parser)
    add_accelerator_flag(parser)
    add_windows_flag(parser)
    parser.add_argument(
        "--precision",
        default="32-true",
        choices=["32-true", "bf16-mixed"],
        help="bf16-mixed is faster on GPUs, and on CPUs with AMX or AVX-512 BF16, and changes probabilities a little "
        "(default: 32-true)",
    )


def add_windows_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag for how long texts are judged."""
    parser.add_argument(
        "--windows",
        type=int,
        metavar="N",
        help="judge a text that is longer than the model reads by the worst of its windows of N tokens: nothing hides "
        "behind the cut (default: cut it)",
    )


def flags_behind_dashes(words: list[str]) -> tuple[list[str], list[str]]:
    """Split a command line at the first ``--``: the command's own words, and the flags of ``fit``."""
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def parse_with_flags_of_fit(parser: argparse.ArgumentParser, words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """A command's own words parsed; and the flags of ``fit``, those for the device and those behind ``--``."""
    own, flags = flags_behind_dashes(words)
    parser.add_argument("--accelerator", metavar="NAME", help="cpu, gpu, cuda or mps (default: as in the settings)")
    parser.add_argument("--devices", metavar="N", help="how many GPUs, or processes on CPUs (default: likewise)")
    arguments = parser.parse_args(own)
    given = {"accelerator": arguments.accelerator, "devices": arguments.devices}
    return arguments, [*(f"--trainer.{name}={value}" for name, value in given.items() if value is not None), *flags]
