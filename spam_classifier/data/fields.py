"""The fields of a table's rows, read row by row from text."""

import csv
from collections.abc import Iterator
from typing import NamedTuple, TextIO

from spam_classifier.data.rows import Rejected

PIECE = 2**16  # characters of an overlong line that are skipped at a time


class Dialect(NamedTuple):
    """How fields are separated and quoted."""

    separator: str
    quote: str | None = '"'  # None where quotes are text
    escaped: bool = False  # whether a quote within a field has a backslash before it, instead of being doubled
    skipped: int = 0  # lines before the first row

    @property
    def newline(self) -> str:
        """How a text file has to be opened: only a line feed ends a row where nothing is quoted."""
        return "\n" if self.quote is None else ""


Fields = tuple[int, list[str]]  # the line a row starts on, and its fields; none in a blank line


def read_fields(file: TextIO, dialect: Dialect, longest: int) -> Iterator[Fields | Rejected]:
    """The rows of a file; blank lines are rows without fields.

    Args:
        file: The file, opened with the dialect's ``newline``.
        dialect: How its fields are separated and quoted.
        longest: The most characters of a row.
    """
    for _ in range(dialect.skipped):
        file.readline()
    return _plain_fields(file, dialect, longest) if dialect.quote is None else _quoted_fields(file, dialect, longest)


def _plain_fields(file: TextIO, dialect: Dialect, longest: int) -> Iterator[Fields | Rejected]:
    for line in read_lines(file, longest, start=1 + dialect.skipped):
        yield line if isinstance(line, Rejected) else (line[0], line[1].split(dialect.separator) if line[1] else [])


def read_lines(file: TextIO, longest: int, start: int = 1) -> Iterator[tuple[int, str] | Rejected]:
    """The numbered lines without their ends. Only a line feed ends one: other separators are part of a text."""
    number = start
    while line := file.readline(longest + 1):
        if len(line) <= longest:
            yield number, line[:-1].removesuffix("\r") if line.endswith("\n") else line
        else:
            while line and not line.endswith("\n"):
                line = file.readline(PIECE)
            yield _too_long(number, longest)
        number += 1


def _too_long(place: int, longest: int) -> Rejected:
    return Rejected(place, f"longer than {longest:,} characters", "cut its text, or delete it")


class _TooLong(csv.Error):
    pass


class _RowLines:
    """Lines for ``csv.reader``, which may join many into one row: counts them, and bounds what one row takes.

    Attributes:
        number: Lines so far.
        room: Characters that are left to the row; its reader sets it for each.
    """

    def __init__(self, file: TextIO, longest: int, number: int) -> None:
        self.file = file
        self.number = number
        self.room = self.longest = longest

    def __iter__(self) -> "_RowLines":
        return self

    def __next__(self) -> str:
        line = self.file.readline(self.longest + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.room -= len(line)
        if self.room < 0:
            while line and not line.endswith(("\n", "\r")):
                line = self.file.readline(PIECE)
            raise _TooLong
        return line


def _quoted_fields(file: TextIO, dialect: Dialect, longest: int) -> Iterator[Fields | Rejected]:
    """After a row that is malformed, the next row starts on the next line."""
    remedy = "put a text that holds quotes, separators or line breaks between quotes, and double each quote in it"
    csv.field_size_limit(longest)  # its own is 128 KiB
    lines = _RowLines(file, longest, dialect.skipped)
    quote, escape = dialect.quote or '"', "\\" if dialect.escaped else None
    reader = csv.reader(lines, strict=True, delimiter=dialect.separator, quotechar=quote, escapechar=escape)
    while True:
        place = lines.number + 1
        lines.room = longest
        try:
            fields = next(reader)
        except StopIteration:
            return
        except _TooLong:
            yield _too_long(place, longest)
        except csv.Error as error:
            yield Rejected(place, f"malformed ({error})", remedy)
        else:
            yield place, fields
