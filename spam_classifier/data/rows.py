"""A row of any input: its text and what came with it, or why it can't be read. The readers of all formats share this.

Readers never stop at a bad row: they yield a ``Rejected`` and go on. Training refuses the file or leaves such rows out;
prediction lists them. Rows are read one at a time, so a file of any size takes little memory.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

LONGEST = 2**24  # characters of a line, or of a row of a .csv; no model reads a thousandth of it
WHITE_SPACE = 500_000  # characters in a row; at twice as many the tokenizer gives up
BLANK_ROWS = "blank rows dropped"
HALF_A_PAIR = "half of a surrogate pair"
_WHITE_SPACE = re.compile(r"\s+")


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

    def counted(self) -> str:
        """The counts and first cases; "" if there are none."""
        return "; ".join(
            f"{what}: {number:,}" + (f" (first: {self.first[what]})" if what in self.first else "")
            for what, number in self.counts.items()
        )

    def line(self) -> str:
        """All of it; "" if there is nothing to say."""
        return "; ".join([*self.assumed, *([self.counted()] if self.counts else [])])


@dataclass(frozen=True)
class Input:
    """The rows of one file, directory or stream."""

    name: str  # in messages
    unit: str  # of a row's place: line, row, text, mail or file
    columns: Sequence[str] | None  # None where each row may have its own
    rows: Rows  # read as they are asked for
    total: int | None = None  # number of rows, where it is known beforehand
    notes: Notes = field(default_factory=Notes)
    read_from: tuple[str, str] = ("label", "text")  # columns of labels and texts, as the flags take them
    separator: str = ","  # of a table's fields
    byte_order_mark: bool = False  # or another encoding than UTF-8: Excel reads a .csv without a mark in such a one

    def where(self, place: int | str) -> str:
        """A row's place as messages name it."""
        return str(place) if self.unit == "file" else f"{self.name}, {self.unit} {place}"


@dataclass(frozen=True)
class Source:
    """A file: what messages call it, how to open it, and the most characters of a line or row."""

    name: str
    open: Callable[[], IO[bytes]]
    longest: int = LONGEST


def has_surrogate(text: str) -> bool:
    """Whether a text holds a surrogate: half of a pair, or a byte that could not be decoded (``surrogateescape``)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def is_blank(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


def checked_row(
    place: int | str, text: Any, names: Sequence[str], values: Sequence[Any], label: str | None = None
) -> Row | Rejected:
    """The row, unless a model can't read its text, or its label is blank."""
    if label is not None:
        label = label.strip()
        if not label:
            return Rejected(place, "no label")
    if type(text) is not str:  # a Json, for one
        return Rejected(place, "no text" if text is None else "the text is not a string")
    if not text.isascii() and has_surrogate(text):
        return Rejected(place, HALF_A_PAIR)
    for value in values:  # a loop, as this is called for each of a million messages
        if isinstance(value, str) and not value.isascii() and has_surrogate(value):
            return Rejected(place, HALF_A_PAIR)
    if not text or text.isspace():
        return Rejected(place, "no text")
    if len(text) >= WHITE_SPACE and any(len(run[0]) >= WHITE_SPACE for run in _WHITE_SPACE.finditer(text)):
        return Rejected(place, f"{WHITE_SPACE:,} or more characters of white space in a row")
    return Row(place, text, names, values, label)
