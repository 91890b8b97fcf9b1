"""Balancing and splitting against an independent statement of the book's recipe, and by their properties."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spam_classifier.data.corpora import read_corpus
from spam_classifier.data.near_duplicates import near_any, near_duplicates
from spam_classifier.data.splits import (
    class_names,
    deduplicate_in_turn,
    first_of_each_class,
    refuse_rare_classes,
    refuse_unknown_classes,
    small_class_warnings,
    split,
    undersample,
)
from spam_classifier.errors import UserError


def corpus_of(**sizes: int) -> pd.DataFrame:
    """Messages of each label, all different, the classes interleaved."""
    rows = [(label, f"{label} {number}") for label, size in sizes.items() for number in range(size)]
    frame = pd.DataFrame(rows, columns=["label", "text"])
    return frame.sort_values("text", key=lambda texts: texts.str[-1], kind="stable", ignore_index=True)


sizes_per_class = st.dictionaries(
    st.sampled_from(["ham", "spam", "offer", "news", "été"]), st.integers(1, 30), min_size=2, max_size=5
)
seeds = st.integers(0, 2**32 - 1)


def test_real_corpus_is_split_as_in_the_book(uci_archive: Path) -> None:
    sms = read_corpus(str(uci_archive)).messages
    spam = sms[sms["label"] == "spam"]
    ham = sms[sms["label"] == "ham"].sample(len(spam), random_state=123)
    frame = pd.concat([ham, spam]).sample(frac=1, random_state=123).reset_index(drop=True)
    book = {"train": frame[:1045], "validation": frame[1045 : 1045 + 149], "test": frame[1045 + 149 :]}
    balanced, left_over = undersample(sms, ["ham", "spam"], seed=123)
    assert len(left_over) == 4080
    parts = split(balanced, 0.7, 0.1, seed=123)
    assert list(parts) == list(book)
    for name, rows in book.items():
        pd.testing.assert_frame_equal(parts[name], rows.reset_index(drop=True))
    assert len(parts["test"]) == 300


@given(sizes_per_class, seeds)
def test_undersampling_draws_the_smallest_size_of_each_class(sizes: dict[str, int], seed: int) -> None:
    corpus = corpus_of(**sizes)
    balanced, left_over = undersample(corpus, list(sizes), seed)
    assert sorted([*balanced.index, *left_over.index]) == list(corpus.index)
    pd.testing.assert_frame_equal(left_over, corpus.loc[left_over.index])
    smallest = min(sizes.values())
    assert balanced["label"].tolist() == [label for label in sizes for _ in range(smallest)]
    assert balanced.index.is_unique
    pd.testing.assert_frame_equal(balanced, corpus.loc[balanced.index])
    pd.testing.assert_frame_equal(balanced, undersample(corpus, list(sizes), seed)[0])
    for label, size in sizes.items():  # the smallest classes are kept whole and in order
        if size == smallest:
            pd.testing.assert_frame_equal(balanced[balanced["label"] == label], corpus[corpus["label"] == label])


@given(st.integers(100, 300), st.floats(0.01, 0.49), st.floats(0.01, 0.49), seeds)
def test_splitting_loses_and_repeats_no_row(
    rows: int, train_fraction: float, validation_fraction: float, seed: int
) -> None:
    train, validation = int(rows * train_fraction), int(rows * validation_fraction)
    sizes = {"train": train, "validation": validation, "test": rows - train - validation}
    corpus = corpus_of(ham=rows)
    parts = split(corpus, train_fraction, validation_fraction, seed)
    assert {name: len(part) for name, part in parts.items()} == sizes
    assert all(part.index.equals(pd.RangeIndex(len(part))) for part in parts.values())
    assert sorted(pd.concat(parts.values())["text"]) == sorted(corpus["text"])
    again = split(corpus, train_fraction, validation_fraction, seed)
    assert all(part.equals(parts[name]) for name, part in again.items())


@given(sizes_per_class, seeds)
def test_stratified_splits_hold_the_same_shares(sizes: dict[str, int], seed: int) -> None:
    corpus = corpus_of(**{label: size + 10 for label, size in sizes.items()})
    parts = split(corpus, 0.7, 0.1, seed, stratify=True)
    assert sorted(pd.concat(parts.values())["text"]) == sorted(corpus["text"])
    for label, size in corpus["label"].value_counts().items():
        counts = {name: int((rows["label"] == label).sum()) for name, rows in parts.items()}
        assert counts["train"] == int(size * 0.7)
        assert counts["validation"] == int(size * 0.1)
    labels = split(corpus_of(ham=100, spam=100), 0.7, 0.1, seed, stratify=True)["train"]["label"].tolist()
    assert labels != sorted(labels)  # the classes are mixed


def given_split(name: str, rows: int) -> pd.DataFrame:
    return pd.DataFrame({"label": ["ham", "spam"] * rows, "text": [f"{name} {row}" for row in range(2 * rows)]})


fractions_below_half = st.floats(0.1, 0.45)
given_names = st.sets(st.sampled_from(["validation", "test"]))


@given(st.integers(60, 200), fractions_below_half, fractions_below_half, seeds, st.booleans(), given_names)
def test_given_splits_stay_and_the_others_share_the_corpus(
    rows: int, train_fraction: float, validation_fraction: float, seed: int, stratify: bool, names: set[str]
) -> None:
    corpus = corpus_of(ham=rows, spam=rows)
    given = {name: given_split(name, 7) for name in names}
    parts = split(corpus, train_fraction, validation_fraction, seed, stratify=stratify, given=given)
    assert list(parts) == ["train", "validation", "test"]
    assert all(part.index.equals(pd.RangeIndex(len(part))) for part in parts.values())
    cut = [name for name in parts if name not in given]
    assert sorted(pd.concat([parts[name] for name in cut])["text"]) == sorted(corpus["text"])
    for name in given:
        pd.testing.assert_frame_equal(parts[name], given[name])
    shares = [train_fraction, validation_fraction, 1 - train_fraction - validation_fraction]
    fractions = dict(zip(parts, shares, strict=True))
    whole = sum(fractions[name] for name in cut)
    for name in cut:  # rounded, for each class where they are stratified
        assert abs(len(parts[name]) - 2 * rows * fractions[name] / whole) < 5
    again = split(corpus, train_fraction, validation_fraction, seed, stratify=stratify, given=given)
    assert all(part.equals(parts[name]) for name, part in again.items())


@pytest.mark.parametrize(
    ("fractions", "names", "sizes"),
    [
        ((0.7, 0.1), ["test"], [700, 100, 6]),
        ((0.9, 0.1), ["test"], [720, 80, 6]),  # fill the corpus
        ((0.7, 0.1), ["validation"], [622, 6, 178]),
        ((0.7, 0.1), ["validation", "test"], [800, 6, 6]),
    ],
)
def test_sizes_beside_given_splits(fractions: tuple[float, float], names: list[str], sizes: list[int]) -> None:
    parts = split(corpus_of(ham=400, spam=400), *fractions, 123, given=dict.fromkeys(names, given_split("given", 3)))
    assert [len(parts[name]) for name in ("train", "validation", "test")] == sizes


def test_a_class_that_only_a_given_split_has_is_refused() -> None:
    given = {"validation": given_split("validation", 1), "test": given_split("test", 1)}
    refuse_unknown_classes(given, ["ham", "spam", "offer"])
    with pytest.raises(UserError, match=r"--data\.validation_corpus has messages labelled 'spam'.*\(ham, offer\)"):
        refuse_unknown_classes(given, ["ham", "offer"])


@pytest.mark.parametrize(
    ("given", "least", "purpose"),
    [
        ([], 3, "split into train, validation and test"),
        (["test"], 2, "split into train and validation"),
        (["validation", "test"], 1, "train on"),
    ],
)
def test_as_many_of_a_class_as_splits_are_cut(given: list[str], least: int, purpose: str) -> None:
    refuse_rare_classes(corpus_of(ham=9, spam=least), ["ham", "spam"], given=given)
    for deduplicate, left in (("none", ""), ("near", " left after --data.deduplicate near")):
        message = rf"class 'spam' has {least - 1} message\(s\){left}, too few to {purpose}: give it at least {least}"
        with pytest.raises(UserError, match=message):
            refuse_rare_classes(corpus_of(ham=9, spam=least - 1), ["ham", "spam"], deduplicate=deduplicate, given=given)


# Few different texts, of which some are near-duplicates: many repeats in and between the frames.
near_texts = st.sampled_from([f"call me {kind} {end}" for kind in ("today", "TODAY", "now", "5") for end in (1, 2, "")])
frames_of_few_texts = st.lists(
    st.lists(st.tuples(st.sampled_from(["ham", "spam"]), near_texts), max_size=12), min_size=1, max_size=3
).map(lambda frames: [pd.DataFrame(rows, columns=["label", "text"], dtype="str") for rows in frames])


@given(frames_of_few_texts, st.sampled_from(["none", "exact", "near"]), st.sampled_from(["python", "pyarrow"]))
def test_deduplication_in_turn(frames: list[pd.DataFrame], how: str, storage: str) -> None:
    with pd.option_context("mode.string_storage", storage):
        kept = deduplicate_in_turn([frame.astype("str") for frame in frames], how)
    assert len(kept) == len(frames)
    seen: list[str] = []
    for frame, own in zip(frames, kept, strict=True):
        assert own.index.equals(pd.RangeIndex(len(own)))
        expected = []
        for label, text in zip(frame["label"], frame["text"], strict=True):
            repeats = {
                "none": False,
                "exact": text in seen,
                "near": any(earlier is not None for earlier in near_duplicates([*seen, text])),
            }[how]
            if not repeats:
                seen.append(text)
                expected.append((label, text))
        assert list(zip(own["label"], own["text"], strict=True)) == expected
    if how != "none":
        assert len(seen) == len(set(seen))


pools = st.lists(st.tuples(st.sampled_from(["ham", "spam"]), st.integers(0, 60)), max_size=20)


@given(
    st.lists(st.integers(0, 60), min_size=40, max_size=80),
    st.dictionaries(st.sampled_from(["test", "validation"]), pools.filter(bool)),
    st.sampled_from(["exact", "near"]),
    st.booleans(),
    seeds,
)
def test_no_message_is_in_two_splits_and_none_is_lost(
    numbers: list[int], pools: dict[str, list[tuple[str, int]]], how: str, stratify: bool, seed: int
) -> None:
    """Whatever of the corpus and the given splits repeats each other."""

    def frame(rows: list[tuple[str, int]]) -> pd.DataFrame:
        texts = [f"{'call' if number % 2 else 'CALL'} {chr(97 + number // 2)} now" for _, number in rows]
        return pd.DataFrame({"label": [label for label, _ in rows], "text": texts}, dtype="str")

    labels = ["ham", "spam"]
    own = frame([(labels[number % 4 // 2], number) for number in numbers])
    given = {name: frame(pools[name]) for name in ("test", "validation") if name in pools}
    *unrepeated, corpus = deduplicate_in_turn([*given.values(), own], how)
    assume(all(len(rows) for rows in unrepeated) and (corpus["label"].value_counts().reindex(labels) >= 3).all())
    balanced, left_over = undersample(corpus, labels, seed)
    assume(len(balanced) >= 20)
    kept = dict(zip(given, unrepeated, strict=True))
    parts = {**split(balanced, 0.6, 0.2, seed, stratify=stratify, given=kept), "left_over": left_over}
    texts = [text for rows in parts.values() for text in rows["text"]]
    assert len(texts) == len(set(texts))
    before = set(pd.concat([*given.values(), own])["text"])
    if how == "exact":
        assert set(texts) == before
    else:  # what went nearly repeats what stayed
        assert near_duplicates(texts) == [None] * len(texts)
        assert all(near_any(sorted(before), texts))
    for name, rows in given.items():
        assert parts[name]["text"].isin(rows["text"]).all()


def test_training_on_the_first_of_each_class() -> None:
    rows = pd.DataFrame({"label": list("aabababb"), "text": list("12345678")})
    assert first_of_each_class(rows, 2)["text"].tolist() == ["1", "2", "3", "5"]


def test_another_seed_gives_another_split_and_other_messages() -> None:
    corpus = corpus_of(ham=200, spam=50)
    draws = [undersample(corpus, ["ham", "spam"], seed)[0] for seed in (1, 2)]
    assert set(draws[0].index) != set(draws[1].index)
    parts = [split(corpus, 0.7, 0.1, seed) for seed in (1, 2)]
    assert set(parts[0]["test"]["text"]) != set(parts[1]["test"]["text"])


@pytest.mark.parametrize(
    "fractions",
    [(0, 0.1), (1, 0.1), (-0.5, 0.1), (1.5, 0.1), (0.7, 0), (0.7, -0.1), (0.7, 0.3), (0.9, 0.2), (float("nan"), 0.1)],
)
def test_impossible_fractions_are_refused(fractions: tuple[float, float]) -> None:
    with pytest.raises(UserError, match="--data.train_fraction {} .*--data.validation_fraction {} ".format(*fractions)):
        split(corpus_of(ham=50, spam=50), *fractions, 123)


@pytest.mark.parametrize(
    ("sizes", "fractions", "given", "message"),
    [
        ((5, 5), (0.05, 0.5), {}, "the train split is empty: 10 messages are too few"),
        ((5, 5), (0.7, 0.05), {}, "the validation split is empty: 10 messages are too few"),
        (
            (5, 5),
            (0.7, 0.1),
            {"validation": 0},
            r"validation split is empty: what --data\.validation_corpus holds repeats",
        ),
        ((50, 50), (0.9, 0), {"test": 3}, "must be above 0 and below 1"),
        ((50, 50), (0.9, 0.1), {"validation": 3}, "their sum must be below 1"),
        ((297, 3), (0.01, 0.1), {}, r"no message of class 'spam' .*train split.*--data\.split_seed"),  # trains on three
    ],
)
def test_splits_that_cannot_be_made(
    sizes: tuple[int, int], fractions: tuple[float, float], given: dict[str, int], message: str
) -> None:
    own = {name: given_split(name, rows) for name, rows in given.items()}
    with pytest.raises(UserError, match=message):
        split(corpus_of(ham=sizes[0], spam=sizes[1]), *fractions, 123, given=own)


def test_classes_are_sorted_or_as_given() -> None:
    corpus = corpus_of(spam=2, ham=2, offer=2)
    assert class_names(corpus) == ["ham", "offer", "spam"]
    assert class_names(corpus, ["spam", "offer", "ham"]) == ["spam", "offer", "ham"]
    with pytest.raises(UserError, match=r"one class only, \['ham'\]"):
        class_names(corpus_of(ham=3))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["spam"], r"one class only, \['spam'\]"),
        (["ham", "ham", "spam"], r"--data\.labels names a class twice: .*'ham', 'ham'"),
        (["ham", "offer"], r"no message is labelled 'offer'; .*\['ham', 'spam'\]"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        class_names(corpus_of(ham=3, spam=3), labels)


def test_undersampling_that_keeps_few_messages_is_told() -> None:
    corpus, labels = corpus_of(ham=12, spam=400), ["ham", "spam"]
    balanced, _ = undersample(corpus, labels, 123)
    parts = split(balanced, 0.7, 0.1, 123, stratify=True)
    undersampled, few = small_class_warnings(corpus, parts, labels, balance="undersample", stratify=True)
    assert undersampled == (
        "undersampling keeps 24 of 412 messages, since class 'ham' has 12: --data.balance class_weight keeps all"
    )
    assert few == (
        "the test split has only 3 of class 'ham', 3 of class 'spam', so its figures say little of them: "
        "lower --data.train_fraction or add messages"
    )
    # what it says works
    whole = split(corpus, 0.7, 0.1, 123, stratify=True)
    (few,) = small_class_warnings(corpus, whole, labels, balance="class_weight", stratify=True)
    assert "only 3 of class 'ham', so" in few
    lower = split(corpus, 0.1, 0.1, 123, stratify=True)
    assert small_class_warnings(corpus, lower, labels, balance="class_weight", stratify=True) == []


@pytest.mark.parametrize(("spam", "told"), [(84, []), (85, [True])])  # 20 of 100 messages, and of 101
def test_a_fifth_is_enough(spam: int, told: list[bool]) -> None:
    sizes = {"spam": spam, "ham": 4, "offer": 4, "news": 4, "note": 4}
    parts = {"test": corpus_of(**dict.fromkeys(sizes, 10))}
    found = small_class_warnings(corpus_of(**sizes), parts, list(sizes), balance="undersample", stratify=True)
    assert ["keeps 20 of 101 messages" in warning for warning in found] == told
    assert small_class_warnings(corpus_of(**sizes), parts, list(sizes), balance="none", stratify=True) == []


def test_few_test_messages_of_a_class_are_told_with_what_to_do() -> None:
    corpus = corpus_of(ham=300, spam=300)
    test = {"test": corpus_of(ham=10, spam=9)}
    (few,) = small_class_warnings(corpus, test, ["ham", "spam", "offer"], balance="none", stratify=False)
    assert few == (
        "the test split has only 9 of class 'spam', 0 of class 'offer', so its figures say little of them: "
        "lower --data.train_fraction, set --data.stratify true or add messages"
    )
    (few,) = small_class_warnings(corpus, test, ["ham", "spam"], balance="none", stratify=False, given=["test"])
    assert few.endswith(": add messages to --data.test_corpus")
    (few,) = small_class_warnings(corpus, test, list("abcdef"), balance="none", stratify=True)
    assert "0 of class 'c' and 3 more classes, so" in few
