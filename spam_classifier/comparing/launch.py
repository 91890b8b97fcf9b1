"""Training runs in processes of their own."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from spam_classifier.errors import UserError

OUTPUT_FILE = "output.txt"


class RunFailed(UserError):  # noqa: N818
    """A run has failed: why, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the run failed: {reason}")
        self.reason = reason


def launched_run(root: Path) -> Path | None:
    """The directory of the run under ``root``, if there is one."""
    return next(root.glob("lightning_logs/version_*"), None)


def splits_digest(run: Path) -> str:
    """The same for runs with the same messages in their splits; "" if the run lacks a split."""
    splits = [run / f"{name}.csv" for name in ("train", "validation", "test")]
    if not all(path.is_file() for path in splits):
        return ""
    return hashlib.sha256(b"".join(path.read_bytes() for path in splits)).hexdigest()[:12]


def launch_fit(
    config: Path, seed: int | None, flags: Sequence[object], root: Path, *, defaults: Mapping[str, Any] | None = None
) -> Path:
    """Train a config.

    Args:
        config: A config of ``fit``.
        seed: Draws the splits, the initial weights and the order of the messages; None for the config's own seeds.
        flags: Flags of ``fit`` that override the config.
        root: An empty directory for the run and its output.
        defaults: Settings that the config overrides.

    Returns:
        The run directory.

    Raises:
        RunFailed: It fails, or leaves no run directory.
    """
    seeds = [] if seed is None else ["--seed_everything", seed, "--data.split_seed", seed]
    under = ["--config", yaml.safe_dump(defaults, allow_unicode=True)] if defaults else []
    _launch(["fit", *under, "--config", config, *seeds, *flags, "--trainer.enable_progress_bar", "false"], root)
    run = launched_run(root)
    if run is None:
        raise RunFailed("it left no run directory: drop --trainer.fast_dev_run and --trainer.logger")
    return run


def launch_test(root: Path) -> None:
    """Evaluate the run under ``root`` on its test split; raises as ``launch_fit``."""
    _launch(["test", "--trainer.enable_progress_bar", "false"], root)


def _launch(arguments: Sequence[object], root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    command = ["-m", "spam_classifier.train", *map(str, [*arguments, "--root", root])]
    path = root / OUTPUT_FILE
    with path.open("a", encoding="utf-8") as output:
        done = subprocess.run([sys.executable, *command], stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RunFailed(_reason(done.returncode, path))


def _reason(code: int, output: Path) -> str:
    """Why a process failed: the signal, the error it printed, or the last line of its traceback."""
    if code < 0:
        return f"{signal.Signals(-code).name}, see {output}"
    lines = [line.strip() for line in output.read_text(encoding="utf-8", errors="replace").splitlines()]
    error = next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), "")
    last = next((line for line in reversed(lines) if line), "no output")
    return error or f"{last}, see {output}"
