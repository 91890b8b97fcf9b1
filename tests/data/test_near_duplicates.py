"""Near-duplicates against an exhaustive comparison."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.near_duplicates import near_any, near_duplicates, words_of

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
    ],
)
def test_what_is_near(one: str, other: str, near: bool) -> None:
    assert (near_duplicates([one, other])[1] == 0) == near


def test_many_like_messages_are_not_compared_in_pairs() -> None:
    texts = [
        f"common words in all of them but for w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}x{n // 676}"
        for n in range(20_000)
    ]
    assert sum(place is not None for place in near_duplicates(texts)) > 19_000


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
