"""A run's own settings, put before the flags of a command that takes up its checkpoint."""

import argparse
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spam_classifier.errors import UserError
from spam_classifier.runs.find import (
    CONFIG_FILE,
    LAST_CHECKPOINT,
    find_checkpoint,
    read_checkpoint,
    read_settings,
    run_directory,
)

FIT = "fit"
EVALUATIONS = ("validate", "test", "predict")
SHAPE = ("layers", "width", "heads", "context")


@dataclass(frozen=True)
class TakenUpRun:
    """A run that a command continues or evaluates.

    Attributes:
        directory: The run's directory.
        step: Training steps of the checkpoint.
        hyper_parameters: Those in the checkpoint.
        evaluates: Whether the command evaluates the run, rather than continues it.
    """

    directory: Path
    step: int
    hyper_parameters: dict[str, Any]
    evaluates: bool


def take_up_run(arguments: list[str]) -> tuple[list[str], TakenUpRun | None]:
    """Expand a command line that continues or evaluates a run, so that it rebuilds the run's model and data.

    Lightning restores a model's hyper-parameters from a checkpoint, over what the command line says, and nothing
    of the data's. Here the run's ``config.yaml`` comes first, then what its checkpoint alone knows (the shape of
    the backbone, the label names and the maximum length), then the flags as typed, so that flags win.

    Args:
        arguments: The command line after the program's name.

    Returns:
        The command line to parse, and the run; the arguments unchanged and None where no run is
        taken up: ``fit`` without ``--ckpt_path``, and any request for help.

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
            f"{checkpoint} keeps no state of the optimizer, training can't go on from it: continue with --ckpt_path "
            f"{shlex.quote(str(checkpoint.with_name(LAST_CHECKPOINT)))}, or last"
        )
    directory = run_directory(checkpoint)
    config = directory / CONFIG_FILE
    read_settings(directory)  # says what is wrong if they are missing
    settings = [f"--config={config}"]
    settings += [f"--model.{name}={hyper_parameters[name]}" for name in SHAPE]
    settings += [
        f"--data.labels={json.dumps(hyper_parameters['label_names'], ensure_ascii=False)}",
        f"--data.max_length={hyper_parameters['max_length']}",
    ]
    if subcommand != FIT:  # limits of the training's own evaluations
        settings += [f"--trainer.limit_{stage}_batches=1.0" for stage in ("val", "test", "predict")]
    position = arguments.index(subcommand) + 1
    expanded = [*arguments[:position], *settings, *arguments[position:], f"--ckpt_path={checkpoint}"]
    return expanded, TakenUpRun(directory, contents["global_step"], hyper_parameters, evaluates=subcommand != FIT)
