"""Where texts to classify come from: arguments, standard input, files, e-mails, uploads."""

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, cast

from spam_classifier.data.columns import Layout, listed
from spam_classifier.data.folders import folder_texts
from spam_classifier.data.formats import open_messages, suffix_of
from spam_classifier.data.rows import Input, Rejected, Row, Rows, Source, checked_row
from spam_classifier.data.tables import piped_lines
from spam_classifier.errors import UserError
from spam_classifier.judging.columns import is_prediction_column


def argument_input(texts: Sequence[str]) -> Input:
    """Texts that were typed."""
    rows = (checked_row(number, text, ["text"], [text]) for number, text in enumerate(texts, start=1))
    return Input("the command line", "text", ["text"], rows, len(texts))


def standard_input(encoding: str | None) -> Input:
    """A text on each line; UTF-8 unless the encoding is given or there is a byte order mark."""
    return piped_lines("standard input", cast(io.BufferedReader, sys.stdin.buffer), encoding)


def open_input(path: Path, layout: Layout, into: str | None) -> Input:
    """The texts of a file, or of a directory of e-mails or .txt files.

    ``into`` is the suffix of the file that the labels go into, if any: all rows of a table need the same columns.
    """
    try:
        if path.is_dir():
            return folder_texts(path)
        path.open("rb").close()
        return _opened(Source(str(path), lambda: path.open("rb")), suffix_of(path), layout, into)
    except OSError as error:
        raise UserError(f"cannot read --input {path}: {error.strerror}; name a file that can be read") from error


def open_upload(name: str, content: bytes, layout: Layout) -> Input:
    """The texts of an uploaded file, as ``open_input`` reads them. Its name is only for the suffix and for messages."""
    return _opened(Source(name, lambda: io.BytesIO(content)), suffix_of(PurePath(name)), layout, None)


def _opened(source: Source, suffix: str, layout: Layout, into: str | None) -> Input:
    found = open_messages(source, suffix, layout)
    if found.columns is not None or into is None:
        return found
    if into == ".jsonl":
        return replace(found, rows=_without_own_labels(found.rows))
    # The first object with a text decides on the columns of the table.
    first = next((row for row in found.rows if isinstance(row, Row)), None)
    columns = list(first.names) if first else [*(layout.texts or ["text"])]
    again = open_messages(source, suffix, layout)
    return replace(again, columns=columns, rows=_aligned(again.rows, columns))


def _without_own_labels(rows: Rows) -> Rows:
    for row in rows:
        own = next(filter(is_prediction_column, row.names), None) if isinstance(row, Row) else None
        yield row if own is None else Rejected(row.place, f"has a member {own!r}, which the output adds itself")


def _aligned(rows: Rows, columns: list[str]) -> Rows:
    """A member that is missing is None, and a row with another one is rejected."""
    own = set(columns)
    for row in rows:
        if isinstance(row, Row):
            members: dict[str, Any] = dict(zip(row.names, row.values, strict=True))
            other = [name for name in members if name not in own]
            if other:
                yield Rejected(row.place, f"{listed(other)} is no column of the first row (a .jsonl takes any)")
                continue
            row = row._replace(names=columns, values=[members.get(name) for name in columns])
        yield row
