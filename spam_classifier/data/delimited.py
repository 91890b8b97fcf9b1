"""Messages out of .tsv and .csv files."""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain

from spam_classifier.data.records import Record, Source, decoded, empty_file, find_columns, missing_columns
from spam_classifier.errors import UserError

LONGEST_FIELD = 2**31 - 1  # characters; csv's own limit is 128 KiB

Fields = tuple[int, list[str]]  # the line a row starts on, its fields


def tsv_records(source: Source, label_column: str, text_column: str) -> Iterator[Record]:
    """The messages of a .tsv: named columns under a header, or a label, a tab and a text on each line.

    Raises:
        UserError: The file is empty or not UTF-8, or a line has too few or too many fields.
    """
    rows = _tsv_rows(source)
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
    rows = _csv_rows(source)
    first = next(rows, None)
    if first is None:
        raise empty_file(source)
    line, header = first
    columns = find_columns(header, label_column, text_column)
    if columns is None:
        raise missing_columns(f"{source.name}, line {line}", header, label_column, text_column)
    return _records(rows, header, columns, source, "put a text that holds commas between quotes")


def _tsv_rows(source: Source) -> Iterator[Fields]:
    # Neither splitlines nor csv: quotes and all other line separators are part of a message.
    with decoded(source, newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith("\n"):
                line = line[:-1].removesuffix("\r")
            if line:
                yield number, line.split("\t")


def _csv_rows(source: Source) -> Iterator[Fields]:
    csv.field_size_limit(LONGEST_FIELD)
    with decoded(source, newline="") as file:
        reader = csv.reader(file, strict=True)
        line = 1
        try:
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(
                f"{source.name}, line {line}: malformed CSV ({error}); put a text that holds quotes, commas or line "
                "breaks between quotes, and double each quote in it"
            ) from error


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
