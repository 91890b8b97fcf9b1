"""Labels that are written in several ways are refused or made one; labels that are texts are refused."""

import re
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

import pandas as pd

from spam_classifier.errors import UserError

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
WHOLE = re.compile(r"(-?[0-9]+)\.0+")
MOST_CLASSES = 20  # more than these may be texts
SHOWN = 3  # labels in a message


def one_spelling(
    frames: Sequence[pd.DataFrame],
    *,
    labels: Sequence[str] | None = None,
    merge: bool = False,
    label_column: str = "label",
    text_column: str = "text",
) -> tuple[list[pd.DataFrame], list[str]]:
    """Write each class in one way: numbers always, and with ``merge`` what differs in case or white space.

    Only the different labels are looked at one by one, so a million messages take a third of a second at most.
    ``frames`` are the corpus and the given splits, ``labels`` the classes that the user named, which stay as they are.
    The columns are those that were read, as the flags take them. Returns the frames, and a sentence on each kind of
    change, with its number of messages.
    """
    counts = [_counts(frame) for frame in frames]
    refuse_swapped_columns(counts[0], label_column, text_column)
    renamed: dict[str, str] = {}
    notes = []
    if not labels and (renamed := plain_numbers(_sum(counts))):
        notes.append(f"labels rewritten as whole numbers: {_changes(renamed, _sum(counts))}")
        counts = [_sum([own], renamed) for own in counts]
    if not merge:
        refuse_spellings(_sum(counts), labels)
    elif merged := merged_spellings(counts[0], _sum(counts), labels):
        notes.append(f"labels merged: {_changes(merged, _sum(counts))}")
        renamed = {label: merged.get(name, name) for label, name in renamed.items()} | merged
    return [_renamed(frame, renamed) for frame in frames], notes


def _counts(frame: pd.DataFrame) -> Counter[str]:
    return Counter({str(label): number for label, number in frame["label"].value_counts(sort=False).items()})


def _renamed(frame: pd.DataFrame, renamed: Mapping[str, str]) -> pd.DataFrame:
    labels = frame["label"]
    if not labels.isin(list(renamed)).any():
        return frame
    return frame.assign(label=labels.map(renamed).fillna(labels).astype(labels.dtype))


def refuse_swapped_columns(counts: Mapping[str, int], label_column: str, text_column: str) -> None:
    """Refuse a corpus with more classes than half its messages: its labels are texts."""
    messages = sum(counts.values())
    if len(counts) > max(MOST_CLASSES, messages / 2):
        flags = f"--data.label_column {_quoted(text_column)} --data.text_column {_quoted(label_column)}"
        raise UserError(
            f"--data.corpus has {len(counts):,} classes for {messages:,} messages: are the columns swapped? If so, "
            f"add {flags}; else name the column of the labels with --data.label_column"
        )


def refuse_other_labels(messages: pd.DataFrame, labels: Sequence[str], first: Mapping[str, str]) -> None:
    """Refuse messages with other labels than ``labels``. ``first`` has the place of each label's first message."""
    counts = messages["label"].value_counts()
    for label in map(str, counts.index):
        if label not in labels:
            place = f"{first[label]}: " if label in first else ""
            raise UserError(
                f"{place}label {reprlib.repr(label)} is none of {', '.join(labels)} ({counts[label]:,} messages); "
                "correct them, or name all labels with --data.labels"
            )


def refuse_spellings(counts: Mapping[str, int], labels: Sequence[str] | None = None) -> None:
    """Refuse labels that differ only in case or white space, unless ``labels`` names them all."""
    for spellings in _by_spelling(counts):
        if len(spellings) > 1 and not set(spellings) <= set(labels or ()):
            spellings.sort(key=lambda label: -counts[label])
            shown = _listed([f"{label!r} ({counts[label]:,} messages)" for label in spellings])
            raise UserError(
                f"labels differ only in case or white space: {shown}; add --data.merge_labels true to make them one "
                "class"
            )


def merged_spellings(
    first: Mapping[str, int], counts: Mapping[str, int], labels: Sequence[str] | None = None
) -> dict[str, str]:
    """New names of the labels that differ only in case or white space from a more frequent one.

    ``first`` are the messages by label in the first frame, which decides; of equally frequent spellings the lower-case
    one stays. ``counts`` are those of all frames. ``labels`` stay whatever their number.
    """
    named = set(labels or ())

    def rank(label: str) -> tuple[bool, int, bool, str]:
        return label not in named, -first.get(label, 0), label != label.lower(), label

    renamed: dict[str, str] = {}
    for spellings in _by_spelling(counts):
        best = min(spellings, key=rank)
        renamed |= {label: best for label in spellings if label != best and label not in named}
    return renamed


def plain_numbers(counts: Mapping[str, int]) -> dict[str, str]:
    """New names of labels such as ``1.0``, if all labels are numbers and some of them are written as ``1``."""
    if not all(map(NUMBER.fullmatch, counts)) or all("." in label for label in counts):
        return {}
    return {label: found[1] for label in counts if (found := WHOLE.fullmatch(label))}


def _sum(counts: Sequence[Counter[str]], renamed: Mapping[str, str] | None = None) -> Counter[str]:
    total: Counter[str] = Counter()
    for label, number in chain.from_iterable(own.items() for own in counts):
        total[(renamed or {}).get(label, label)] += number
    return total


def _by_spelling(counts: Mapping[str, int]) -> list[list[str]]:
    """The labels, those together that are equal without case and white space."""
    groups: dict[str, list[str]] = {}
    for label in counts:
        groups.setdefault(" ".join(label.split()).casefold(), []).append(label)
    return list(groups.values())


def _changes(renamed: Mapping[str, str], counts: Mapping[str, int]) -> str:
    return _listed([f"{old!r} to {new!r} in {counts[old]:,} messages" for old, new in renamed.items()])


def _listed(parts: Sequence[str]) -> str:
    left = len(parts) - SHOWN
    return ", ".join(parts[:SHOWN]) + (f" and {left:,} more" if left > 0 else "")


def _quoted(column: str) -> str:
    """A flag's value as the shells of all systems take it."""
    return column if re.fullmatch(r"[\w.-]+", column) else f'"{column}"'
