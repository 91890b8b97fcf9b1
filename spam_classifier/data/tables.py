"""Rows of .csv, .tsv and .jsonl files and of lines of text. Each reader takes a source and a layout.

Texts are UTF-8, with or without a byte order mark. Bytes that are not UTF-8 are read as surrogates
(``surrogateescape``), so the one bad line is rejected, and its number is known without a second reading.
"""

import csv
import io
import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, NoReturn, TextIO

from spam_classifier.data.rows import (
    Input,
    Json,
    Layout,
    Rejected,
    Row,
    Rows,
    Source,
    checked_row,
    has_surrogate,
    listed,
    not_utf8,
)
from spam_classifier.errors import UserError

PIECE = 2**16  # characters of an overlong line that are skipped at a time

Fields = Iterator[tuple[int, list[str]] | Rejected]  # the line a row starts on, and its fields


def _opened(source: Source, newline: str) -> TextIO:
    return io.TextIOWrapper(source.open(), encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def _bounded_lines(file: TextIO, longest: int, ends: tuple[str, ...]) -> Iterator[str | None]:
    """The lines with their ends; None for one that is too long, which is skipped piece by piece."""
    while line := file.readline(longest + 1):
        if len(line) <= longest:
            yield line
            continue
        while line and not line.endswith(ends):
            line = file.readline(PIECE)
        yield None


def _too_long(source: Source, place: int) -> Rejected:
    return Rejected(place, f"longer than {source.longest:,} characters", "cut its text, or delete it")


def _lines(source: Source) -> Iterator[tuple[int, str] | Rejected]:
    """The numbered lines without their ends. Only a line feed ends one: other separators are part of a text."""
    with _opened(source, newline="\n") as file:
        for number, line in enumerate(_bounded_lines(file, source.longest, ("\n",)), start=1):
            if line is None:
                yield _too_long(source, number)
            elif has_surrogate(line):
                yield not_utf8(source.name, number)
            else:
                yield number, line[:-1].removesuffix("\r") if line.endswith("\n") else line


def text_lines(source: Source, layout: Layout) -> Input:
    """A text on each line, in a column ``text``."""
    rows = (
        line if isinstance(line, Rejected) else checked_row(line[0], line[1], ["text"], [line[1]])
        for line in _lines(source)
    )
    return Input(source.name, "line", ["text"], rows)


def tsv_table(source: Source, layout: Layout) -> Input:
    """A .tsv with named columns under a header, or with a label, a tab and a text on each line. Quotes are text."""
    remedy = "put one tab between fields and none into a text (a quoted .csv can hold tabs)"
    rows = _tsv_rows(source)
    place, header = _header(source, rows)
    # In training any names will do: a corpus without a header may go with another file whose columns are named.
    if layout.find(header) is None and len(header) == 2 and (layout.label is not None or layout.text == "text"):
        columns = (1, None if layout.label is None else 0)
        return _table(source, chain([(place, header)], rows), ["label", "text"], columns, remedy)
    columns = layout.find_or_refuse(f"{source.name}, line {place}", header)
    return _table(source, rows, header, columns, remedy)


def _tsv_rows(source: Source) -> Fields:
    for line in _lines(source):
        if isinstance(line, Rejected):
            yield line
        elif line[1]:
            yield line[0], line[1].split("\t")


def csv_table(source: Source, layout: Layout) -> Input:
    """A .csv with named columns under a header, quoted as in RFC 4180."""
    rows = _csv_rows(source)
    place, header = _header(source, rows)
    columns = layout.find_or_refuse(f"{source.name}, line {place}", header)
    return _table(source, rows, header, columns, "put a text that holds commas between quotes")


class _TooLong(csv.Error):
    pass


class _RowLines:
    """Lines for ``csv.reader``, which may join many into one row: counts them, and bounds what one row takes."""

    def __init__(self, file: TextIO, longest: int) -> None:
        self.lines = _bounded_lines(file, longest, ("\n", "\r"))
        self.longest = longest
        self.number = 0

    def begin_row(self) -> None:
        self.room = self.longest  # characters that are left to the row
        self.not_utf8 = False

    def __iter__(self) -> "_RowLines":
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.number += 1
        self.room -= len(line or "")
        if line is None or self.room < 0:
            raise _TooLong
        self.not_utf8 = self.not_utf8 or has_surrogate(line)
        return line


def _csv_rows(source: Source) -> Fields:
    """The rows that are not empty. After one that is malformed, the next row starts on the next line."""
    remedy = "put a text that holds quotes, commas or line breaks between quotes, and double each quote in it"
    csv.field_size_limit(source.longest)  # its own is 128 KiB
    with _opened(source, newline="") as file:
        lines = _RowLines(file, source.longest)
        reader = csv.reader(lines, strict=True)
        while True:
            place = lines.number + 1
            lines.begin_row()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except _TooLong:
                yield _too_long(source, place)
            except csv.Error as error:
                yield Rejected(place, f"malformed CSV ({error})", remedy)
            else:
                if lines.not_utf8:
                    yield not_utf8(source.name, place)
                elif fields:
                    yield place, fields


def _header(source: Source, rows: Fields) -> tuple[int, list[str]]:
    first = next(rows, None)
    if first is None:
        raise UserError(f"{source.name} is empty: write messages into it, or name another file")
    if isinstance(first, Rejected):
        raise UserError(f"{source.name}, line {first.place}: {first.reason}; {first.remedy}")
    return first


def _table(source: Source, rows: Fields, names: list[str], columns: tuple[int, int | None], remedy: str) -> Input:
    """Fields as rows; ``remedy`` is for those of another width, ``columns`` are of text and label."""
    text, label = columns

    def read() -> Rows:
        for row in rows:
            if isinstance(row, Rejected):
                yield row
                continue
            place, fields = row
            if len(fields) == len(names):
                yield checked_row(place, fields[text], names, fields, None if label is None else fields[label])
            else:
                reason = f"the number of fields is {len(fields)}, not {len(names)} ({listed(names)})"
                yield Rejected(place, reason, remedy)

    return Input(source.name, "line", names, read())


def json_lines(source: Source, layout: Layout) -> Input:
    """A .jsonl: a JSON object on each line; values other than strings are taken as they are written."""
    remedy = 'write one object on each line, as in {"label": "ham", "text": "Hi"}'

    def read() -> Rows:
        for line in _lines(source):
            if isinstance(line, Rejected):
                yield line
            elif line[1] and not line[1].isspace():
                try:
                    yield _json_row(*line, layout)
                except ValueError as error:
                    yield Rejected(line[0], str(error), remedy)

    return Input(source.name, "line", None, read())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_int=Json, parse_float=Json, parse_constant=_refuse_constant).decode


