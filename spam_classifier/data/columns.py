"""Which columns of a table hold the labels and the texts: as the user says, by their usual names, or by their cells."""

import json
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import yaml

from spam_classifier import hints
from spam_classifier.data.rows import Notes, is_blank
from spam_classifier.errors import UserError

# In the order of preference; compared without case, spaces and punctuation.
TEXT_NAMES = [
    *("text", "message", "sms", "body", "content", "v2", "messages", "texts", "msg", "mail", "email", "smstext"),
    *("emailtext", "messagetext", "messagebody", "smsmessage", "comment", "review", "tweet", "sentence", "post"),
]
LABEL_NAMES = [
    *("label", "class", "category", "target", "v1", "spam", "isspam", "spamham", "spamorham", "spamornot", "labels"),
    *("type", "group", "emailtype", "sentiment", "classification", "topic", "hamspam", "hamorspam"),
]
HEADINGS = ("subject", "title", "headline")  # columns that may belong to the texts
UNNAMED = re.compile(r"(Unnamed: \d+)?")  # as pandas writes it
MOST_NAMES = 12  # columns that a message lists
LONGEST_LABEL = 40  # characters of a cell that may be a label
LEAST_ROWS = 4  # that show a first row with a label of its own to be a header
MOST_LABELS = 50  # different cells of a column that may be labels


@dataclass(frozen=True)
class Layout:
    """What the user says of a file; None is found out."""

    text: str | Sequence[str] | None = None  # a column by name, or by number from 1; line breaks join several
    label: str | None = None  # the column of the labels, likewise
    labelled: bool = False  # whether labels are wanted
    encoding: str | None = None
    flags: str = "--"  # what messages put before these names to tell the user to set them

    @property
    def texts(self) -> list[str]:
        """The columns of the texts that the user names."""
        return [self.text] if isinstance(self.text, str) else [str(name) for name in self.text or ()]

    def flag(self, name: str) -> str:
        """A flag as the user types it."""
        return f"{self.flags}{name}"

    def typed(self, text: Sequence[str], label: str | None) -> str:
        """What to type to name these columns."""
        named = {"text_column": text[0] if len(text) == 1 else several(text)}
        if label is not None:
            named = {"label_column": label, **named}
        if not self.flags:
            return ", ".join(f"{name} {value}" for name, value in named.items())
        return hints.same_command(*(word for name, value in named.items() for word in (self.flag(name), value)))


def several(names: Sequence[str]) -> str:
    """Columns as a flag names them, as in ``[subject, body]``."""
    plain = all(re.fullmatch(r"[^\W\d][\w .-]*", name) for name in names)
    return f"[{', '.join(names)}]" if plain else json.dumps(list(names), ensure_ascii=False)


def given_columns(typed: str | None) -> str | list[str] | None:
    """The columns that a flag names: one, or several as in ``[subject, body]``."""
    if typed is None or not (typed.startswith("[") and typed.endswith("]")):
        return typed
    try:
        names = yaml.safe_load(typed)
    except yaml.YAMLError:
        return typed
    return [str(name) for name in names] or None


class Columns(NamedTuple):
    """Where the columns are, from 0."""

    text: tuple[int, ...]  # those of the text, which are joined
    label: int | None
    spilled: slice | None  # the unnamed columns after the only text's, which may hold the rest of it
    header: bool = True  # whether the first row holds the names

    def typed(self, names: Sequence[str]) -> tuple[str, str]:
        """The columns of labels and texts, as the flags take them."""
        shown = [
            names[place] if self.header and names[place] else str(place + 1) for place in (*self.text, self.label or 0)
        ]
        return shown[-1], shown[0] if len(self.text) == 1 else several(shown[:-1])


def find_columns(
    where: str, rows: Sequence[Sequence[str]], layout: Layout, *, headed: bool = False, tabs: bool = False
) -> Columns:
    """Find the columns of a table from its first rows."""
    found = named_columns(rows[0], layout) or _numbered_columns(rows, layout)
    if found is None and not headed:
        found = _columns_without_header(rows, layout, tabs)
    if found is None:
        raise UserError(f"{where}: {_refusal(rows, layout)}")
    return found._replace(header=True) if headed else found


