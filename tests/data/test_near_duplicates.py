"""Near-duplicates against an exhaustive comparison."""

import itertools
import random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.near_duplicates import _Index, near_any, near_duplicates, words_of

TEXTS = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8).map(" ".join), max_size=25)


def similar(one: str, other: str) -> bool:
    first, second = words_of(one), words_of(other)
    return 5 * len(first & second) >= 4 * len(first | second)


@given(TEXTS)
def test_every_text_repeats_a_kept_one_or_is_kept(texts: list[str]) -> None:
    found = near_duplicates(texts)
    kept: list[int] = []
    for place, earlier in enumerate(found):
        matches = [other for other in kept if similar(texts[place], texts[other])]
        if earlier is None:
            assert not matches
            kept.append(place)
        else:
            assert earlier in matches


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


def test_few_of_many_messages_are_compared() -> None:
    """Five thousand messages share four words and have six of their own: 12 million pairs, hardly any looked at."""
    vocabulary = ["".join(letters) for letters in itertools.product("abcdefghijklmnop", repeat=3)]
    draw = random.Random(0)
    looked_at = 0

    class Counted(frozenset):
        def __and__(self, other: frozenset) -> frozenset:
            nonlocal looked_at
            looked_at += 1
            return super().__and__(other)

    messages = [Counted(["see", "you", "at", "home", *draw.sample(vocabulary, 6)]) for _ in range(5000)]
    index = _Index(messages)
    for place, words in enumerate(messages):
        assert index.find(words) is None
        index.add(place, words)
    assert 0 < looked_at < 12_500_000 / 100


def test_real_corpus(uci_archive) -> None:
    from spam_classifier.data.corpora import read_corpus
    from spam_classifier.data.splits import class_names, deduplicate, split, undersample

    corpus = read_corpus(str(uci_archive))
    assert len(corpus) - len(deduplicate(corpus, "exact")) == 403
    kept = deduplicate(corpus, "near")
    assert len(corpus) - len(kept) == 604
    balanced, left_over = undersample(kept, class_names(kept), seed=123)
    parts = [*split(balanced, 0.7, 0.1, seed=123, stratify=True).values(), left_over]
    assert sum(map(len, parts)) == len(kept)
    for number, part in enumerate(parts):
        rest = pd.concat([other for place, other in enumerate(parts) if place != number])
        assert not any(near_any(list(part["text"]), list(rest["text"])))
