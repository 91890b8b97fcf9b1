"""A row of any input: its text and what came with it, or why it can't be read. The readers of all formats share this.

Readers never stop at a bad row: they yield a ``Rejected`` and go on. Training refuses the file at the first one;
prediction lists them. Rows are read one at a time, so a file of any size takes little memory.
"""

import re
import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from spam_classifier.errors import UserError

LONGEST = 2**24  # characters of a line, or of a row of a .csv; no model reads a thousandth of it
WHITE_SPACE = 500_000  # characters in a row; at twice as many the tokenizer gives up
_WHITE_SPACE = re.compile(r"\s+")
MOST_NAMES = 12  # columns that a message lists


class Json(str):
    """A JSON value other than a string, as it is written."""


class Row(NamedTuple):
    """A text and the columns it came with."""

    place: int | str  # line or row number, or the path of its file
    text: str
    names: Sequence[str]  # of the columns
    values: Sequence[Any]  # strings, Json, None, or the values of a .parquet
    label: str | None = None  # where the reader was asked for labels


class Rejected(NamedTuple):
    """A row that can't be read: where it is, why, and what to do about it."""

    place: int | str
    reason: str
    remedy: str = "correct it or delete it"


Rows = Iterator[Row | Rejected]


@dataclass
class Notes:
    """What a reader assumed about an input, and what it joined, dropped or passed over, for one line to the user.

    Complete once all rows are read.
    """

    assumed: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # by what was counted, such as "blank rows dropped"
    first: dict[str, str] = field(default_factory=dict)  # the first case of some of them

    def assume(self, what: str) -> None:
        """Add an assumption, with the flag that overrides it."""
        self.assumed.append(what)

    def count(self, what: str, case: str | None = None) -> None:
        """Count something, where ``case`` is its place or name."""
        self.counts[what] = self.counts.get(what, 0) + 1
        if case is not None:
            self.first.setdefault(what, case)

    def line(self) -> str:
        """All of it; "" if there is nothing to say."""
        counted = [
            f"{what}: {number:,}" + (f" (first: {self.first[what]})" if what in self.first else "")
            for what, number in self.counts.items()
        ]
        return "; ".join([*self.assumed, *counted])


@dataclass(frozen=True)
class Input:
    """The rows of one file, directory or stream."""

    name: str  # in messages
    unit: str  # of a row's place: line, row, text or file
    columns: Sequence[str] | None  # None where each row may have its own
    rows: Rows  # read as they are asked for
    total: int | None = None  # number of rows, where it is known beforehand
    identity: dict[str, Any] | None = None  # changes with the file and its contents; None where nothing tells
    schema: Any = None  # the columns' types, of a .parquet
    notes: Notes = field(default_factory=Notes)

    def where(self, place: int | str) -> str:
        """A row's place as messages name it."""
        return str(place) if self.unit == "file" else f"{self.name}, {self.unit} {place}"


@dataclass(frozen=True)
class Source:
    """A file: what messages call it, how to open it, and the most characters of a line or row."""

    name: str
    open: Callable[[], IO[bytes]]
    longest: int = LONGEST


@dataclass(frozen=True)
class Layout:
    """How to read a file: the columns to look for, by name, or else by the only name that differs in case."""

    text: str = "text"
    label: str | None = None  # None where labels are not wanted
    remedy: str = "name that of the texts with --text_column"  # how the user names them

    def find(self, names: Sequence[str]) -> tuple[int, int | None] | None:
        """Where text and label are among the columns; None if one is missing, or both are the same column."""
        text = _find_column(names, self.text)
        label = None if self.label is None else _find_column(names, self.label)
        if text is None or text == label or (self.label is not None and label is None):
            return None
        return text, label

    def find_or_refuse(self, where: str, names: Sequence[str]) -> tuple[int, int | None]:
        """The same; refuses what is missing, and lists the columns there are."""
        found = self.find(names)
        if found is None:
            missing = " and ".join(f"one {name!r}" for name in (self.label, self.text) if name is not None)
            raise UserError(f"{where}: the columns are {listed(names)}, without {missing}; {self.remedy}")
        return found


def _find_column(names: Sequence[str], wanted: str) -> int | None:
    exact = [index for index, name in enumerate(names) if name == wanted]
    any_case = [index for index, name in enumerate(names) if name.casefold() == wanted.casefold()]
    return next((found[0] for found in (exact, any_case) if len(found) == 1), None)


def listed(names: Sequence[str]) -> str:
    """The first names, as a message lists them."""
    shown = ", ".join(map(reprlib.repr, names[:MOST_NAMES]))
    return shown + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def has_surrogate(text: str) -> bool:
    """Whether a text holds a surrogate: half of a pair, or a byte that was not UTF-8 (``surrogateescape``)."""
    try:
        return not text.isascii() and not text.encode()
    except UnicodeEncodeError:
        return True


def not_utf8(name: str, place: int | str) -> Rejected:
    """The rejection of a row, or of a whole file, by its encoding."""
    command = f"iconv -f latin1 -t utf-8 {name} > converted{Path(name).suffix}"
    return Rejected(place, "not UTF-8", f"convert the file from its encoding, as in: {command}")


def checked_row(
    place: int | str, text: Any, names: Sequence[str], values: Sequence[Any], label: str | None = None
) -> Row | Rejected:
    """The row, unless a model can't read its text, or its label is blank."""
    if label is not None:
        label = label.strip()
        if not label:
            return Rejected(place, "no label")
    if not isinstance(text, str) or isinstance(text, Json):
        return Rejected(place, "no text" if text is None else "the text is not a string")
    for value in (text, *values):  # a loop, as this is called for each of a million messages
        if isinstance(value, str) and has_surrogate(value):
            return Rejected(place, "not UTF-8, or half of a surrogate pair")
    if not text or text.isspace():
        return Rejected(place, "no text")
    if len(text) >= WHITE_SPACE and any(len(run[0]) >= WHITE_SPACE for run in _WHITE_SPACE.finditer(text)):
        return Rejected(place, f"{WHITE_SPACE:,} or more characters of white space in a row")
    return Row(place, text, names, values, label)
