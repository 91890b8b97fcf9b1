"""Rows of files that hold many texts: .csv, .tsv, .jsonl, .txt; what is wrong with one stops none of the others."""

import csv
import json
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from spam_classifier.data.delimited import TooLong, csv_rows, tsv_rows
from spam_classifier.data.json_lines import Number, json_object
from spam_classifier.data.records import (
    Source,
    bounded_lines,
    decoded,
    find_column,
    has_surrogate,
    not_utf8_remedy,
    refused_line,
)
from spam_classifier.data.rows import Json, Rejected, Row, checked_row
from spam_classifier.errors import UserError
from spam_classifier.judging.verdict_columns import is_verdict_column

MOST_NAMES = 12  # that a message lists
Rows = Iterator[Row | Rejected]


def csv_table(source: Source, text_column: str) -> tuple[list[str], Rows]:
    """The columns of a .csv and its rows.

    Raises:
        UserError: The file is empty, or its header is malformed or lacks the column.
    """
    rows = csv_rows(source, "surrogateescape")
    _, header = _header(source, rows)
    column = text_column_of(source.name, header, text_column)
    return header, _fields_as_rows(rows, header, column)


def tsv_table(source: Source, text_column: str) -> tuple[list[str], Rows]:
    """The columns of a .tsv and its rows; without a header they are ``label`` and ``text``, as in training.

    Raises:
        UserError: The file is empty, or lacks the column.
    """
    rows = tsv_rows(source, "surrogateescape")
    line, header = _header(source, rows)
    if find_column(header, text_column) is None and text_column == "text" and len(header) == 2:
        names = ["label", "text"]
        return names, _fields_as_rows(chain([(line, header)], rows), names, 1)
    return header, _fields_as_rows(rows, header, text_column_of(source.name, header, text_column))


def _header(source: Source, rows: Iterator[tuple[int, list[str] | csv.Error]]) -> tuple[int, list[str]]:
    """The first row of a table, and its line."""
    line, header = next(rows, (0, None))
    if header is None:
        raise UserError(f"{source.name} is empty: write texts into it, or name another file")
    if isinstance(header, TooLong):
        raise refused_line(source, line)
    if isinstance(header, csv.Error):
        raise UserError(f"{source.name}, line {line}: malformed CSV ({header}); a .csv starts with its columns' names")
    return line, header


def text_column_of(name: str, header: Sequence[str], text_column: str) -> int:
    """Where the texts stand.

    Raises:
        UserError: No column has this name, or the header is not UTF-8.
    """
    if any(has_surrogate(column) for column in header):
        raise UserError(f"{name}: {not_utf8_remedy(name)}")
    column = find_column(header, text_column)
    if column is None:
        raise UserError(
            f"{name}: the columns are {_listed(header)}, without one {text_column!r}; name that of the texts with "
            "--text_column"
        )
    return column


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(map(reprlib.repr, names[:MOST_NAMES]))
    return listed + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def _fields_as_rows(rows: Iterable[tuple[int, list[str] | csv.Error]], names: list[str], column: int) -> Rows:
    for line, fields in rows:
        if isinstance(fields, TooLong):
            yield Rejected(line, str(fields))
        elif isinstance(fields, csv.Error):
            yield Rejected(line, f"malformed CSV ({fields})")
        elif len(fields) != len(names):
            yield Rejected(line, f"the number of fields is {len(fields)}, not {len(names)}")
        else:
            yield checked_row(line, fields[column], names, fields)


def json_lines_table(source: Source, text_column: str, into: str | None) -> tuple[list[str] | None, Rows]:
    """The rows of a .jsonl, and their columns where they go into a table.

    Args:
        source: The file.
        text_column: Member of the text.
        into: Suffix of the file that the verdicts go into, if any. If it is a table, the first object with a text
            decides for the columns of all: a member that is missing is None, and an object with another is rejected.
    """
    if into is None:
        return None, _json_rows(source, text_column)
    if into == ".jsonl":
        return None, _without_verdicts(_json_rows(source, text_column))
    first = next((row for row in _json_rows(source, text_column) if isinstance(row, Row)), None)
    columns = list(first.names) if first else [text_column]
    return columns, _aligned(_json_rows(source, text_column), columns)


def _json_rows(source: Source, text_column: str) -> Rows:
    with decoded(source, newline="\n", errors="surrogateescape") as file:
        for number, line in enumerate(bounded_lines(file, source), start=1):
            if line is None:
                yield Rejected(number, source.too_long)
            elif not line.isspace():
                try:
                    yield _json_row(number, line, text_column)
                except ValueError as error:
                    yield Rejected(number, str(error))


def _json_row(number: int, line: str, text_column: str) -> Row | Rejected:
    if has_surrogate(line):
        return Rejected(number, "not UTF-8")
    found = json_object(line)
    names = list(found)
    if any(has_surrogate(name) for name in names):
        return Rejected(number, "half of a surrogate pair")
    column = find_column(names, text_column)
    if column is None:
        return Rejected(number, f"no member {text_column!r} (see --text_column), only {_listed(names)}")
    values = [_cell(value, name, line) for name, value in found.items()]
    return checked_row(number, values[column], names, values)


def _cell(value: Any, name: str, line: str) -> str | None:
    if isinstance(value, Number):
        return Json(value)
    if isinstance(value, bool):
        return Json("true" if value else "false")
    if isinstance(value, dict | list):
        try:  # its numbers as numbers
            return Json(json.dumps(json.loads(line)[name], ensure_ascii=False, allow_nan=False))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name!r} can't be written again ({error})") from error
    return value


def _without_verdicts(rows: Rows) -> Rows:
    for row in rows:
        own = next(filter(is_verdict_column, row.names), None) if isinstance(row, Row) else None
        yield row if own is None else Rejected(row.place, f"has a member {own!r}, as verdicts have")


def _aligned(rows: Rows, columns: list[str]) -> Rows:
    own = set(columns)
    for row in rows:
        if isinstance(row, Row):
            members = dict(zip(row.names, row.values, strict=True))
            other = [name for name in members if name not in own]
            if other:
                yield Rejected(row.place, f"{_listed(other)} is no column of the first row (a .jsonl takes any)")
                continue
            row = row._replace(names=columns, values=[members.get(name) for name in columns])
        yield row


def line_rows(source: Source) -> Rows:
    """A text on each line, in a column ``text``."""
    with decoded(source, newline="\n", errors="surrogateescape") as file:
        for number, line in enumerate(bounded_lines(file, source), start=1):
            if line is None:
                yield Rejected(number, source.too_long)
                continue
            text = line.removesuffix("\n").removesuffix("\r")
            yield checked_row(number, text, ["text"], [text])
