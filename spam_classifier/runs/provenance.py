"""What a run was made with."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

PACKAGES = ("spam_classifier", "torch", "lightning", "tiktoken", "torchmetrics", "pandas", "numpy")


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
