"""Writing files: atomically, under a lock, with errors that name the file; and digests of files."""

import hashlib
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from spam_classifier.errors import UserError

UNFINISHED = ".incomplete"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
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


def locked(path: Path, guarded: Path, refusal: str) -> AcquireReturnProxy:
    """A lock file that this process holds until it is released, or to the end of a ``with``.

    Args:
        path: The lock file.
        guarded: What it guards, as an error names it.
        refusal: What to tell the user where another process holds it.

    Raises:
        UserError: Another process holds it, or it can't be made.
    """
    with writing(guarded):
        try:
            return FileLock(path).acquire(timeout=0)
        except Timeout as error:
            raise UserError(refusal) from error


def claim_directory(parent: Path, prefix: str, number: int = 0) -> Path:
    """Make the first directory ``prefix<number>`` that is not there yet; whoever else asks gets another.

    Raises:
        UserError: The parent can't be written, or has no room.
    """
    with writing(parent):
        for free in itertools.count(number):
            try:
                (parent / f"{prefix}{free}").mkdir(parents=True)
            except FileExistsError:
                continue
            return parent / f"{prefix}{free}"
    raise AssertionError


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's contents, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
