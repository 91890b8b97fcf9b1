"""What a run was made with: versions, git revision, memory."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from spam_classifier.models.packed_blocks import float32_products

PROVENANCE = "provenance"  # in metrics.json
PRODUCTS = "float32 products"
PACKAGES = ("spam_classifier", "torch", "lightning", "tiktoken", "torchmetrics", "pandas", "numpy")


def git_revision() -> dict[str, Any] | None:
    """``revision`` of the checkout that the code runs from, and whether it is ``changed``; None outside a checkout."""
    package = Path(__file__).resolve().parents[1]
    try:
        root, revision = _git(package, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        if Path(root) != package.parent:  # installed inside another project's checkout
            return None
        return {"revision": revision, "changed": bool(_git(package, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _git(directory: Path, *words: str) -> str:
    command = ["git", "-C", str(directory), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect the numbers, the machine, the threads, the products."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": str(torch.get_num_threads()),
        PRODUCTS: ", ".join(f"{precision} on {backend}" for backend, precision in float32_products().items()),
    }


def peak_memory(device: torch.device) -> int | None:
    """Most bytes in use so far: a GPU's tensors, else the whole process; None where nothing counts them."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_of_process()


def peak_of_process() -> int | None:
    """Most bytes of memory that this process has held so far; None on Windows."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss starts at what the parent held
        return next(1024 * int(line.split()[1]) for line in status.read_text("utf-8").splitlines() if "VmHWM" in line)
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
