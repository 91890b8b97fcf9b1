"""Where texts to judge come from: arguments, standard input, files, e-mails."""

import hashlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spam_classifier.data.mails import MOST_BYTES, email_text
from spam_classifier.data.records import Source
from spam_classifier.data.rows import Input, Rejected, Row, checked_row
from spam_classifier.data.table_rows import csv_table, json_lines_table, line_rows, tsv_table
from spam_classifier.errors import UserError

EMAIL = ".eml"
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt", EMAIL)


def argument_input(texts: Sequence[str]) -> Input:
    """Texts that were typed."""
    rows = (checked_row(number, text, ["text"], [text]) for number, text in enumerate(texts, start=1))
    return Input("the command line", "text", ["text"], rows, len(texts))


def standard_input() -> Input:
    """A text on each line of standard input."""
    name = "standard input"
    return Input(name, "line", ["text"], line_rows(Source(name, lambda: sys.stdin.buffer)))


def open_input(path: Path, text_column: str, into: str | None) -> Input:
    """The texts of a file, or of a directory of e-mails.

    Args:
        path: The file or directory.
        text_column: Column of the text where columns have names, in this case or, if unique, in any other.
        into: Suffix of the file that the verdicts go into, if any: the rows of a table all have the same columns.

    Raises:
        UserError: It can't be read, is of another kind, is empty, or lacks the column.
    """
    try:
        return _opened(path, text_column, into)
    except OSError as error:
        raise UserError(f"cannot read --input {path}: {error.strerror}; name a file that can be read") from error


def open_upload(name: str, content: bytes, text_column: str, into: str | None = None) -> Input:
    """The texts of a file's content.

    Args:
        name: The file's name; its suffix tells the format.
        content: Its bytes.
        text_column: As for ``open_input``.
        into: As for ``open_input``.

    Raises:
        UserError: The format is unknown, or the content is empty or lacks the column.
    """
    suffix, source = Path(name).suffix.lower(), Source(name, lambda: io.BytesIO(content))
    columns: Sequence[str] | None = ["text"]
    if suffix == ".parquet":
        from spam_classifier.data.parquet_rows import parquet_table

        schema, total, rows = parquet_table(_Named(name, content), text_column)  # type: ignore[arg-type]
        return Input(name, "row", schema.names, rows, total)
    if suffix == EMAIL:
        try:
            row = checked_row(name, email_text(content), ["text"], [])
        except ValueError as error:
            row = Rejected(name, str(error))
        return Input(name, "file", columns, iter([row]), 1)
    if suffix not in SUFFIXES:
        raise UserError(f"{name}: unknown format; accepted are {', '.join(SUFFIXES)}")
    if suffix == ".csv":
        columns, rows = csv_table(source, text_column)
    elif suffix == ".tsv":
        columns, rows = tsv_table(source, text_column)
    elif suffix == ".txt":
        rows = line_rows(source)
    else:
        columns, rows = json_lines_table(source, text_column, into)
    return Input(name, "line", columns, rows)


class _Named(io.BytesIO):
    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name

    def __str__(self) -> str:
        return self.name


def _opened(path: Path, text_column: str, into: str | None) -> Input:
    name, suffix, status = str(path), path.suffix.lower(), path.stat()
    if path.is_dir():
        return _emails(path)
    if suffix not in SUFFIXES:
        raise UserError(
            f"--input {path}: unknown format; accepted are {', '.join(SUFFIXES)} and a directory of {EMAIL}"
        )
    path.open("rb").close()
    identity: dict[str, Any] = {"path": str(path.resolve()), "bytes": status.st_size, "changed": status.st_mtime_ns}
    source = Source(name, lambda: path.open("rb"))
    if suffix == ".parquet":
        from spam_classifier.data.parquet_rows import parquet_table  # an extra, which others need not have

        schema, total, rows = parquet_table(path, text_column)
        return Input(name, "row", schema.names, rows, total, identity, schema)
    if suffix == EMAIL:
        return Input(name, "file", ["file", "text"], _email_rows([name]), 1, identity)
    columns: Sequence[str] | None
    if suffix == ".csv":
        columns, rows = csv_table(source, text_column)
    elif suffix == ".tsv":
        columns, rows = tsv_table(source, text_column)
    elif suffix == ".txt":
        columns, rows = ["text"], line_rows(source)
    else:
        columns, rows = json_lines_table(source, text_column, into)
    return Input(name, "line", columns, rows, identity=identity)


def _emails(directory: Path) -> Input:
    with os.scandir(directory) as entries:
        found = sorted(
            (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
            for entry in entries
            if entry.name.lower().endswith(EMAIL) and not entry.name.startswith(".") and entry.is_file()
        )
    if not found:
        raise UserError(f"--input {directory} holds no {EMAIL} files: name the directory that does")
    digest = hashlib.sha256(repr(found).encode("utf-8", "surrogateescape")).hexdigest()
    paths = [os.path.join(directory, name) for name, *_ in found]  # noqa: PTH118  (a Path for each takes seconds)
    identity = {"path": str(directory.resolve()), "files": len(paths), "digest": digest}
    return Input(str(directory), "file", ["file", "text"], _email_rows(paths), len(paths), identity)


def _email_rows(paths: Sequence[str]) -> Iterator[Row | Rejected]:
    for path in paths:
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                text = email_text(file.read(MOST_BYTES + 1))
        except OSError as error:
            yield Rejected(path, str(error.strerror))
        except ValueError as error:
            yield Rejected(path, str(error))
        else:
            yield checked_row(path, text, ["file", "text"], [path, text])
