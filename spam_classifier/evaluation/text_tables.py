"""Tables, figures and texts as a terminal shows them, and as Markdown files do."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spam_classifier.errors import escape_control

NARROWEST = 20  # columns of a text, at least
MISSING = "-"
MARKUP = re.compile(r"([\\`*_\[\]#|<>~&@$]|[.:](?=\S))")  # the last for links that need no brackets
BARE_PIPE = re.compile(r"(?<!\\)\|")
NUMBER = re.compile(r"-$|[-+]?[\d.,]+%?( |$)")


def escape_markdown(text: str) -> str:
    """Text that Markdown shows literally, on one line: no markup, no HTML, no link."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return MARKUP.sub(r"\\\1", " ".join(printable.split()))


def markdown_table(rows: Iterable[Mapping[str, object]]) -> str:
    """A Markdown table, aligned in its source, too, of cells by their column's name.

    A cell that is None or missing becomes ``-``. Pipes are escaped, other markup is not.
    """
    found = _columns(rows)
    columns = []
    for name, is_number, texts in found:
        cells = [BARE_PIPE.sub(r"\\|", text) for text in texts]
        width = max(3, *map(len, (name, *cells)))
        if is_number:
            columns.append([text.rjust(width) for text in (name, "-" * (width - 1) + ":", *cells)])
        elif name == found[-1][0]:
            columns.append([name, "---", *cells])
        else:
            columns.append([text.ljust(width) for text in (name, "-" * width, *cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))


def aligned_table(rows: Iterable[Mapping[str, object]]) -> str:
    """A table for a terminal, of cells as above: columns two spaces apart, numbers on the right."""
    columns = []
    for name, is_number, cells in _columns(rows):
        width = max(map(columns_of, (name, *cells)))
        pairs = [(" " * (width - columns_of(text)), text) for text in (name, *cells)]
        columns.append([blank + text if is_number else text + blank for blank, text in pairs])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _columns(rows: Iterable[Mapping[str, object]]) -> list[tuple[str, bool, list[str]]]:
    """Name, whether all cells are numbers, and the cells of each column."""
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    cells = {name: [MISSING if row.get(name) is None else str(row[name]) for row in rows] for name in names}
    return [(name, all(map(NUMBER.match, own)), own) for name, own in cells.items()]


def table_with_texts(rows: Iterable[Mapping[str, str]], width: int) -> str:
    """An ``aligned_table`` whose last column, ``text``, is cut to the width; control characters are escaped."""
    rows = list(rows)
    others = [
        {escape_control(name): escape_control(value) for name, value in row.items() if name != "text"} for row in rows
    ]
    taken = len(aligned_table({**row, "text": ""} for row in others).partition("\n")[0])
    room = max(NARROWEST, width - taken - 3)
    texts = [shortened(escape_control(row["text"][: 4 * room]), room) for row in rows]
    return aligned_table({**row, "text": text} for row, text in zip(others, texts, strict=True))


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(map(_columns_of_one, text))


def _columns_of_one(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, width: int) -> str:
    """The beginning of a text, at most ``width`` columns of a terminal."""
    if columns_of(text) <= width:
        return text
    taken, end = 0, 0
    while (taken := taken + _columns_of_one(text[end])) < width:
        end += 1
    return text[:end] + "…"


def two_columns(rows: Mapping[str, str]) -> str:
    """Lines of ``name  value`` with the values aligned; a value's further lines keep its indent."""
    width = max(map(len, rows)) + 2
    indent = "\n" + " " * width
    return "\n".join(f"{name:<{width}}{value.replace(chr(10), indent)}" for name, value in rows.items())


def percent(share: float | None) -> str:
    """A share as ``97.21%``."""
    return MISSING if share is None else f"{100 * share:.2f}%"


def interval(bounds: Sequence[float]) -> str:
    """Lower and upper bound of a share as ``91.90% to 96.90%``."""
    low, high = bounds
    return f"{percent(low)} to {percent(high)}"


def share_of(share: Mapping[str, Any]) -> str:
    """A share of ``metrics.json`` as ``3 of 150, 2.00% (1.00% to 5.00%)``."""
    return f"{share['hits']:,} of {share['messages']:,}, {percent(share['share'])} ({interval(share['interval'])})"


def duration(seconds: float) -> str:
    """Seconds as ``48 s``, ``3 min 5 s`` or ``2 h 10 min``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counted(number: int, what: str) -> str:
    """A number of things as ``1 epoch`` or ``1,048 epochs``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
