"""The fields of a table's rows, read row by row, and how they are separated and quoted.

That is found out from the first rows and, where they can't tell, from all.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TextIO

from spam_classifier.data.columns import Layout, named_columns
from spam_classifier.data.rows import Rejected, Source
from spam_classifier.data.text_files import Encoding, opened_text

PIECE = 2**16  # characters of an overlong line that are skipped at a time
SAMPLE = 2**15  # characters at the start of a file
SAMPLE_ROWS = 500
LEAST_ROWS = 10  # that show a file to be unquoted
SEPARATORS = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar"}
SEPARATOR_LINE = re.compile(r""""?sep=(\t|[^\w\s"'\\\0])"?\r?\n""", re.IGNORECASE)  # Excel's own
QUOTED = re.compile(r'"(?:[^"]|"")*"')  # a whole field
NEEDS_QUOTES = re.compile(r'["\t\r]')  # within the quotes: else no writer had to quote


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
    """The rows of a file; blank lines are rows without fields."""
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


class Table(NamedTuple):
    """A dialect, and the rows that a look at the start of the file gave."""

    dialect: Dialect
    rows: list[Fields]


def find_dialect(source: Source, encoding: Encoding, suffix: str, layout: Layout) -> Table:
    """Find out how the fields of a table are separated and quoted, and read its first rows.

    Quotes in a file with tabs are text, as in the SMS Spam Collection, unless they are those of a writer that quotes.
    """
    with source.open() as file:
        text = opened_text(file, encoding, newline="")
        start = text.read(SAMPLE)
        whole = not text.read(1)
    line = SEPARATOR_LINE.match(start)
    first = "," if suffix == ".csv" else "\t"
    separators = [line[1]] if line else sorted(SEPARATORS, key=lambda separator: separator != first)
    tables: list[tuple[tuple[bool, float], Table]] = []
    for separator in separators:
        for quote in ('"', "'", None):
            if quote == "'" and (separator == "\t" or f"{separator}'" not in start):
                continue
            table, share = _sampled(Dialect(separator, quote, skipped=int(line is not None)), start, whole)
            if quote is None and separator != "\t" and not _is_unquoted(table, share):
                continue
            named = bool(table.rows) and named_columns(table.rows[0][1], layout) is not None
            tables.append(((named, share), table))
            if share == 1 and (named or separator == first):
                return _with_quotes(table, source, encoding, start, whole)
    best = max(tables, key=lambda scored: scored[0])[1]  # the first of them
    return _with_quotes(best, source, encoding, start, whole)


def _sampled(dialect: Dialect, start: str, whole: bool) -> tuple[Table, float]:
    """The first rows, and the share of them that have as many fields as the first one, two or more."""
    found = list(islice(read_fields(io.StringIO(start, newline=dialect.newline), dialect, SAMPLE), SAMPLE_ROWS))
    if not whole and len(found) > 1:
        found.pop()  # it may have been cut
    rows = [row for row in found if not isinstance(row, Rejected) and row[1]]
    if not rows or len(rows[0][1]) < 2:
        return Table(dialect, rows), 0.0
    wide = sum(fits(fields, rows[0][1]) for _, fields in rows)
    return Table(dialect, rows), wide / (len(rows) + sum(isinstance(row, Rejected) for row in found))


def _is_unquoted(table: Table, share: float) -> bool:
    """Whether quotes seem to be text although commas separate the fields: all rows fit, and no field is in quotes."""
    fields = [field for _, row in table.rows for field in row]
    return share == 1 and len(table.rows) >= LEAST_ROWS and not any(map(QUOTED.fullmatch, fields))


def fits(fields: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a row has the number of fields that the first one has, give or take blank ones at the end."""
    return len(fields) == len(names) or not any(
        field.strip() for field in [*fields[len(names) :], *names[len(fields) :]]
    )


def _with_quotes(table: Table, source: Source, encoding: Encoding, start: str, whole: bool) -> Table:
    """The table as it is quoted in the whole file, where its first rows can't tell."""
    dialect = table.dialect
    if not table.rows or dialect.quote == "'" or (dialect.quote is None and dialect.separator != "\t"):
        return table
    names = table.rows[0][1]
    if dialect.separator == "\t":
        quoted = encoding.leading_quotes and _tabs_are_quoted(source, encoding, dialect, names)
        dialect = dialect._replace(quote='"' if quoted else None)
    elif encoding.escaped_quotes:
        tried = (dialect, dialect._replace(escaped=True))
        dialect = min(tried, key=lambda own: _faults(source, encoding, own, names))
    return table if dialect == table.dialect else _sampled(dialect, start, whole)[0]


def _tabs_are_quoted(source: Source, encoding: Encoding, dialect: Dialect, names: Sequence[str]) -> bool:
    """Whether the fields that begin with a quote are quoted ones.

    They are if each of them is well formed, and one of them holds something that has to be quoted, or each row has one.
    If lines have other numbers of fields, since some hold tabs or are a part of a text, the better reading decides.
    """
    unquoted, quoted = dialect._replace(quote=None), dialect._replace(quote='"')
    whole, needed = True, False
    faults = rows = rows_with_quotes = 0
    with source.open() as file:
        for line in read_lines(opened_text(file, encoding, unquoted.newline), source.longest):
            text = "" if isinstance(line, Rejected) else line[1]
            if '"' not in text and text.count("\t") == len(names) - 1:  # as most lines are
                rows += 1
            elif text and fits(fields := text.split("\t"), names):
                leading = [field for field in fields if field.startswith('"')]
                whole = whole and all(map(QUOTED.fullmatch, leading))
                needed = needed or any(NEEDS_QUOTES.search(field[1:-1]) for field in leading)
                rows += 1
                rows_with_quotes += bool(leading)
            else:
                faults += bool(text) or isinstance(line, Rejected)
    if whole and not faults:
        return needed or rows_with_quotes >= max(2, rows - 1)  # the names may be without
    return (needed or faults > 0) and _faults(source, encoding, quoted, names, most=max(1, faults)) < max(1, faults)


def _faults(source: Source, encoding: Encoding, dialect: Dialect, names: Sequence[str], most: int | None = None) -> int:
    """The rows of a file that are malformed, or have another number of fields; counts no further than ``most``."""
    with source.open() as file:
        rows = read_fields(opened_text(file, encoding, dialect.newline), dialect, source.longest)
        faulty = (1 for row in rows if isinstance(row, Rejected) or (row[1] and not fits(row[1], names)))
        return sum(islice(faulty, most))
