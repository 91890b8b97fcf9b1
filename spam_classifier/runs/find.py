"""Where a run's checkpoints and settings are, and how they are read."""

from pathlib import Path
from typing import Any, Literal

from spam_classifier import hints
from spam_classifier.errors import UserError, did_you_mean

RUNS_DIRECTORY = "lightning_logs"
CHECKPOINTS_DIRECTORY = "checkpoints"
CHECKPOINTS = f"*/{CHECKPOINTS_DIRECTORY}/*.ckpt"  # of the runs in RUNS_DIRECTORY
CONFIG_FILE = "config.yaml"
LAST_CHECKPOINT = "last.ckpt"
BEST_PREFIX = "best-"
REMOVED = {"model": ["prefix_cache"]}  # settings of earlier versions

Which = Literal["best", "last"]


def how_to_train() -> str:
    """A command that trains a first run."""
    return hints.command_line("fit", "--config", "quickstart")


def find_checkpoint(which: str | Path | None, root: Path, *, of_run: Which = "best") -> Path:
    """The checkpoint that ``--ckpt_path`` means; for ``best`` the last one if none was chosen by validation loss yet.

    ``which`` is a run directory or a checkpoint, or ``best`` or ``last`` of the newest run below ``root``, or None for
    that run. ``of_run`` is the checkpoint that is taken if only the run is named.
    """
    if which in (None, "best", "last"):
        wanted: Any = which or of_run
        if wanted == "last":
            _refuse_run_without_checkpoint(root)
        newest = max((root / RUNS_DIRECTORY).glob(CHECKPOINTS), key=_age_key, default=None)
        if newest is None:
            problem = f"no run with a checkpoint under {root / RUNS_DIRECTORY}"
            raise UserError(f"{problem}: train one first, in half a minute: {how_to_train()}")
        return _kept_in(newest.parent, wanted)
    path = Path(str(which))
    if path.is_file():
        return path
    if not path.is_dir():
        runs = {found.parents[1].name for found in path.parent.glob(CHECKPOINTS)}
        remedy = did_you_mean(path.name, runs) or "; --ckpt_path takes a run directory, a checkpoint, best or last"
        raise UserError(f"{which}: no such run or checkpoint{remedy}")
    directory = path if path.name == CHECKPOINTS_DIRECTORY else path / CHECKPOINTS_DIRECTORY
    if not any(directory.glob("*.ckpt")):
        holds_runs = any((path / RUNS_DIRECTORY).glob(CHECKPOINTS))
        remedy = f"for the newest run in it use --root {path}" if holds_runs else "name a run directory or a checkpoint"
        raise UserError(f"{which}: this directory holds no checkpoint; {remedy}")
    return _kept_in(directory, of_run)


def flags_for(checkpoint: Path, *, of_run: Which | None = None) -> list[str]:
    """The shortest flags by which a command in the current directory finds a checkpoint; ``of_run`` names it anyway."""
    run = run_directory(checkpoint)
    named = [] if of_run is None else ["--ckpt_path", of_run]
    for root in (Path(), run.parent.parent):
        try:
            found = find_checkpoint(of_run, root) if run.parent.name == RUNS_DIRECTORY else None
        except UserError:
            continue
        if found is not None and found.resolve() == checkpoint.resolve():
            return named if root == Path() else [*named, "--root", hints.relative(root)]
    try:
        kept = find_checkpoint(run, Path(), of_run=of_run or "best").resolve()
    except UserError:  # kept elsewhere than in a run
        kept = None
    return ["--ckpt_path", hints.relative(run if kept == checkpoint.resolve() else checkpoint)]


def _kept_in(directory: Path, which: Which) -> Path:
    last = directory / LAST_CHECKPOINT
    found = sorted(directory.glob("*.ckpt"), key=_age_key, reverse=True)  # the user's own Trainer gives other names
    best = [path for path in found if path.name.startswith(BEST_PREFIX)]
    for checkpoint in [last] if which == "last" else [*best, last, *found]:
        if checkpoint.is_file():
            return checkpoint
    raise UserError(f"the run keeps no {last}; give another checkpoint as --ckpt_path")


def _refuse_run_without_checkpoint(root: Path) -> None:
    """Do not resume an older run if the newest one was killed before its first checkpoint."""
    checkpoints = [*(root / RUNS_DIRECTORY).glob(CHECKPOINTS)]
    with_checkpoint = {path.parents[1] for path in checkpoints}
    configs = (root / RUNS_DIRECTORY).glob(f"*/{CONFIG_FILE}")
    newest = max((path for path in configs if path.parent not in with_checkpoint), key=_age_key, default=None)
    if newest is not None and all(_age_key(path) < _age_key(newest) for path in checkpoints):
        raise UserError(
            f"the newest run, {newest.parent}, has no checkpoint to resume: start it again with "
            f"{hints.command_line('fit', '--config', newest)}, or give another run's directory as --ckpt_path"
        )


def _age_key(path: Path) -> int:
    return path.stat().st_mtime_ns


def run_directory(checkpoint: Path) -> Path:
    """The directory of the run that wrote a checkpoint: ``<run>/checkpoints/<checkpoint>``."""
    return checkpoint.resolve().parent.parent


def read_settings(run: Path) -> dict[str, Any]:
    """The settings of a run, without those that this version no longer has."""
    import yaml  # here, so that commands print their help without it

    path = run / CONFIG_FILE
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"the run's settings, {path}, are missing; keep a checkpoint in its run") from error
    for group, names in REMOVED.items():
        for name in names:
            settings.get(group, {}).pop(name, None)
    return settings
