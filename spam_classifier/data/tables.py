"""Rows of text files: tables such as .csv and .tsv, and lines of text."""

from collections.abc import Collection, Sequence
from io import BufferedReader

from spam_classifier.data.columns import Columns, Layout, find_columns, joined, listed, say_columns
from spam_classifier.data.dialects import SEPARATORS, Dialect, Table, find_dialect, read_fields, read_lines
from spam_classifier.data.rows import (
    BLANK_ROWS,
    Input,
    Notes,
    Rejected,
    Rows,
    Source,
    checked_row,
    has_surrogate,
    is_blank,
)
from spam_classifier.data.text_files import (
    UTF_8,
    Encoding,
    marked_encoding,
    named_encoding,
    opened_text,
    said_encoding,
    undecodable,
)
from spam_classifier.errors import UserError

COLLECTION = Dialect("\t", quote=None)  # of the SMS Spam Collection: a label, a tab and a text on each line
OPEN_QUOTE = "close it, or double each quote that belongs to the text"


def text_lines(source: Source, encoding: Encoding, notes: Notes, flag: str) -> Input:
    """A text on each line, in a column ``text``; ``flag`` is that of the encoding."""

    def read() -> Rows:
        with source.open() as file:
            for line in read_lines(opened_text(file, encoding, newline="\n"), source.longest):
                if isinstance(line, Rejected):
                    yield line
                elif has_surrogate(line[1]):
                    yield undecodable(line[0], encoding, flag)
                elif is_blank(line[1]):
                    notes.count(BLANK_ROWS)
                else:
                    yield checked_row(line[0], line[1], ["text"], [line[1]])

    return Input(source.name, "line", ["text"], read(), notes=notes, byte_order_mark=encoding.marked_output)


def piped_lines(name: str, stream: BufferedReader, given: str | None) -> Input:
    """A text on each line of a stream, which can be read only once."""
    encoding = marked_encoding(stream.peek(4)) if given is None else named_encoding(given, "--encoding")
    return text_lines(Source(name, lambda: stream), encoding, Notes(), "--encoding")


def collection_table(source: Source) -> Input:
    """The labelled rows of the SMS Spam Collection, whose format is known."""
    return _table(
        source, UTF_8, Table(COLLECTION, []), ["label", "text"], Columns((1,), 0, None, False), Layout(), Notes()
    )


def delimited_table(source: Source, suffix: str, layout: Layout) -> Input:
    """A table of text: of any separator, quoting and encoding, with a header or without one."""
    encoding, notes = said_encoding(source, layout.encoding, layout.flag("encoding"))
    table = find_dialect(source, encoding, suffix, layout)
    if suffix == ".txt" and not layout.labelled and not _has_labels(table):
        return text_lines(source, encoding, notes, layout.flag("encoding"))
    if not table.rows:
        raise UserError(f"{source.name} is empty: write messages into it, or name another file")
    dialect, (place, names) = table.dialect, table.rows[0]
    rows = [fields for _, fields in table.rows]
    columns = find_columns(f"{source.name}, line {place}", rows, layout, tabs=dialect.separator == "\t")
    if dialect.separator != ("," if suffix == ".csv" else "\t"):
        notes.assume(f"fields separated by {SEPARATORS.get(dialect.separator, repr(dialect.separator))}")
    if dialect.escaped:
        notes.assume("quotes escaped by backslashes")
    if dialect.quote == "'" or (dialect.separator == "\t" and dialect.quote):
        notes.assume(f"texts quoted by {dialect.quote}")
    say_columns(notes, names, columns, layout)
    if not columns.header:
        names = [f"column {number}" for number in range(1, len(names) + 1)]
        if len(columns.text) == 1 and columns.text[0] < 2:  # the other one of the first two
            names[columns.text[0]], names[1 - columns.text[0]] = "text", "label"
    return _table(source, encoding, table, names, columns, layout, notes)


def _has_labels(table: Table) -> bool:
    """Whether each line of a .txt holds a label and a tab before its text, as in the SMS Spam Collection."""
    rows = [fields for _, fields in table.rows]
    if table.dialect.separator != "\t" or len(rows) < 3 or any(len(fields) != 2 for fields in rows):
        return False
    return 2 * len({fields[0] for fields in rows}) <= len(rows)


