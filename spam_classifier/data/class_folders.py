"""Messages of a directory that has a folder per class, with a message in each of its files."""

import os
from collections.abc import Sequence
from pathlib import Path

from spam_classifier.data.rows import LONGEST, Input, Rejected, Rows, checked_row, has_surrogate, not_utf8
from spam_classifier.errors import UserError

SUFFIX = ".txt"


def class_folders(directory: Path) -> list[str]:
    """The names of the folders in a directory, sorted, without hidden ones."""
    with os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def folder_messages(directory: Path, labels: Sequence[str] | None) -> Input:
    """The messages of a directory: ``spam/1.txt`` is one labelled ``spam``, and its text is all the file holds.

    Folders and files are read in the order of their names; with ``labels``, only the folders of these names. Hidden
    ones are left out, and so are files next to the folders. Anything but a .txt in a folder of a class is rejected, so
    that no message is lost.
    """
    folders = class_folders(directory)
    if labels and not set(labels) & set(folders):
        found = ", ".join(folders)
        raise UserError(f"{directory} has the folders {found}; --data.labels names none of them: {', '.join(labels)}")
    wanted = [folder for folder in folders if not labels or folder in labels]
    return Input(str(directory), "file", ["label", "text"], _rows(directory, wanted))


def _rows(directory: Path, folders: Sequence[str]) -> Rows:
    for label in folders:
        folder = directory / label
        if has_surrogate(label):
            yield Rejected(str(folder), "the folder's name is not UTF-8", "rename it")
            continue
        with os.scandir(folder) as entries:
            names = sorted((entry.name, _is_file(entry)) for entry in entries if not entry.name.startswith("."))
        for name, is_file in names:
            path = os.path.join(folder, name)  # noqa: PTH118  (a Path for each of a million files takes seconds)
            if not name.lower().endswith(SUFFIX):
                yield Rejected(path, f"not a {SUFFIX}, as each message of class {label!r} is", "rename or move it")
            elif not is_file:  # opening a named pipe would wait for ever
                yield Rejected(path, "not a file", "make it a readable file or move it")
            else:
                text = _text(path)
                yield text if isinstance(text, Rejected) else checked_row(path, text, ["text"], [text], label)


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _text(path: str) -> str | Rejected:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            raw = file.read(LONGEST + 1)
        if len(raw) > LONGEST:
            return Rejected(path, f"longer than {LONGEST:,} bytes", "cut it or move it")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return not_utf8(path, path)
    except OSError as error:
        return Rejected(path, str(error.strerror), "make it a readable file or move it")
