"""What the readers of all formats share: a file's text line by line, and its columns by name.

A record is where a message stands (the line or row, or the path of its file), its label and its text, both as they are
written. Readers yield one at a time, so that a file of any size takes the memory of its messages and no more.
"""

import codecs
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

from spam_classifier.errors import UserError

LONGEST = 2**24  # characters of a line, or of a row of a .csv; no model reads a thousandth of it
PIECE = 2**16  # characters or bytes of a line that are skipped at a time

Record = tuple[int | str, str, str]


@dataclass(frozen=True)
class Source:
    """A file: what error messages call it, how to open it, and most characters of a line or row of it."""

    name: str
    open: Callable[[], IO[bytes]]
    longest: int = LONGEST

    @property
    def too_long(self) -> str:
        """What is wrong with a longer line or row."""
        return f"longer than {self.longest:,} characters"


@contextmanager
def decoded(source: Source, newline: str, errors: str = "strict") -> Iterator[TextIO]:
    """The file as text, without a byte order mark.

    Args:
        source: The file.
        newline: What ends a line, as for ``open``; line ends stay as they are.
        errors: What becomes of bytes that are not UTF-8, as for ``open``.

    Raises:
        UserError: Something that is read from it is not UTF-8.
    """
    try:
        with io.TextIOWrapper(source.open(), encoding="utf-8-sig", errors=errors, newline=newline) as file:
            yield file
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source.name}, line {_first_undecodable_line(source)}: {not_utf8_remedy(source.name)}"
        ) from error


def bounded_lines(file: TextIO, source: Source, *, ends: tuple[str, ...] = ("\n",)) -> Iterator[str | None]:
    """The lines of a file, with their ends; None for one that is too long, of which no more than a part is ever held.

    Args:
        file: The file, opened to end lines with ``ends``.
        source: The same.
        ends: What ends a line.
    """
    while line := file.readline(source.longest + 1):
        if len(line) <= source.longest:
            yield line
            continue
        while line and not line.endswith(ends):
            line = file.readline(PIECE)
        yield None


def refused_line(source: Source, number: int) -> UserError:
    """The refusal of a file with a line, or a row that begins there, which is too long."""
    return UserError(f"{source.name}, line {number}: {source.too_long}; cut its text, or delete it")


def not_utf8_remedy(name: str) -> str:
    """What to do about a file that is not UTF-8."""
    return (
        "not UTF-8; convert the file from what it is, as in: "
        f"iconv -f latin1 -t utf-8 {name} > converted{Path(name).suffix}"
    )


def has_surrogate(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, or a byte that ``surrogateescape`` let pass: no characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def empty_file(source: Source) -> UserError:
    """The refusal of a file without anything in it."""
    return UserError(f"{source.name} is empty: write labelled messages into it, or name another file")


def find_column(names: Sequence[str], wanted: str) -> int | None:
    """Where the column stands that has this name, or else the only one that has it in another case."""
    exact = [index for index, name in enumerate(names) if name == wanted]
    any_case = [index for index, name in enumerate(names) if name.casefold() == wanted.casefold()]
    return next((found[0] for found in (exact, any_case) if len(found) == 1), None)


def find_columns(names: Sequence[str], label_column: str, text_column: str) -> tuple[int, int] | None:
    """Where label and text stand; None unless both are found, and apart."""
    label, text = find_column(names, label_column), find_column(names, text_column)
    return None if label is None or text is None or label == text else (label, text)


def missing_columns(where: str, names: Sequence[str], label_column: str, text_column: str) -> UserError:
    """The refusal of a file without the columns that are looked for."""
    return UserError(
        f"{where}: the columns are {', '.join(map(repr, names))}, without one {label_column!r} and one "
        f"{text_column!r}; name them with --data.label_column and --data.text_column"
    )


def _first_undecodable_line(source: Source) -> int:
    decoder = codecs.getincrementaldecoder("utf-8")()
    number = 1
    with source.open() as file:
        while piece := file.readline(PIECE):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                break
            number += piece.endswith(b"\n")
    return number
