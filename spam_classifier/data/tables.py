"""Rows of text files: tables such as .csv and .tsv, JSON lines, and lines of text."""

import json
from collections.abc import Sequence
from io import BufferedReader
from typing import Any, NoReturn

from spam_classifier import hints
from spam_classifier.data.columns import Columns, Layout, find_columns, joined, listed, named_columns, say_columns
from spam_classifier.data.dialects import SEPARATORS, Table, find_dialect
from spam_classifier.data.fields import Dialect, read_fields, read_lines
from spam_classifier.data.rows import (
    BLANK_ROWS,
    Input,
    Json,
    Notes,
    Rejected,
    Row,
    Rows,
    Source,
    checked_row,
    has_surrogate,
    is_blank,
)
from spam_classifier.data.text_files import (
    UTF_8,
    Encoding,
    find_encoding,
    marked_encoding,
    named_encoding,
    opened_text,
    undecodable,
)
from spam_classifier.errors import UserError

COLLECTION = Dialect("\t", quote=None)  # of the SMS Spam Collection: a label, a tab and a text on each line
SHOWS_ARRAY = 100  # characters


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


def _encoding(source: Source, layout: Layout) -> tuple[Encoding, Notes]:
    """The encoding of a file, and notes that begin with it if it is a guess."""
    flag, notes = layout.flag("encoding"), Notes()
    encoding = find_encoding(source, layout.encoding, flag)
    if encoding.guessed:
        notes.assume(f"read as {encoding.name}, a guess ({flag})")
    return encoding, notes


def collection_table(source: Source) -> Input:
    """The labelled rows of the SMS Spam Collection, whose format is known."""
    return _table(
        source, UTF_8, Table(COLLECTION, []), ["label", "text"], Columns((1,), 0, None, False), Layout(), Notes()
    )


def delimited_table(source: Source, suffix: str, layout: Layout) -> Input:
    """A table of text: of any separator, quoting and encoding, with a header or without one."""
    encoding, notes = _encoding(source, layout)
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
    kept = list(names if spilled is None else names[:spilled])
    (text, *others), label = columns.text, columns.label
    plain = not others and spilled is None

    def read() -> Rows:
        with source.open() as file:
            rows = read_fields(opened_text(file, encoding, dialect.newline), dialect, source.longest)
            first = columns.header
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
                    if len(fields) < least or (spilled is None and not is_all_blank(fields[width:])):
                        yield _other_width(place, len(fields), names, dialect)
                        continue
                    fields = [*fields, *[""] * (width - len(fields))]
                    fields = fields if spilled is not None else fields[:width]
                found = fields[text] if plain else joined(fields, columns, dialect.separator, notes)
                if (not found or found.isspace()) and is_all_blank(fields):
                    notes.count(BLANK_ROWS)
                    continue
                if spilled is not None:
                    fields = fields[:spilled]
                    fields[text] = found
                if encoding.damaged and any(map(has_surrogate, fields)):
                    yield undecodable(place, encoding, layout.flag("encoding"))
                elif label is None:
                    yield checked_row(place, found, kept, fields)
                else:  # nothing else is used in training
                    yield checked_row(place, found, (), (), fields[label])

    return Input(
        source.name,
        "line",
        kept,
        read(),
        notes=notes,
        separator=dialect.separator,
        byte_order_mark=encoding.marked_output,
    )


def is_all_blank(fields: Sequence[str]) -> bool:
    """Whether all cells hold nothing."""
    return all(map(is_blank, fields))


def _other_width(place: int, number: int, names: Sequence[str], dialect: Dialect) -> Rejected:
    separator = SEPARATORS.get(dialect.separator, repr(dialect.separator))
    remedy = f"put a text that holds {separator} between quotes"
    if dialect.quote is None:
        remedy = f"put {separator} between fields, and none into a text"
    return Rejected(place, f"the number of fields is {number}, not {len(names)} ({listed(names)})", remedy)


def json_lines(source: Source, layout: Layout) -> Input:
    """A .jsonl: a JSON object on each line; values other than strings are taken as they are written."""
    remedy = 'write one object on each line, as in {"label": "ham", "text": "Hi"}'
    encoding, notes = _encoding(source, layout)
    _refuse_array(source, encoding)

    def read() -> Rows:
        told = False
        with source.open() as file:
            for line in read_lines(opened_text(file, encoding, newline="\n"), source.longest):
                if isinstance(line, Rejected):
                    yield line
                elif has_surrogate(line[1]):
                    yield undecodable(line[0], encoding, layout.flag("encoding"))
                elif is_blank(line[1]):
                    notes.count(BLANK_ROWS)
                else:
                    try:
                        found = _object(line[1])
                        if found and all(map(is_blank, found.values())):
                            notes.count(BLANK_ROWS)
                            continue
                        names = list(found)
                        columns = named_columns(names, layout)
                        if columns is not None and not told:
                            told = True
                            say_columns(notes, names, columns, layout)
                        yield _json_row(line[0], line[1], found, columns, layout)
                    except ValueError as error:
                        yield Rejected(line[0], str(error), remedy)

    return Input(source.name, "line", None, read(), notes=notes, byte_order_mark=encoding.marked_output)


def _refuse_array(source: Source, encoding: Encoding) -> None:
    with source.open() as file:
        start = opened_text(file, encoding, newline="\n").read(SHOWS_ARRAY).lstrip()
    if source.name.lower().endswith(".json") and start.startswith("["):
        own, other = (f"r'{name}'" for name in (source.name, source.name + "l"))  # as any shell passes them on
        read = f"pandas.read_json({own}, dtype=False, convert_dates=False)"
        command = f"import pandas; {read}.to_json({other}, orient='records', lines=True)"
        raise UserError(f'{source.name} is one JSON array: write it line by line, {hints.python()} -c "{command}"')


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_int=Json, parse_float=Json, parse_constant=_refuse_constant).decode


def _object(line: str) -> dict[str, Any]:
    try:
        found = _decode(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"malformed JSON ({error.msg}, column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"malformed JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    if any(map(has_surrogate, found)):
        raise ValueError("half of a surrogate pair")
    return found


def _json_row(place: int, line: str, found: dict[str, Any], columns: Columns | None, layout: Layout) -> Row | Rejected:
    names = list(found)
    if columns is None:
        wanted = [
            name
            for name in ((layout.label or "label") if layout.labelled else None, *(layout.texts or ["text"]))
            if name
        ]
        flags = [layout.flag(name) for name in (["label_column"] if layout.labelled else []) + ["text_column"]]
        missing = " and ".join(repr(name) for name in wanted)
        raise ValueError(f"no member {missing}, only {listed(names)} (name them with {' and '.join(flags)})")
    texts, label = list(columns.text), columns.label
    if label is not None:  # nothing else is used in training
        if (
            not isinstance(found[names[label]], str | bool) and found[names[label]] is not None
        ):  # a number is a str here
            raise ValueError("the label is not a string, a number or a boolean")
        names = [*(names[text] for text in texts), names[label]]
        texts, label = list(range(len(texts))), len(texts)
    values = [_written(found[name], name, line) for name in names]
    text = values[texts[0]] if len(texts) == 1 else _joined_members([values[place] for place in texts])
    own = None if label is None else values[label] or ""
    return checked_row(place, text, names, values, own)


def _joined_members(values: Sequence[str | None]) -> str | None:
    wrong = next((value for value in values if isinstance(value, Json)), None)
    return wrong if wrong is not None else "\n".join(value for value in values if value and value.strip())


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
