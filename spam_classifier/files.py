"""Writing files: atomically, under a lock, with errors that name the file; and digests of files."""

import csv
import hashlib
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import AcquireReturnProxy, FileLock, Timeout

from spam_classifier.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

UNFINISHED = ".incomplete"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same directory, and rename it to ``path`` at the end; remove it after an error."""
    unfinished = path.with_suffix(UNFINISHED)
    try:
        with writing(path):
            unfinished.unlink(missing_ok=True)  # a link could lead anywhere
            yield unfinished
            with unfinished.open("r+b") as file:
                os.fsync(file.fileno())  # before the rename, or a power cut could leave an empty file
            unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError into a UserError that names the file or directory."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror or error}): check its directory and the free space, and run again"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a file atomically, in UTF-8, with the line breaks of the text."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table atomically, piece by piece, with its strings in quotes."""
    with atomic_write(path) as unfinished:
        table.to_csv(unfinished, index=False, quoting=csv.QUOTE_NONNUMERIC)


def locked(path: Path, guarded: Path, refusal: str) -> AcquireReturnProxy:
    """Take a lock file, until it is released or a ``with`` ends; ``refusal`` is the error if another process holds it.

    ``guarded`` is what it guards, for the error if it can't be made.
    """
    with writing(guarded):
        try:
            return FileLock(path).acquire(timeout=0)
        except Timeout as error:
            raise UserError(refusal) from error


def claim_directory(parent: Path, prefix: str, number: int = 0) -> Path:
    """Make the first directory ``prefix<number>`` that does not exist; no other process gets the same."""
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
