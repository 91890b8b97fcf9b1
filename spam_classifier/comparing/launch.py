"""Training runs in processes of their own, for the commands that make many of them."""

import hashlib
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from spam_classifier.data.splits import SPLITS
from spam_classifier.errors import UserError
from spam_classifier.runs.find import RUNS_DIRECTORY

OUTPUT_FILE = "output.txt"


class RunFailed(UserError):  # noqa: N818  # what it says is what a user reads
    """A run has failed.

    Args:
        reason: Why, in one line.
        command: What was run.
    """

    def __init__(self, reason: str, command: Sequence[str]) -> None:
        super().__init__(f"a run failed: {reason} ({shlex.join(command)})")
        self.reason = reason


def flags_behind_dashes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command's own words, and the flags of ``fit`` behind ``--``."""
    place = words.index("--") if "--" in words else len(words)
    return list(words[:place]), list(words[place + 1 :])


def launched_run(root: Path) -> Path | None:
    """The directory of the run below ``root``; None where there is none."""
    return next((root / RUNS_DIRECTORY).glob("version_*"), None)


def splits_digest(run: Path) -> str:
    """What tells the messages in a run's splits from those in another's; "" where they are not all there."""
    splits = [run / f"{name}.csv" for name in SPLITS]
    if not all(path.is_file() for path in splits):
        return ""
    return hashlib.sha256(b"".join(path.read_bytes() for path in splits)).hexdigest()[:12]


def launch_fit(
    config: Path, seed: int | None, flags: Sequence[object], root: Path, *, defaults: Sequence[object] = ()
) -> Path:
    """Train a config in a process of its own; the seed draws the splits, the initial weights and the order.

    Args:
        config: A config of ``fit``.
        seed: The seed; None for those of the config.
        flags: More flags of ``fit``, over those of the config.
        defaults: Flags under those of the config.
        root: An empty directory for the run and for what it prints.

    Returns:
        The run's directory.

    Raises:
        RunFailed: It fails, or leaves nothing.
    """
    seeds = [] if seed is None else ["--seed_everything", seed, "--data.split_seed", seed]
    command = _launch(
        ["fit", *defaults, "--config", config, *seeds, *flags, "--trainer.enable_progress_bar", "false"], root
    )
    run = launched_run(root)
    if run is None:
        raise RunFailed("it left nothing: leave --trainer.fast_dev_run and --trainer.logger out", command)
    return run


def launch_test(root: Path) -> None:
    """Evaluate the run below ``root`` on its test split, in a process of its own.

    Raises:
        RunFailed: It fails.
    """
    _launch(["test", "--trainer.enable_progress_bar", "false"], root)


def _launch(arguments: Sequence[object], root: Path) -> list[str]:
    """Run ``train`` with these arguments; the command that was run."""
    root.mkdir(parents=True, exist_ok=True)
    where = ["--trainer.default_root_dir", root]
    command = [sys.executable, "-m", "spam_classifier.train", *map(str, [*arguments, *where])]
    path = root / OUTPUT_FILE
    with path.open("a", encoding="utf-8") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RunFailed(_reason(done.returncode, path), command[1:])
    return command[1:]


def _reason(code: int, output: Path) -> str:
    """Why a process failed: a signal, the error it printed, or the last line of its traceback."""
    if code < 0:
        return f"{signal.Signals(-code).name}, see {output}"
    lines = [line.strip() for line in output.read_text(encoding="utf-8", errors="replace").splitlines()]
    error = next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), "")
    last = next((line for line in reversed(lines) if line), "no output")
    return error or f"{last}, see {output}"