def _table(
    source: Source,
    encoding: Encoding,
    table: Table,
    names: Sequence[str],
    columns: Columns,
    layout: Layout,
    notes: Notes,
) -> Input:
    dialect = table.dialect
    spilled, label = columns.spilled, columns.label
    kept = list(names)
    if spilled is not None:
        del kept[spilled]
    text = columns.text[0]
    plain = len(columns.text) == 1 and spilled is None

    def read() -> Rows:
        with source.open() as file:
            rows = read_fields(opened_text(file, encoding, dialect.newline), dialect, source.longest)
            header = columns.header
            labels: set[str] = set()
            for row in rows:
                if isinstance(row, Rejected):
                    yield row
                    continue
                place, fields = row
                if header and fields:
                    header = False
                    continue
                if len(fields) != len(names):
                    fitted = _fitted(fields, names, spilled, dialect.separator)
                    if fitted is None and not _all_blank(fields):
                        yield _other_width(place, len(fields), names, dialect)
                        continue
                    fields = fitted or [""] * len(names)
                found = fields[text] if plain else joined(fields, columns, dialect.separator, notes)
                if (not found or found.isspace()) and _all_blank(fields):
                    notes.count(BLANK_ROWS)
                    continue
                if "\n" in found and dialect.quote and _holds_row(found, len(names), label, labels, dialect.separator):
                    if label is not None:
                        yield Rejected(place, "its text holds further rows: a quote in it is not closed", OPEN_QUOTE)
                        continue
                    notes.count("texts with a line like a row, as after a quote that is not closed", f"line {place}")
                if spilled is not None:
                    fields[text] = found
                    del fields[spilled]
                if encoding.damaged and any(map(has_surrogate, fields)):
                    yield undecodable(place, encoding, layout.flag("encoding"))
                elif label is None:
                    yield checked_row(place, found, kept, fields)
                else:  # nothing else is used in training
                    labels.add(fields[label])
                    yield checked_row(place, found, (), (), fields[label])

    return Input(
        source.name,
        "line",
        kept,
        read(),
        notes=notes,
        read_from=columns.typed(names),
        separator=dialect.separator,
        byte_order_mark=encoding.marked_output,
    )


def _fitted(fields: list[str], names: Sequence[str], spilled: slice | None, separator: str) -> list[str] | None:
    """A row with as many fields as names: blank ones at the end are added or cut, and a text spills on; else None."""
    width = len(names)
    if len(fields) < width:
        return None if any(name.strip() for name in names[len(fields) :]) else [*fields, *[""] * (width - len(fields))]
    if _all_blank(fields[width:]):
        return fields[:width]
    if spilled is None or spilled.stop != width:
        return None
    return [*fields[: width - 1], separator.join(fields[width - 1 :])]


def _holds_row(text: str, width: int, label: int | None, labels: Collection[str], separator: str) -> bool:
    """Whether a line of a text looks like a row: as wide, and with a known label where there are labels.

    A line such as ``1,000 people`` is none: with two columns, a label that is a number does not count.
    """
    for line in text.split("\n")[1:]:
        fields = line.rstrip("\r").split(separator)
        if label is None:
            if len(fields) == width > 2:
                return True
        elif len(fields) >= width:
            found = {fields[label], fields[label - width]} & set(labels)
            if found and (width > 2 or not all(map(str.isdigit, found))):
                return True
    return False


def _all_blank(fields: Sequence[str]) -> bool:
    return all(map(is_blank, fields))


def _other_width(place: int, number: int, names: Sequence[str], dialect: Dialect) -> Rejected:
    separator = SEPARATORS.get(dialect.separator, repr(dialect.separator))
    remedy = f"put a text that holds {separator} between quotes"
    if dialect.quote is None:
        remedy = f"put {separator} between fields, and none into a text"
    return Rejected(place, f"the number of fields is {number}, not {len(names)} ({listed(names)})", remedy)
