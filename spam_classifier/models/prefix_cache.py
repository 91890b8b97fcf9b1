"""Hidden states in files of a directory, for other runs that need the very same ones."""

import contextlib
import os
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from spam_classifier.files import UNFINISHED


class PrefixCache:
    """Files named by a digest of all that decides their contents.

    Args:
        directory: Where they are.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def find(self, digest: str, shape: tuple[int, int], dtype: torch.dtype) -> Tensor | None:
        """The states kept under a digest, mapped from their file; None where there are none."""
        path = self.directory / digest
        size = shape[0] * shape[1]
        if not path.is_file() or path.stat().st_size != size * dtype.itemsize:
            return None
        return torch.from_file(str(path), shared=False, size=size, dtype=dtype).view(shape)

    def keep(self, digest: str, states: Tensor) -> bool:
        """Write states, float [total, width]: all of them or, where that is not possible, none; whether it was."""
        with contextlib.suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._remove_unfinished()
            handle, name = tempfile.mkstemp(suffix=UNFINISHED, dir=self.directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(states.contiguous().view(torch.uint8).numpy().data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.directory / digest)
            finally:
                Path(name).unlink(missing_ok=True)
            return True
        return False

    def _remove_unfinished(self) -> None:
        """Remove what killed runs have left: nobody has written to it for a day."""
        for path in self.directory.glob(f"*{UNFINISHED}"):
            if path.stat().st_mtime < time.time() - 86_400:
                path.unlink(missing_ok=True)
