"""Messages of a directory and its sub-folders: a mail or a text in each file, or mailboxes with many mails."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

from spam_classifier.data.charsets import MARKS, decoded, guess
from spam_classifier.data.mails import (
    COLUMNS,
    LONGEST_HEADER,
    MAILBOXES,
    SUFFIXES,
    looks_like_mail,
    mail_row,
    split_mails,
)
from spam_classifier.data.rows import LONGEST, Input, Notes, Rejected, Row, Rows, checked_row, has_surrogate
from spam_classifier.errors import UserError

TEXT = ".txt"
SNIFFED = 20  # files that are all .txt but begin like mails, for all to be read as mails
READABLE = "make it a readable file or move it"


class _File(NamedTuple):
    path: str
    label: str | None
    problem: str = ""  # why it can't be opened: to open a named pipe would wait for ever


def class_folders(directory: Path) -> list[str]:
    """The names of the classes in a directory, sorted: of its folders without hidden ones, and of its mailboxes."""
    with os.scandir(directory) as entries:
        return sorted({name for entry in entries if (name := _class_name(entry)) is not None})


def _class_name(entry: "os.DirEntry[str]") -> str | None:
    if entry.name.startswith("."):
        return None
    if _is(entry.is_dir):
        return entry.name
    stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122  (a Path may not hold all that is a name)
    return stem if suffix.lower() in MAILBOXES and _is(entry.is_file) else None


def folder_input(directory: Path, labels: Sequence[str] | None) -> Input:
    """The labelled messages of a directory: those in its folder ``spam`` and its file ``spam.mbox`` are ``spam``.

    With ``labels``, only the classes of these names. Sub-folders belong to their class. Files are read in the order of
    their names. Hidden ones are left out.
    """
    classes = class_folders(directory)
    inner = directory / classes[0] if classes else directory
    if len(classes) == 1 and inner.is_dir() and len(class_folders(inner)) > 1:
        raise UserError(f"{directory} holds one class only, its folder {classes[0]}: give {inner}, which holds several")
    if labels and not set(labels) & set(classes):
        found = ", ".join(classes)
        raise UserError(f"{directory} has the folders {found}; --data.labels names none of them: {', '.join(labels)}")
    with os.scandir(directory) as scanned:
        entries = sorted(scanned, key=lambda entry: (_class_name(entry) or "", not _is(entry.is_dir), entry.name))
    files: list[_File] = []
    notes = Notes()
    for entry in entries:
        label = _class_name(entry)
        if label is not None and (not labels or label in labels):
            files += [file._replace(label=label) for file in _files(entry)]
        elif label is None and not entry.name.startswith("."):
            notes.count("files passed over, which are in no folder of a class", entry.path)
    return Input(str(directory), "file", ["label", "text"], _Reader(files, notes).rows(), notes=notes)


def folder_texts(directory: Path) -> Input:
    """The messages of a directory, to be classified: as ``folder_input`` reads them, without classes."""
    with os.scandir(directory) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    files = [file for entry in entries if not entry.name.startswith(".") for file in _files(entry)]
    notes = Notes()
    reader = _Reader(files, notes)
    if not files or not (reader.mails or any(_is_text(file.path) for file in files)):
        raise UserError(f"--input {directory} holds no mails and no {TEXT} files: name the directory that does")
    columns = ["file", *COLUMNS] if reader.mails else ["file", "text"]
    return Input(str(directory), "file", columns, reader.rows(), notes=notes)


def _files(entry: "os.DirEntry[str]", above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[_File]:
    """A file, or those of a folder and its sub-folders, in the order of their names."""
    if not _is(entry.is_dir):
        yield _File(entry.path, None, "" if _is(entry.is_file) else "not a file")
        return
    try:
        status = entry.stat()
        with os.scandir(entry.path) as scanned:
            entries = sorted((own for own in scanned if not own.name.startswith(".")), key=lambda own: own.name)
    except OSError as error:
        yield _File(entry.path, None, str(error.strerror))
        return
    here = (status.st_dev, status.st_ino)
    if here in above:  # a link to a folder that it is in
        return
    is_maildir = {"cur", "new"} & {own.name for own in entries}
    for own in entries:
        if not (is_maildir and own.name == "tmp"):
            yield from _files(own, above | {here})


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link to itself
        return False


def _is_text(path: str) -> bool:
    return path.lower().endswith(TEXT)


def _is_mail(file: _File) -> bool:
    if file.problem:
        return False
    try:
        with open(file.path, "rb") as opened:  # noqa: PTH123  (a Path for each of a million files takes seconds)
            return _begins_like_mail(file.path, opened)
    except OSError:
        return False


def _begins_like_mail(path: str, opened: IO[bytes]) -> bool:
    return path.lower().endswith(SUFFIXES) or looks_like_mail(opened.read(LONGEST_HEADER))


class _Reader:
    """Reads all files of a directory alike, whatever their class.

    Where all are .txt, each is a text, unless the first ones all begin like mails. Otherwise, where any begins like a
    mail, all that do are mails; where none does, the .txt are texts. The others are passed over.
    """

    def __init__(self, files: Sequence[_File], notes: Notes) -> None:
        self.files = files
        self.notes = notes
        if all(_is_text(file.path) for file in files):
            self.mails = bool(files) and all(_is_mail(file) for file in islice(files, SNIFFED))
        else:
            self.mails = any(_is_mail(file) for file in files)

    def rows(self) -> Rows:
        for file in self.files:
            if has_surrogate(file.path):
                what = "folder" if has_surrogate(os.path.dirname(file.path)) else "file"  # noqa: PTH120
                yield Rejected(file.path, f"the {what}'s name is not UTF-8", "rename it")
            elif file.problem:
                yield Rejected(file.path, file.problem, READABLE)
            elif not (self.mails or _is_text(file.path)):
                self.notes.count(f"files passed over, which are neither mails nor {TEXT}", file.path)
            elif self.mails:
                yield from self._mails(file)
            else:
                yield self._text(file)

    def _mails(self, file: _File) -> Rows:
        try:
            with open(file.path, "rb") as opened:  # noqa: PTH123
                if not _begins_like_mail(file.path, opened):
                    self.notes.count("files passed over, which are no mails", file.path)
                    return
                opened.seek(0)
                mails = split_mails(opened)
                first, second = next(mails), next(mails, None)
                if second is None:
                    yield mail_row(first, file.path, "file", self.notes, file.label)
                    return
                yield mail_row(first, f"{file.path}, mail 1", "file", self.notes, file.label)
                yield mail_row(second, f"{file.path}, mail 2", "file", self.notes, file.label)
                for number, mail in enumerate(mails, start=3):
                    yield mail_row(mail, f"{file.path}, mail {number}", "file", self.notes, file.label)
        except OSError as error:
            yield Rejected(file.path, str(error.strerror), READABLE)

    def _text(self, file: _File) -> Row | Rejected:
        try:
            with open(file.path, "rb") as opened:  # noqa: PTH123
                raw = opened.read(LONGEST + 1)
        except OSError as error:
            return Rejected(file.path, str(error.strerror), READABLE)
        if len(raw) > LONGEST:
            return Rejected(file.path, f"longer than {LONGEST:,} bytes", "cut it or move it")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            encoding = guess(raw)
            text, lost = decoded(raw, encoding)
            if lost:
                self.notes.count("texts with lost characters", file.path)
            elif not raw.startswith(tuple(mark for mark, _ in MARKS)):
                self.notes.count(f"texts that are not UTF-8, read as {encoding}", file.path)
        return checked_row(file.path, text, ["file", "text"], [file.path, text], file.label)
