"""What a run was made with."""

import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from spam_classifier.evaluation.metrics_file import read_metrics, update_metrics
from spam_classifier.run_directory import run_directory

PROVENANCE = "provenance"  # its name in the run's metrics
PACKAGES = ("spam_classifier", "torch", "lightning", "tiktoken", "torchmetrics", "pandas", "numpy")


class KeepProvenance(Callback):
    """Keep in a run's metrics, as its training begins, what decides its numbers.

    Args:
        typed: The flags as the user typed them.
        seed: The seed.
    """

    def __init__(self, typed: Sequence[str], seed: int) -> None:
        self.command = f"python -m spam_classifier.train {shlex.join(typed)}"
        self.seed = seed

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it down; of a run that goes on, beside the commands so far."""
        directory = run_directory(trainer)
        data = getattr(trainer, "datamodule", None)
        if directory is None or not trainer.is_global_zero or data is None:
            return
        earlier = read_metrics(directory).get(PROVENANCE, {}) if trainer.ckpt_path else {}
        known: dict[str, Any] = {
            "commands": [*earlier.get("commands", []), self.command],
            "seed": self.seed,
            "versions": versions(),
            "git": git_revision(),
            "corpus_sha256": data.sources_sha256(),
            # a checkpoint has replaced the weights, whose file need not be there any more
            "weights_sha256": earlier.get("weights_sha256") if trainer.ckpt_path else pl_module.weights_sha256,
        }
        update_metrics(directory, {PROVENANCE: known})


def git_revision() -> dict[str, Any] | None:
    """The revision of the checkout that the code runs from, and whether it was changed since; None if it is none."""
    package = Path(__file__).resolve().parents[1]
    try:
        root, revision = _git(package, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        if Path(root) != package.parent:  # a package installed somewhere below another project's checkout
            return None
        return {"revision": revision, "changed": bool(_git(package, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _git(directory: Path, *words: str) -> str:
    command = ["git", "-C", str(directory), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers, the machine and the threads."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": str(torch.get_num_threads()),
    }


def peak_memory(device: torch.device) -> int | None:
    """Most bytes in use so far: of a GPU by its tensors, else of the whole process; None where no one counts."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_of_process()


def peak_of_process() -> int | None:
    """Most bytes of memory that this process has held so far; None on Windows."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss is no less than what the parent held when it started this process
        return next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout on the path
        return "not installed"
