"""Messages out of a directory that has a folder per class, a message in each of its files."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from spam_classifier.data.records import LONGEST, Record, has_surrogate, not_utf8_remedy
from spam_classifier.errors import UserError

SUFFIX = ".txt"


def class_folders(directory: Path) -> list[str]:
    """The names of the folders in a directory, sorted, without hidden ones."""
    with os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def folder_records(directory: Path, labels: Sequence[str] | None) -> Iterator[Record]:
    """The messages of a directory: ``spam/1.txt`` is one labelled ``spam``, with all the file holds as its text.

    Folders and their files are read in the order of their names. Files beside the folders are passed over, and so is
    all that is hidden. In a folder of a class anything else than a .txt is refused, lest messages be lost.

    Args:
        directory: The directory.
        labels: The folders to read; default: all.

    Raises:
        UserError: No folder is named by a label, a folder holds something else, or a file is not UTF-8 or can't
            be read.
    """
    folders = class_folders(directory)
    if labels and not set(labels) & set(folders):
        found = ", ".join(folders)
        raise UserError(f"{directory} has the folders {found}; --data.labels names none of them: {', '.join(labels)}")
    for label in folders:
        if labels and label not in labels:
            continue
        if has_surrogate(label):
            raise UserError(f"{directory} has a folder {label!r}, whose name is not UTF-8: rename it")
        folder = directory / label
        with os.scandir(folder) as entries:
            names = sorted((entry.name, _is_file(entry)) for entry in entries if not entry.name.startswith("."))
        for name, is_file in names:
            path = os.path.join(folder, name)  # noqa: PTH118  (a Path for each of a million files takes seconds)
            if not name.lower().endswith(SUFFIX):
                raise UserError(f"{path}: not a {SUFFIX}, as each message of class {label!r} is; rename or move it")
            if not is_file:  # to open a named pipe would be to wait for ever
                raise UserError(f"{path}: not a file; make it a readable file or move it")
            yield path, label, _text(path)


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            raw = file.read(LONGEST + 1)
        if len(raw) > LONGEST:
            raise UserError(f"{path}: longer than {LONGEST:,} bytes; cut it or move it")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: {not_utf8_remedy(path)}") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; make it a readable file or move it") from error