def named_columns(names: Sequence[str], layout: Layout) -> Columns | None:
    """Columns by their names: those that the user gives, else usual ones; None if one is missing."""
    texts = [_place(names, wanted) for wanted in layout.texts] or [_usual_place(names, TEXT_NAMES)]
    label = _place(names, layout.label) if layout.label is not None else None
    if layout.labelled and layout.label is None:
        label = _usual_place(names, LABEL_NAMES, but=texts)
    text = tuple(place for place in texts if place is not None)
    if len(text) < len(texts) or (layout.labelled and label is None) or label in text:
        return None
    return Columns(text, label if layout.labelled else None, _spilled(names, text))


def _place(names: Sequence[str], wanted: str) -> int | None:
    """Where a name is, or else the only one that differs in case."""
    exact = [index for index, name in enumerate(names) if name == wanted]
    any_case = [index for index, name in enumerate(names) if name.casefold() == wanted.casefold()]
    return next((found[0] for found in (exact, any_case) if len(found) == 1), None)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _usual_place(names: Sequence[str], usual: Sequence[str], but: Sequence[int | None] = ()) -> int | None:
    """Where the first of the usual names is; None if there is none, or it is there twice."""
    plain = [_plain(name) if index not in but else "" for index, name in enumerate(names)]
    for name in usual:
        if (exact := _place(names, name)) is not None and exact not in but:
            return exact
        if name in plain:
            return plain.index(name) if plain.count(name) == 1 else None
    return None


def _spilled(names: Sequence[str], text: tuple[int, ...]) -> slice | None:
    """The unnamed columns that follow the only text's, to the end or to one with a name."""
    start = stop = text[0] + 1
    while stop < len(names) and UNNAMED.fullmatch(names[stop].strip()):
        stop += 1
    return slice(start, stop) if len(text) == 1 and stop > start else None


def _numbered_columns(rows: Sequence[Sequence[str]], layout: Layout) -> Columns | None:
    """Columns by the numbers that the user gives; the first row may be a header."""
    given = [*layout.texts, *([layout.label] if layout.labelled and layout.label is not None else [])]
    if not given or not all(re.fullmatch(r"[1-9]\d{0,3}", name) for name in given):
        return None
    width = len(rows[0])
    places = [int(name) - 1 for name in given]
    if max(places) >= width or len(set(places)) < len(places) or (layout.labelled and layout.label is None):
        return None
    label = places.pop() if layout.labelled else None
    return Columns(tuple(places), label, _spilled(rows[0], tuple(places)), _is_header(rows, [*places], label))


def _is_header(rows: Sequence[Sequence[str]], texts: Sequence[int], label: int | None) -> bool:
    """Whether the first row names these columns: by a usual name, or with a label that no other row has."""
    if any(_plain(rows[0][place]) in TEXT_NAMES for place in texts):
        return True
    if label is None:
        return False
    own, others = rows[0][label].strip(), [row[label].strip() for row in rows[1:] if len(row) > label]
    return own not in others and len(others) >= LEAST_ROWS and 2 * len(set(others)) <= len(others)


def _columns_without_header(rows: Sequence[Sequence[str]], layout: Layout, tabs: bool) -> Columns | None:
    """The two columns of a table whose first row is a message: its label occurs again, or they are as is usual."""
    first = list(rows[0])
    while first and not first[-1].strip():  # columns that some texts may have spilled into
        first.pop()
    if len(first) != 2 or (layout.texts and not layout.labelled):
        return None
    label, text = _by_content([row[:2] for row in rows])
    if label is None or text is None:
        if not tabs:
            return None
        label, text = 0, 1
    if _is_header(rows, [text], label):
        return None
    return Columns((text,), label if layout.labelled else None, _spilled(rows[0], (text,)), header=False)


