"""The words of a command line of ``train``, made into those that Lightning's parser takes.

Nothing heavy is imported, so that mistakes found here are reported at once.
"""

from collections.abc import Iterator, Sequence

from spam_classifier import hints
from spam_classifier.errors import UserError, did_you_mean, refuse_usage
from spam_classifier.find_config import find_config

SHORT = {
    "--root": "--trainer.default_root_dir",
    "--accelerator": "--trainer.accelerator",
    "--devices": "--trainer.devices",
}
CONFIG = "--config"


def asks_for_help(words: Sequence[str]) -> bool:
    """Whether a command line asks for help with all flags; ``--trainer.callbacks.help`` is jsonargparse's own."""
    return any(word in ("-h", "--help") or word.startswith("--help=") for word in words)


def refuse_other_subcommands(words: Sequence[str]) -> None:
    """End the command unless it starts with fit, validate or test."""
    fit = hints.program("fit")
    first = words[0] if words else ""
    if first == "predict":
        raise UserError(
            f"train has no predict: classify texts and files with {hints.program('predict')}; train test writes the "
            "test split's predictions to predictions/test.csv in the run directory"
        )
    if first.startswith("-") or not first:
        later = any(word in hints.OF_TRAIN for word in words)
        refuse_usage(f"name fit, validate or test {'before its flags' if later else 'first'}, as in {fit} (see --help)")
    if first not in hints.OF_TRAIN:
        meant = did_you_mean(first, hints.OF_TRAIN) or ": name fit, validate or test"
        refuse_usage(f"train has no {first!r}{meant} (see --help)")


def for_lightning(words: Sequence[str]) -> list[str]:
    """The command line with ``--config`` before all other flags, so that flags win wherever they are typed.

    Configs are found by name, and short flags are replaced by the Trainer's. Doing it twice changes nothing: Lightning
    launches further processes with these words.

    Raises:
        UserError: A short flag and the Trainer's contradict each other, or there is no such config.
    """
    subcommand, *rest = words
    configs, others = [], []
    values: dict[str, tuple[str, str]] = {}  # by the Trainer's flag: the flag as typed, and its value
    for flag, value in _pairs(rest):
        if value is None:
            others.append(flag)
            continue
        if flag in (CONFIG, "-c"):
            configs += [CONFIG, value if _is_yaml(value) else str(find_config(value))]
            continue
        name = SHORT.get(flag, flag)
        if name in SHORT.values():
            typed, before = values.setdefault(name, (flag, value))
            if typed != flag and before != value:
                raise UserError(f"{typed} {before} and {flag} {value} mean the same setting: leave one of them out")
        others.append(f"{name}={value}")
    return [subcommand, *configs, *others]


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Flags with their values, and other words with None; values only of the flags that matter here."""
    matter = {*SHORT, *SHORT.values(), CONFIG, "-c", "--ckpt_path"}
    waiting = iter(words)
    for word in waiting:
        flag, equals, value = word.partition("=")
        if flag not in matter:
            yield word, None
        elif equals:
            yield flag, value
        elif (following := next(waiting, None)) is not None:
            yield flag, following
        else:
            refuse_usage(f"{flag} needs a value (see --help)")


def _is_yaml(value: str) -> bool:
    """Whether the value of ``--config`` is settings rather than a name, as in ``{model: {dropout: 0.1}}``."""
    return "\n" in value or value.lstrip().startswith("{")


def typed_flags(words: Sequence[str]) -> set[str]:
    """The names of the flags on a command line, as in ``data.corpus``."""
    flags = (word.partition("=")[0] for word in words if word.startswith("--"))
    return {SHORT.get(flag, flag).removeprefix("--").removesuffix("+") for flag in flags}
