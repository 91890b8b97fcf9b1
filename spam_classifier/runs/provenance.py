"""What a run was made with."""

import platform
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


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout on the path
        return "not installed"
