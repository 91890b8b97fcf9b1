"""Texts of a request that can't be labelled."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import HTTPException

from spam_classifier.data.rows import Rejected, checked_row

NAMED = 10  # places in a refusal


def reasons_of(texts: Sequence[Any], most_characters: int) -> dict[int, str]:
    """The reason of each text that can't be labelled, by its place from 0."""
    reasons = {}
    for place, text in enumerate(texts):
        if isinstance(text, str) and len(text) > most_characters:
            reasons[place] = _too_long(most_characters)
        elif isinstance(row := checked_row(place, text, [], []), Rejected):
            reasons[place] = row.reason
    return reasons


def refusal(reasons: Mapping[int, str], most_characters: int) -> HTTPException:
    """An answer that names all bad texts, counted from 1: 413 if they are too long, 422 if any is bad otherwise."""
    places = defaultdict(list)
    for place, reason in reasons.items():
        places[reason].append(place + 1)
    detail = "; ".join(f"{_named(numbers)}: {reason}" for reason, numbers in places.items())
    return HTTPException(413 if set(places) == {_too_long(most_characters)} else 422, detail)


def _too_long(most: int) -> str:
    return f"more than {most:,} characters"


def _named(numbers: Sequence[int]) -> str:
    words = [f"{number:,}" for number in numbers[:NAMED]]
    if len(numbers) > NAMED:
        words.append(f"{len(numbers) - NAMED:,} more")
    return f"text {words[0]}" if len(words) == 1 else f"texts {', '.join(words[:-1])} and {words[-1]}"
