"""A run's own settings, put before the flags of a command that resumes or evaluates it."""

import argparse
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2_classifier import SIZES
from spam_classifier.runs.check import read_checkpoint
from spam_classifier.runs.find import LAST_CHECKPOINT, find_checkpoint, read_settings, run_directory

FIT = "fit"
EVALUATIONS = ("validate", "test")


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


def with_run_settings(arguments: list[str]) -> tuple[list[str], ResumedRun | None]:
    """Expand a command line that resumes or evaluates a run, so that it builds the run's model and data again.

    Lightning restores a model's hyper-parameters from a checkpoint, over what the command line says, and nothing of
    the data's. Here the run's ``config.yaml`` comes first, then what only its checkpoint knows (the backbone's sizes,
    the label names and the maximum length), then the flags as typed, so that flags win.

    Args:
        arguments: The command line after the program's name.

    Returns:
        The command line to parse, and the run. The arguments unchanged and None for ``fit`` without ``--ckpt_path``
        and for any request for help.

    Raises:
        UserError: The checkpoint or its run's settings can't be found, or it is not ours.
    """
    subcommand = next((word for word in arguments if word in (FIT, *EVALUATIONS)), None)
    asks_only = any(word == "-h" or word.startswith(("--help", "--print_config")) for word in arguments)
    if subcommand is None or asks_only:
        return arguments, None
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--ckpt_path")
    own.add_argument("--trainer.default_root_dir", dest="root", default=".")
    flags, _ = own.parse_known_args(arguments)
    if subcommand == FIT and flags.ckpt_path in (None, "null"):
        return arguments, None

    checkpoint = find_checkpoint(None if flags.ckpt_path == "null" else flags.ckpt_path, Path(flags.root))
    contents = read_checkpoint(checkpoint)
    hyper_parameters = contents["hyper_parameters"]
    if subcommand == FIT and "optimizer_states" not in contents:
        raise UserError(
            f"{checkpoint} keeps no state of the optimizer, training can't be resumed from it: use --ckpt_path "
            f"{shlex.quote(str(checkpoint.with_name(LAST_CHECKPOINT)))}, or last"
        )
    directory = run_directory(checkpoint)
    settings = ["--config", yaml.safe_dump(read_settings(directory), allow_unicode=True)]
    settings += [f"--model.{name}={hyper_parameters[name]}" for name in SIZES]
    settings += [
        f"--data.labels={json.dumps(hyper_parameters['label_names'], ensure_ascii=False)}",
        f"--data.max_length={hyper_parameters['max_length']}",
    ]
    if subcommand != FIT:  # the run's own limits are for the evaluations during its training
        settings += [f"--trainer.limit_{stage}_batches=1.0" for stage in ("val", "test")]
    position = arguments.index(subcommand) + 1
    expanded = [*arguments[:position], *settings, *arguments[position:], f"--ckpt_path={checkpoint}"]
    return expanded, ResumedRun(directory, contents["global_step"], hyper_parameters, evaluates=subcommand != FIT)
