"""Files that are whole or as they were before, and what is said where they can't be written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spam_classifier.errors import UserError

UNFINISHED = ".incomplete"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, beside the file; what was written takes the file's place at the end.

    Nothing is left of it after an error.

    Raises:
        UserError: The directory can't be written, or has no room.
    """
    unfinished = path.with_suffix(UNFINISHED)
    try:
        with writing(path):
            unfinished.unlink(missing_ok=True)  # where it is a link, it may lead anywhere
            yield unfinished
            with unfinished.open("r+b") as file:
                os.fsync(file.fileno())  # or the name may reach the disk before what it stands for
            unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file, or the directory, that something is written to where that fails.

    Raises:
        UserError: It can't be written, or there is no room.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror or error}): see to its directory and the space there, and run again"
        ) from error
