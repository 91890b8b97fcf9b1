"""Messages out of .jsonl files: a JSON object on each line."""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from spam_classifier.data.records import (
    Record,
    Source,
    bounded_lines,
    decoded,
    empty_file,
    find_columns,
    has_surrogate,
    missing_columns,
    refused_line,
)
from spam_classifier.errors import UserError


class Number(str):
    """A JSON number as it is written."""


def json_lines_records(source: Source, label_column: str, text_column: str) -> Iterator[Record]:
    """The messages of a .jsonl; a label may be a string, a number or a boolean, and is taken as it is written.

    Raises:
        UserError: The file is empty or not UTF-8, a line is no JSON object, or one lacks a text or a label.
    """
    # Only line feeds end a line: other separators may stand in a string as they are.
    empty = True
    with decoded(source, newline="\n") as file:
        for number, line in enumerate(bounded_lines(file, source), start=1):
            if line is None:
                raise refused_line(source, number)
            if not line.isspace():
                empty = False
                where = f"{source.name}, line {number}"
                yield number, *_label_and_text(_parsed(line, where), where, label_column, text_column)
    if empty:
        raise empty_file(source)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse_constant).decode


def json_object(line: str) -> dict[str, Any]:
    """The object on a line, its numbers as they are written.

    Raises:
        ValueError: There is none; says why.
    """
    try:
        found = _decode(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"malformed JSON ({error.msg}, column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"malformed JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _parsed(line: str, where: str) -> dict[str, Any]:
    try:
        return json_object(line)
    except ValueError as error:
        raise UserError(
            f'{where}: {error}; write one object on each line, as in {{"label": "ham", "text": "Hi"}}'
        ) from error


def _label_and_text(row: dict[str, Any], where: str, label_column: str, text_column: str) -> tuple[str, str]:
    names = list(row)
    columns = find_columns(names, label_column, text_column)
    if columns is None:
        raise missing_columns(where, names, label_column, text_column)
    label, text = (row[names[column]] for column in columns)
    if isinstance(label, bool):
        label = "true" if label else "false"
    if not isinstance(label, str):
        raise UserError(f"{where}: the label has to be a string, a number or a boolean; correct it or delete the line")
    if not isinstance(text, str) or isinstance(text, Number):
        raise UserError(f"{where}: the text has to be a string; put it between quotes or delete the line")
    for value in (label, text):
        if has_surrogate(value):
            raise UserError(f"{where}: half of a surrogate pair, which is no character; write both halves or none")
    return str(label), text
