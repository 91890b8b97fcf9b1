"""Rows of text files: tables such as .csv and .tsv, and lines of text."""

from collections.abc import Collection, Sequence
from io import BufferedReader

from spam_classifier.data.columns import Columns, Layout, find_columns, joined, listed, say_columns
from spam_classifier.data.dialects import SEPARATORS, Table, find_dialect
from spam_classifier.data.fields import Dialect, read_fields, read_lines
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
    """A text on each line of a stream, which can be read only once.

    Args:
        name: What messages call it.
        stream: The stream.
        given: Its encoding as the user typed it; default: by its byte order mark, else UTF-8.

    Raises:
        UserError: The encoding is unknown.
    """
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
        if len(names) == 2:
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
    width, spilled = len(names), columns.spilled
    least = max((number for number, name in enumerate(names, start=1) if name.strip()), default=width)
    kept = list(names)
    if spilled is not None:
        del kept[spilled]
    (text, *others), label = columns.text, columns.label
    plain = not others and spilled is None

    def read() -> Rows:
        with source.open() as file:
            rows = read_fields(opened_text(file, encoding, dialect.newline), dialect, source.longest)
            first = columns.header
            labels: set[str] = set()
            for row in rows:
                if isinstance(row, Rejected):
                    yield row
                    continue
                place, fields = row
                if first and fields:
                    first = False
                    continue
                if len(fields) != width:
                    if is_all_blank(fields):
                        notes.count(BLANK_ROWS)
                        continue
                    ends_spilled = spilled is not None and spilled.stop == width
                    if len(fields) < least or not (ends_spilled or is_all_blank(fields[width:])):
                        yield _other_width(place, len(fields), names, dialect)
                        continue
                    fields = [*fields, *[""] * (width - len(fields))]
                    if len(fields) > width and spilled is not None:
                        fields[spilled.stop - 1 :] = [dialect.separator.join(fields[spilled.stop - 1 :])]
                    fields = fields[:width]
                found = fields[text] if plain else joined(fields, columns, dialect.separator, notes)
                if (not found or found.isspace()) and is_all_blank(fields):
                    notes.count(BLANK_ROWS)
                    continue
                if "\n" in found and dialect.quote and _holds_row(found, width, label, labels, dialect.separator):
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


def _holds_row(text: str, width: int, label: int | None, labels: Collection[str], separator: str) -> bool:
    """Whether a line of a text looks like a row: as wide and with a known label or, without labels, of three fields."""
    for line in text.split("\n")[1:]:
        fields = line.rstrip("\r").split(separator)
        if label is None:
            if len(fields) == width > 2:
                return True
        elif len(fields) >= width and (fields[label] in labels or fields[label - width] in labels):
            return True
    return False


def is_all_blank(fields: Sequence[str]) -> bool:
    """Whether all cells hold nothing."""
    return all(map(is_blank, fields))


def _other_width(place: int, number: int, names: Sequence[str], dialect: Dialect) -> Rejected:
    separator = SEPARATORS.get(dialect.separator, repr(dialect.separator))
    remedy = f"put a text that holds {separator} between quotes"
    if dialect.quote is None:
        remedy = f"put {separator} between fields, and none into a text"
    return Rejected(place, f"the number of fields is {number}, not {len(names)} ({listed(names)})", remedy)
