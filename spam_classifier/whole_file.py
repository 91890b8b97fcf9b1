"""Files that are whole or as they were before."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, beside the file; what was written takes the file's place at the end."""
    unfinished = path.with_suffix(".incomplete")
    unfinished.unlink(missing_ok=True)  # where it is a link, it may lead anywhere
    yield unfinished
    unfinished.replace(path)
