"""Rows of JSON lines: an object on each line."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, NoReturn

from spam_classifier import hints
from spam_classifier.data.columns import Layout, find_columns, listed, named_columns, say_columns
from spam_classifier.data.dialects import read_lines
from spam_classifier.data.rows import (
    BLANK_ROWS,
    Input,
    Json,
    Rejected,
    Row,
    Rows,
    Source,
    checked_row,
    has_surrogate,
    is_blank,
)
from spam_classifier.data.text_files import Encoding, opened_text, said_encoding, undecodable
from spam_classifier.errors import UserError

FIRST_OBJECTS = 20  # lines that tell the names of the members
SHOWS_ARRAY = 100  # characters


def json_lines(source: Source, layout: Layout) -> Input:
    """A .jsonl: a JSON object on each line; values other than strings are taken as they are written."""
    remedy = 'write one object on each line, as in {"label": "ham", "text": "Hi"}'
    encoding, notes = said_encoding(source, layout.encoding, layout.flag("encoding"))
    _refuse_array(source, encoding)
    names = _first_names(source, encoding)
    if names:
        columns = find_columns(source.name, [names], layout, headed=True)
        say_columns(notes, names, columns, layout)
        layout = replace(layout, text=[names[place] for place in columns.text])
        if columns.label is not None:
            layout = replace(layout, label=names[columns.label])

    def read() -> Rows:
        for line in _json_lines(source, encoding, layout.flag("encoding")):
            if isinstance(line, Rejected):
                yield line
                continue
            try:
                found = _object(line[1])
                if found is None or (found and all(map(is_blank, found.values()))):
                    notes.count(BLANK_ROWS)
                else:
                    yield _json_row(line[0], line[1], found, layout)
            except ValueError as error:
                yield Rejected(line[0], str(error), remedy)

    return Input(source.name, "line", None, read(), notes=notes, byte_order_mark=encoding.marked_output)


def _json_lines(source: Source, encoding: Encoding, flag: str) -> Iterator[tuple[int, str] | Rejected]:
    with source.open() as file:
        for line in read_lines(opened_text(file, encoding, newline="\n"), source.longest):
            damaged = not isinstance(line, Rejected) and has_surrogate(line[1])
            yield undecodable(line[0], encoding, flag) if damaged else line


def _first_names(source: Source, encoding: Encoding) -> list[str]:
    """The names of the first objects' members, in order; none where there are no objects."""
    names: dict[str, None] = {}
    for line in islice(_json_lines(source, encoding, ""), FIRST_OBJECTS):
        with suppress(ValueError):
            if not isinstance(line, Rejected):
                names |= dict.fromkeys(_object(line[1]) or {})
    return list(names)


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


def _object(line: str) -> dict[str, Any] | None:
    """The object on a line; None on a blank one."""
    if not line or line.isspace():
        return None
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


def _json_row(place: int, line: str, found: dict[str, Any], layout: Layout) -> Row | Rejected:
    names = list(found)
    columns = named_columns(names, layout)
    if columns is None:
        wanted = [*([layout.label or "label"] if layout.labelled else []), *(layout.texts or ["text"])]
        raise ValueError(f"no member {' and '.join(map(repr, wanted))}, only {listed(names)}")
    texts, label = list(columns.text), columns.label
    if label is not None:  # nothing else is used in training
        own = found[names[label]]
        if own is not None and not isinstance(own, str | bool):  # a number is a str here
            raise ValueError("the label is not a string, a number or a boolean")
        names = [*(names[text] for text in texts), names[label]]
        texts, label = list(range(len(texts))), len(texts)
    values = [_written(found[name], name, line) for name in names]
    text = values[texts[0]] if len(texts) == 1 else _joined_members([values[place] for place in texts])
    return checked_row(place, text, names, values, None if label is None else values[label] or "")


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
