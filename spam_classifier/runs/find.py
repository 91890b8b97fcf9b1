"""Where a run's checkpoints and settings are, and how they are read."""

import argparse
import shlex
from pathlib import Path
from typing import Any

import torch
import yaml

from spam_classifier.errors import UserError
from spam_classifier.files import UNFINISHED
from spam_classifier.runs.check import is_sound

RUNS_DIRECTORY = "lightning_logs"
CHECKPOINTS_DIRECTORY = "checkpoints"
CHECKPOINTS = f"*/{CHECKPOINTS_DIRECTORY}/*.ckpt"  # of the runs in RUNS_DIRECTORY
CONFIG_FILE = "config.yaml"
LAST_CHECKPOINT = "last.ckpt"
BEST_PREFIX = "best-"

HOW_TO_TRAIN = "python -m spam_classifier.train fit --config configs/quickstart.yaml"


def remove_unfinished(run: Path) -> None:
    """Remove what a killed process has left of a checkpoint, or of a file of hidden states."""
    for path in (*(run / CHECKPOINTS_DIRECTORY).glob(f"*{UNFINISHED}"), *run.glob(f"frozen_prefix-*{UNFINISHED}")):
        path.unlink(missing_ok=True)


def add_checkpoint_flags(parser: argparse.ArgumentParser) -> None:
    """Give a command the flags that ``find_checkpoint`` goes by."""
    parser.add_argument("--ckpt_path", help="a checkpoint's path, best or last (default: best of the newest run)")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="directory that holds lightning_logs (default: this one)"
    )


def find_checkpoint(which: str | None, root: Path) -> Path:
    """The checkpoint that ``--ckpt_path`` means.

    Args:
        which: A path; ``best`` or ``last`` of the newest run; or None, which is ``best``.
        root: Directory that holds ``lightning_logs``.

    Returns:
        The checkpoint's path. ``best`` is the last one where a run has none by validation loss yet.

    Raises:
        UserError: There is no such file, or no run with a checkpoint.
    """
    if which not in (None, "best", "last"):
        path = Path(str(which))
        if not path.is_file():
            raise UserError(f"--ckpt_path {which}: no such file; give a checkpoint's path, best or last")
        return path
    if which == "last":
        _refuse_run_without_checkpoint(root)
    return _kept_in(_newest_checkpoints_directory(root), which)


def _kept_in(directory: Path, which: str | None) -> Path:
    last = directory / LAST_CHECKPOINT
    kept = [last]
    if which != "last":
        found = sorted(directory.glob("*.ckpt"), key=_age_key, reverse=True)
        best = [path for path in found if path.name.startswith(BEST_PREFIX)]
        kept = [*best, last, *found]  # a Trainer of the user's own gives other names
    for checkpoint in kept:
        if checkpoint.is_file():
            return checkpoint
    raise UserError(f"the run keeps no {last}; give the path of another checkpoint as --ckpt_path")


def checkpoint_of(run: str | Path | None) -> Path:
    """The checkpoint that a run's directory or a path means; of the newest run here where none is given.

    Raises:
        UserError: There is none.
    """
    if run is None:
        return find_checkpoint(None, Path())
    path = Path(run)
    if path.is_dir():
        return _kept_in(path / CHECKPOINTS_DIRECTORY, None)
    if not path.is_file():
        raise UserError(f"{run}: no such file or directory; name a run's directory or a checkpoint")
    return path


def _refuse_run_without_checkpoint(root: Path) -> None:
    """Whoever continues the newest run, killed before its first checkpoint, must not get an older one."""
    checkpoints = [*(root / RUNS_DIRECTORY).glob(CHECKPOINTS)]
    with_checkpoint = {path.parents[1] for path in checkpoints}
    configs = (root / RUNS_DIRECTORY).glob(f"*/{CONFIG_FILE}")
    newest = max((path for path in configs if path.parent not in with_checkpoint), key=_age_key, default=None)
    if newest is not None and all(_age_key(path) < _age_key(newest) for path in checkpoints):
        raise UserError(
            f"the newest run, {newest.parent}, has no checkpoint to go on from: start it anew with python -m "
            f"spam_classifier.train fit --config {shlex.quote(str(newest))}, or give the path of another run's"
        )


def _newest_checkpoints_directory(root: Path) -> Path:
    newest = max((root / RUNS_DIRECTORY).glob(CHECKPOINTS), key=_age_key, default=None)
    if newest is None:
        raise UserError(
            f"no run with a checkpoint under {root / RUNS_DIRECTORY}: train one first, in about a minute: "
            f"{HOW_TO_TRAIN}"
        )
    return newest.parent


def _age_key(path: Path) -> int:
    return path.stat().st_mtime_ns


def run_directory(checkpoint: Path) -> Path:
    """The directory of the run that wrote a checkpoint: ``<run>/checkpoints/<checkpoint>``."""
    return checkpoint.resolve().parent.parent


def read_settings(run: Path) -> dict[str, Any]:
    """The settings of a run, from its directory.

    Raises:
        UserError: They are missing.
    """
    path = run / CONFIG_FILE
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"the run's settings, {path}, are missing; keep a checkpoint in its run") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint's contents without copying its tensors into memory; no code in it runs.

    Raises:
        UserError: It is not a checkpoint of a SpamClassifier, or its parts do not go together.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        sound = is_sound(checkpoint)
    except Exception:  # damage surfaces as whatever exception meets it
        sound = False
    if not sound:
        raise UserError(f"{path} is not a checkpoint of this classifier, or is damaged: train one with {HOW_TO_TRAIN}")
    return checkpoint
