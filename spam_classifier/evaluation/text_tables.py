"""Tables as text, for the terminal and for Markdown files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MISSING = "-"
MARKUP = re.compile(r"([\\`*_\[\]#|<>~&@$]|[.:](?=\S))")  # the last for links that need no brackets
BARE_PIPE = re.compile(r"(?<!\\)\|")
NUMBER = re.compile(r"-$|[-+]?[\d.,]+%?( |$)")


def escape_markdown(text: str) -> str:
    """Text that Markdown shows literally, on one line: no markup, no HTML, no link."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return MARKUP.sub(r"\\\1", " ".join(printable.split()))


def markdown_table(rows: Iterable[Mapping[str, object]]) -> str:
    """A Markdown table whose columns are aligned in the terminal, too.

    Args:
        rows: Cells by their column's name. A cell that is None or missing becomes ``-``. Pipes are escaped, other
            markup is not.
    """
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        cells = [_cell(row.get(name)) for row in rows]
        is_number = all(NUMBER.match(cell) for cell in cells)
        width = max(3, *map(len, (name, *cells)))
        if is_number:
            columns.append([text.rjust(width) for text in (name, "-" * (width - 1) + ":", *cells)])
        elif name == names[-1]:
            columns.append([name, "---", *cells])
        else:
            columns.append([text.ljust(width) for text in (name, "-" * width, *cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))


def _cell(value: object) -> str:
    return MISSING if value is None else BARE_PIPE.sub(r"\\|", str(value))


def two_columns(rows: Mapping[str, str]) -> str:
    """Lines of ``name  value`` with the values aligned; a value's further lines keep its indent."""
    width = max(map(len, rows)) + 2
    indent = "\n" + " " * width
    return "\n".join(f"{name:<{width}}{value.replace(chr(10), indent)}" for name, value in rows.items())


def percent(share: float | None) -> str:
    """A share as ``97.21%``."""
    return MISSING if share is None else f"{share:.2%}"


def interval(bounds: Sequence[float]) -> str:
    """Lower and upper bound of a share as ``91.90% to 96.90%``."""
    low, high = bounds
    return f"{percent(low)} to {percent(high)}"


def share_of(share: Mapping[str, Any]) -> str:
    """A share of ``metrics.json`` as ``3 of 150, 2.00% (1.00% to 5.00%)``."""
    return f"{share['hits']:,} of {share['messages']:,}, {percent(share['share'])} ({interval(share['interval'])})"
