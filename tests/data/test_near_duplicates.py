"""Near-duplicates against an exhaustive comparison."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.near_duplicates import _WordSets, near_any, near_duplicates, near_groups, words_of

TEXTS = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8).map(" ".join), max_size=25)


def similar(one: str, other: str) -> bool:
    first, second = words_of(one), words_of(other)
    return 5 * len(first & second) >= 4 * len(first | second)


def kept(texts: list[str]) -> list[int]:
    """Places of the texts that are similar to none kept before; all others must name one of those."""
    places: list[int] = []
    for place, earlier in enumerate(near_duplicates(texts)):
        matches = [other for other in places if similar(texts[place], texts[other])]
        assert earlier in matches if matches else earlier is None
        if earlier is None:
            places.append(place)
    return places


@given(TEXTS)
def test_every_text_repeats_a_kept_one_or_is_kept(texts: list[str]) -> None:
    kept(texts)


@pytest.mark.parametrize("seed", range(5))
def test_long_texts_that_differ_more_or_less(seed: int) -> None:
    """Variations of a few texts, on both sides of the border."""
    draw = random.Random(seed)
    vocabulary = ["".join(pair) for pair in itertools.product("abcdefghij", repeat=2)]
    models = [draw.sample(vocabulary, draw.randint(15, 40)) for _ in range(5)]
    texts = []
    for _ in range(80):
        words = list(draw.choice(models))
        for place in draw.sample(range(len(words)), draw.randint(0, 6)):
            words[place] = draw.choice(vocabulary)
        texts.append(" ".join(words))
    assert 10 < len(kept(texts)) < 70
    assert near_any(texts[40:], texts[:40]) == [any(similar(a, b) for b in texts[:40]) for a in texts[40:]]


@given(TEXTS)
def test_groups_are_what_near_duplicates_connect(texts: list[str]) -> None:
    groups = list(range(len(texts)))
    for _ in texts:  # the longest way from one to another
        for one, other in itertools.permutations(range(len(texts)), 2):
            if similar(texts[one], texts[other]):
                groups[one] = groups[other] = min(groups[one], groups[other])
    assert near_groups(texts) == groups


@given(TEXTS, TEXTS)
def test_near_any_compares_with_all(texts: list[str], others: list[str]) -> None:
    assert near_any(texts, others) == [any(similar(text, other) for other in others) for text in texts]


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("Call 0800 123 NOW", "call 0900 4567 now", True),  # numbers, case
        ("you  have\twon", "You have won!", True),  # white space, punctuation
        ("win a prize today or tomorrow", "win a prize today or never", False),  # 5 of 7 words
        ("one two three four five six seven eight nine", "one two three four five six seven eight ten nine", True),
        ("ok", "no", False),
        (":-)", ":-(", False),
        (":-)", ": -)", True),
        ("नमस्ते आप कैसे हैं", "नमस्ते आप कैसे हो", False),  # vowels are marks within words
    ],
)
def test_what_is_near(one: str, other: str, near: bool) -> None:
    assert (near_duplicates([one, other])[1] == 0) == near


def test_few_of_many_messages_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five thousand messages share four words and have six of their own: 12 million pairs, hardly any looked at."""
    vocabulary = ["".join(letters) for letters in itertools.product("abcdefghijklmnop", repeat=3)]
    draw = random.Random(0)
    looked_at = 0
    overlap = _WordSets._overlap

    def counted(sets: _WordSets, place: int, candidates: np.ndarray) -> np.ndarray:
        nonlocal looked_at
        looked_at += len(candidates)
        return overlap(sets, place, candidates)

    monkeypatch.setattr(_WordSets, "_overlap", counted)
    messages = [" ".join(["see", "you", "at", "home", *draw.sample(vocabulary, 6)]) for _ in range(5000)]
    assert near_duplicates(messages) == [None] * 5000
    assert 0 < looked_at < 12_500_000 / 100
