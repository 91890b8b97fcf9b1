"""The directory that a command with many runs keeps to itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spam_classifier.errors import UserError
from spam_classifier.files import locked, writing


@contextmanager
def own_directory(directory: Path, marker: str, what: str) -> Iterator[None]:
    """Make and lock a directory of runs, and say after Ctrl-C how to continue.

    Args:
        directory: The directory.
        marker: A file that the command writes there at once.
        what: What the command keeps there, for the refusal.

    Raises:
        UserError: The directory is in use, or it holds other files.
    """
    with writing(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
    lock = directory.with_name(f".{directory.name}.lock")
    busy = f"another command is at work in this directory ({lock}): wait for it, or choose another --name"
    with locked(lock, lock, busy):
        if directory.exists() and any(directory.iterdir()) and not (directory / marker).is_file():
            raise UserError(f"{directory} holds other files than {what}: choose another --name")
        try:
            yield
        except KeyboardInterrupt:
            print(f"\nfinished runs are kept in {directory}: the same command continues", file=sys.stderr)
            raise
