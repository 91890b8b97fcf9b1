"""The words of a command line of ``train``, made into those that Lightning's parser takes.

Nothing heavy is imported, so that mistakes found here are reported at once.
"""

from collections.abc import Sequence

from spam_classifier import hints
from spam_classifier.errors import UserError, did_you_mean, refuse_usage
from spam_classifier.find_config import find_config

SHORT = {
    "--root": "--trainer.default_root_dir",
    "--accelerator": "--trainer.accelerator",
    "--devices": "--trainer.devices",
}
CONFIG = "--config"
WITH_VALUE = {*SHORT, *SHORT.values(), CONFIG, "-c", "--ckpt_path"}  # the flags that matter here


def asks_for_help(words: Sequence[str]) -> bool:
    """Whether a command line asks for help with all flags; ``--trainer.callbacks.help`` is jsonargparse's own."""
    return any(word in ("-h", "--help") or word.startswith("--help=") for word in words)


def refuse_other_subcommands(words: Sequence[str]) -> None:
    """End the command unless it starts with fit, validate or test."""
    first = words[0] if words else ""
    if first == "predict":
        raise UserError(
            f"train has no predict: classify texts and files with {hints.program('predict')}; train test writes the "
            "test split's predictions to predictions/test.csv in the run directory"
        )
    if first not in hints.OF_TRAIN:
        meant = did_you_mean(first, hints.OF_TRAIN)
        refuse_usage(f"name fit, validate or test first, as in {hints.program('fit')}{meant} (see --help)")


def for_lightning(words: Sequence[str]) -> list[str]:
    """The command line with ``--config`` before all other flags, so that flags win wherever they are typed.

    Configs are found by name, and short flags are replaced by the Trainer's. Doing it twice changes nothing: Lightning
    launches further processes with these words.
    """
    subcommand, *rest = words
    configs, others = [], []
    waiting = iter(rest)
    for word in waiting:
        flag, equals, value = word.partition("=")
        if flag not in WITH_VALUE:
            others.append(word)
            continue
        if not equals and not (value := next(waiting, "")):
            refuse_usage(f"{flag} needs a value (see --help)")
        if flag in (CONFIG, "-c"):
            configs += [CONFIG, value if _is_yaml(value) else str(find_config(value))]
        else:
            others.append(f"{SHORT.get(flag, flag)}={value}")
    return [subcommand, *configs, *others]


def _is_yaml(value: str) -> bool:
    """Whether the value of ``--config`` is settings rather than a name, as in ``{model: {dropout: 0.1}}``."""
    return "\n" in value or value.lstrip().startswith("{")


def typed_flags(words: Sequence[str]) -> set[str]:
    """The names of the flags on a command line, as in ``data.corpus``."""
    flags = (word.partition("=")[0] for word in words if word.startswith("--"))
    return {SHORT.get(flag, flag).removeprefix("--").removesuffix("+") for flag in flags}
