"""What every kind of input comes as: a text with what stands beside it, or the reason why it can't be judged."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from spam_classifier.data.records import has_surrogate

WHITE_SPACE = 500_000  # characters in a row; at twice as many the tokenizer gives up
_WHITE_SPACE = re.compile(r"\s+")


class Json(str):
    """A value that is no string, as JSON spells it."""


class Row(NamedTuple):
    """A text to judge.

    Attributes:
        place: Its line, row or number, or its file.
        text: The text.
        names: The columns it came with.
        values: What stands in them: strings, JSON, None, or the values of a .parquet.
    """

    place: int | str
    text: str
    names: Sequence[str]
    values: Sequence[Any]


class Rejected(NamedTuple):
    """A row that can't be judged: where it stands, and why."""

    place: int | str
    reason: str


@dataclass(frozen=True)
class Input:
    """Texts from one place.

    Attributes:
        name: What messages call it.
        unit: What a row's place is: ``line``, ``row``, ``text`` or ``file``.
        columns: The columns of all rows; None where each row may have its own.
        rows: The rows in their order, read as they are asked for.
        total: How many there are, where that is known beforehand.
        identity: What tells it from another input, or from itself with other contents; None where nothing does.
        schema: The columns' types, of a .parquet.
    """

    name: str
    unit: str
    columns: Sequence[str] | None
    rows: Iterator[Row | Rejected]
    total: int | None = None
    identity: dict[str, Any] | None = None
    schema: Any = None


def checked_row(place: int | str, text: Any, names: Sequence[str], values: Sequence[Any]) -> Row | Rejected:
    """The row, unless its text is none that a model can read."""
    if not isinstance(text, str) or isinstance(text, Json):
        return Rejected(place, "no text" if text is None else "the text is not a string")
    if any(isinstance(value, str) and has_surrogate(value) for value in (text, *values)):
        return Rejected(place, "not UTF-8, or half of a surrogate pair")
    if not text.strip():
        return Rejected(place, "no text")
    if len(text) >= WHITE_SPACE and any(len(run[0]) >= WHITE_SPACE for run in _WHITE_SPACE.finditer(text)):
        return Rejected(place, f"{WHITE_SPACE:,} or more characters of white space in a row")
    return Row(place, text, names, values)