def _by_content(rows: Sequence[Sequence[str]]) -> tuple[int | None, int | None]:
    """Which column seems to hold labels, and which texts: few short cells that recur, and long ones that differ."""
    width = len(rows[0])
    whole = [row for row in rows[1:] if len(row) == width]
    if len(whole) < 3:
        return None, None
    cells = [[row[column].strip() for row in whole] for column in range(width)]
    kinds = [len(set(column)) for column in cells]
    labels = [
        column
        for column in range(width)
        if kinds[column] <= min(MOST_LABELS, len(whole) / 2) and max(map(len, cells[column])) <= LONGEST_LABEL
    ]
    label = max(labels, key=lambda column: kinds[column] > 1, default=None)
    lengths = {column: sum(map(len, cells[column])) for column in range(width) if column not in labels}
    return label, max(lengths, key=lambda column: lengths[column], default=None)


def _refusal(rows: Sequence[Sequence[str]], layout: Layout) -> str:
    """What is unclear about the columns, and the flags to type, filled in as far as the cells tell."""
    names = rows[0]
    label, text = _by_content(rows)
    headed = label is None or names[label].strip() not in {row[label].strip() for row in rows[1:] if len(row) > label}
    usual = named_columns(names, Layout())
    text_known, known_label = usual is not None, _usual_place(names, LABEL_NAMES)
    if usual is not None:
        text = usual.text[0]
    if known_label is not None and known_label != text:
        label = known_label
    given = [*([layout.label] if layout.labelled and layout.label is not None else []), *layout.texts]
    absent = [name for name in given if _place(names, name) is None]
    if absent:
        problem = f"without {' and '.join(f'one {name!r}' for name in absent)}"
    else:
        lacking = [] if text_known else ["texts"]
        lacking[:0] = ["labels"] if layout.labelled and known_label is None else []
        problem = f"and none is known as that of {' or '.join(lacking) or 'labels, besides that of texts'}"
    known = f"the columns are {listed(names)}, {problem}"

    def shown(place: int | None) -> str | None:
        return None if place is None else names[place] if headed and names[place] else str(place + 1)

    texts = layout.texts if layout.texts and not set(layout.texts) & set(absent) else [shown(text)]
    labels = layout.label if layout.label is not None and layout.label not in absent else shown(label)
    if None in texts or (layout.labelled and (labels is None or labels in texts)):
        flags = [layout.flag(name) for name in (["label_column"] if layout.labelled else []) + ["text_column"]]
        return f"{known}; give {' and '.join(flags)}, a column's name or its number from 1"
    return f"{known}; type {layout.typed([name for name in texts if name], labels if layout.labelled else None)}"


def say_columns(notes: Notes, names: Sequence[str], columns: Columns, layout: Layout) -> None:
    """Tell which columns were recognised, unless they are ``label`` and ``text`` or the user named them."""
    if not columns.header:
        numbers = [f"texts in column {columns.text[0] + 1}"]
        if columns.label is not None:
            numbers.insert(0, f"labels in column {columns.label + 1}")
        notes.assume(f"no header, {' and '.join(numbers)}")
        return
    found = []
    if columns.label is not None and layout.label is None and names[columns.label].casefold() != "label":
        found.append(f"labels from {names[columns.label]!r} ({layout.flag('label_column')})")
    if not layout.texts and names[columns.text[0]].casefold() != "text":
        found.append(f"texts from {names[columns.text[0]]!r} ({layout.flag('text_column')})")
    if found:
        notes.assume(" and ".join(found))
    unread = [name for place, name in enumerate(names) if _plain(name) in HEADINGS and place not in columns.text]
    if not layout.texts and unread:
        both = hints.quoted(several([unread[0], names[columns.text[0]]]))
        notes.assume(f"{unread[0]!r} is not read ({layout.flag('text_column')} {both} joins them)")


def joined(fields: Sequence[str], columns: Columns, separator: str, notes: Notes) -> str:
    """The text of a row: of several columns, or with what was spilled into unnamed ones."""
    if columns.spilled is not None:
        rest = list(fields[columns.spilled])
        while rest and is_blank(rest[-1]):
            rest.pop()
        if rest:
            notes.count("texts joined with what follows them in columns without a name")
        return separator.join([fields[columns.text[0]], *rest])
    return "\n".join(text for place in columns.text if not is_blank(text := fields[place]))


def listed(names: Sequence[str]) -> str:
    """The first names, as a message lists them."""
    shown = ", ".join(map(reprlib.repr, names[:MOST_NAMES]))
    return shown + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