def _json_row(place: int, line: str, layout: Layout) -> Row | Rejected:
    try:
        found = _decode(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"malformed JSON ({error.msg}, column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"malformed JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    names = list(found)
    if any(map(has_surrogate, names)):
        raise ValueError("half of a surrogate pair")
    columns = layout.find(names)
    if columns is None:
        wanted = [repr(name) for name in (layout.label, layout.text) if name is not None]
        raise ValueError(f"no member {' and '.join(wanted)}, only {listed(names)} ({layout.remedy})")
    text, label = columns
    if label is not None:  # nothing else is used in training
        if not isinstance(found[names[label]], str | bool):  # a number is a str here
            raise ValueError("the label is not a string, a number or a boolean")
        names, text, label = [names[text], names[label]], 0, 1
    values = [_written(found[name], name, line) for name in names]
    return checked_row(place, values[text], names, values, None if label is None else values[label])


def _written(value: Any, name: str, line: str) -> str | None:
    """A member's value: a string or None as it is, others as JSON."""
    if isinstance(value, bool):
        return Json("true" if value else "false")
    if isinstance(value, dict | list):
        try:  # its numbers as numbers
            return Json(json.dumps(json.loads(line)[name], ensure_ascii=False, allow_nan=False))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name!r} can't be written again ({error})") from error
    return value


READERS = {".csv": csv_table, ".tsv": tsv_table, ".jsonl": json_lines, ".ndjson": json_lines, ".txt": text_lines}


def open_table(source: Source, suffix: str, layout: Layout) -> Input:
    """The rows of a file of one of READERS' kinds, or of a .parquet.

    Raises:
        UserError: It is empty, its header can't be read, or it lacks the columns.
    """
    if suffix == ".parquet":
        from spam_classifier.data.parquet import parquet_table  # an extra, which may be missing

        return parquet_table(source, layout)
    return READERS[suffix](source, layout)
