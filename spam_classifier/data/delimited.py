"""Messages out of .tsv and .csv files."""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TextIO

from spam_classifier.data.records import (
    Record,
    Source,
    bounded_lines,
    decoded,
    empty_file,
    find_columns,
    missing_columns,
    refused_line,
)
from spam_classifier.errors import UserError

Fields = tuple[int, list[str]]  # the line a row starts on, its fields


class TooLong(csv.Error):
    """A row is longer than any message."""


def tsv_records(source: Source, label_column: str, text_column: str) -> Iterator[Record]:
    """The messages of a .tsv: named columns under a header, or a label, a tab and a text on each line.

    Raises:
        UserError: The file is empty or not UTF-8, or a line has too few or too many fields.
    """
    rows = _bounded(source)
    remedy = "put one tab between fields and none into a text (a quoted .csv can hold tabs)"
    first = next(rows, None)
    if first is None:
        raise empty_file(source)
    columns = find_columns(first[1], label_column, text_column)
    if columns is not None:
        return _records(rows, first[1], columns, source, remedy)
    remedy += ", or name the columns of a header with --data.label_column and --data.text_column"
    return _records(chain([first], rows), ["label", "text"], (0, 1), source, remedy)


def csv_records(source: Source, label_column: str, text_column: str) -> Iterator[Record]:
    """The messages of a .csv, which has a header and is quoted as in RFC 4180.

    Raises:
        UserError: The file is empty, malformed or not UTF-8, or lacks the columns.
    """
    rows = _well_formed(source)
    first = next(rows, None)
    if first is None:
        raise empty_file(source)
    line, header = first
    columns = find_columns(header, label_column, text_column)
    if columns is None:
        raise missing_columns(f"{source.name}, line {line}", header, label_column, text_column)
    return _records(rows, header, columns, source, "put a text that holds commas between quotes")


def tsv_rows(source: Source, errors: str = "strict") -> Iterator[tuple[int, list[str] | TooLong]]:
    """The rows of a .tsv that are not empty; ``errors`` is for bytes that are not UTF-8, as for ``open``."""
    # Neither splitlines nor csv: quotes and all other line separators are part of a message.
    with decoded(source, newline="\n", errors=errors) as file:
        for number, line in enumerate(bounded_lines(file, source), start=1):
            if line is None:
                yield number, TooLong(source.too_long)
                continue
            if line.endswith("\n"):
                line = line[:-1].removesuffix("\r")
            if line:
                yield number, line.split("\t")


class _RowLines:
    """Lines for the reader of a .csv, which may put many into one row: counted, and no longer than a row may be."""

    def __init__(self, file: TextIO, source: Source) -> None:
        self.source = source
        self.lines = bounded_lines(file, source, ends=("\n", "\r"))
        self.number = 0
        self.room = source.longest

    def __iter__(self) -> "_RowLines":
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.number += 1
        self.room -= len(line or "")
        if line is None or self.room < 0:
            raise TooLong(self.source.too_long)
        return line


def csv_rows(source: Source, errors: str = "strict") -> Iterator[tuple[int, list[str] | csv.Error]]:
    """The rows of a .csv that are not empty; a malformed one is an error, and the next one starts on the next line.

    Args:
        source: The file.
        errors: What becomes of bytes that are not UTF-8, as for ``open``.
    """
    csv.field_size_limit(source.longest)  # its own is 128 KiB
    with decoded(source, newline="", errors=errors) as file:
        lines = _RowLines(file, source)
        reader = csv.reader(lines, strict=True)
        line = 1
        while True:
            lines.room = source.longest
            try:
                fields: list[str] | csv.Error | None = next(reader, None)
            except csv.Error as error:
                fields = error
            if fields is None:
                return
            if fields:
                yield line, fields
            line = lines.number + 1


def _bounded(source: Source) -> Iterator[Fields]:
    for line, fields in tsv_rows(source):
        if isinstance(fields, TooLong):
            raise refused_line(source, line)
        yield line, fields


def _well_formed(source: Source) -> Iterator[Fields]:
    for line, fields in csv_rows(source):
        if isinstance(fields, TooLong):
            raise refused_line(source, line)
        if isinstance(fields, csv.Error):
            raise UserError(
                f"{source.name}, line {line}: malformed CSV ({fields}); put a text that holds quotes, commas or line "
                "breaks between quotes, and double each quote in it"
            ) from fields
        yield line, fields


def _records(
    rows: Iterable[Fields], names: list[str], columns: tuple[int, int], source: Source, remedy: str
) -> Iterator[Record]:
    """Label and text of each row; ``remedy`` is for rows of another width."""
    label, text = columns
    width = len(names)
    for line, fields in rows:
        if len(fields) != width:
            raise UserError(
                f"{source.name}, line {line}: the number of fields is {len(fields)}, not {width} "
                f"({', '.join(names)}); {remedy}"
            )
        yield line, fields[label], fields[text]
