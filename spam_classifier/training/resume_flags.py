"""A run's own settings, put before the flags of a command that resumes or evaluates it."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spam_classifier import hints
from spam_classifier.errors import UserError
from spam_classifier.models.gpt2_classifier import SIZES
from spam_classifier.runs.check import read_checkpoint
from spam_classifier.runs.find import LAST_CHECKPOINT, find_checkpoint, read_settings, run_directory

FIT = "fit"


@dataclass(frozen=True)
class ResumedRun:
    """A run that a command resumes or evaluates.

    Attributes:
        directory: The run directory.
        step: Optimizer steps of the checkpoint.
        hyper_parameters: Those in the checkpoint.
        evaluates: Whether the command evaluates the run, rather than resumes it.
    """

    directory: Path
    step: int
    hyper_parameters: dict[str, Any]
    evaluates: bool


def with_run_settings(words: list[str]) -> tuple[list[str], ResumedRun | None]:
    """Expand a command line that resumes or evaluates a run, so that it builds the run's model and data again.

    Lightning restores a model's hyper-parameters from a checkpoint, over what the command line says, and nothing of
    the data's. Here the run's settings are the first config: its ``config.yaml``, and what only its checkpoint knows
    (the backbone's sizes, the label names and the maximum length). So the user's configs and flags win.

    Args:
        words: The command line after the program's name, which starts with the subcommand.

    Returns:
        The command line to parse, and the run. The words unchanged and None for ``fit`` without ``--ckpt_path`` and
        for ``--print_config``.

    Raises:
        UserError: The checkpoint or its run's settings can't be found, or it is not ours.
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
    model, data, trainer = (settings.setdefault(name, {}) for name in ("model", "data", "trainer"))
    model |= {name: hyper_parameters[name] for name in SIZES}
    data |= {"labels": hyper_parameters["label_names"], "max_length": hyper_parameters["max_length"]}
    if not resumes:  # the run's own limits are for the evaluations during its training
        trainer |= {f"limit_{stage}_batches": 1.0 for stage in ("val", "test")}
    config = yaml.safe_dump(settings, allow_unicode=True)
    expanded = [subcommand, "--config", config, *others, f"--ckpt_path={checkpoint}"]
    return expanded, ResumedRun(directory, contents["global_step"], hyper_parameters, evaluates=not resumes)
