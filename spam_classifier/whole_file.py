"""Files that are whole or as they were before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".incomplete"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, beside the file; what was written takes the file's place at the end."""
    unfinished = path.with_suffix(UNFINISHED)
    yield unfinished
    with unfinished.open("r+b") as file:
        os.fsync(file.fileno())  # or the name may reach the disk before what it stands for
    unfinished.replace(path)
