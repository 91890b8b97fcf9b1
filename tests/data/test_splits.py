"""Balancing and splitting against an independent statement of the book's recipe, and by their properties."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.corpora import read_corpus
from spam_classifier.data.splits import (
    class_names,
    deduplicate,
    first_of_each_class,
    refuse_rare_classes,
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


@pytest.fixture(scope="module")
def sms(uci_archive: Path) -> pd.DataFrame:
    return read_corpus(str(uci_archive))


def test_real_corpus_gives_the_known_sizes(sms: pd.DataFrame) -> None:
    assert len(sms) == 5574
    balanced, left_over = undersample(sms, ["ham", "spam"], seed=123)
    assert len(left_over) == 4080
    assert balanced["label"].tolist() == ["ham"] * 747 + ["spam"] * 747
    parts = split(balanced, 0.7, 0.1, seed=123)
    assert {name: len(rows) for name, rows in parts.items()} == {
        "train": 1045,
        "validation": 149,
        "test": 300,
    }


def test_real_corpus_leaks_36_test_messages_into_train(sms: pd.DataFrame) -> None:
    parts = split(undersample(sms, ["ham", "spam"], seed=123)[0], 0.7, 0.1, seed=123)
    assert parts["test"]["text"].isin(parts["train"]["text"]).sum() == 36


def test_real_corpus_is_split_as_in_the_book(sms: pd.DataFrame) -> None:
    spam = sms[sms["label"] == "spam"]
    ham = sms[sms["label"] == "ham"].sample(len(spam), random_state=123)
    frame = pd.concat([ham, spam]).sample(frac=1, random_state=123).reset_index(drop=True)
    first_cut = int(len(frame) * 0.7)
    second_cut = first_cut + int(len(frame) * 0.1)
    book = {"train": frame[:first_cut], "validation": frame[first_cut:second_cut], "test": frame[second_cut:]}

    parts = split(undersample(sms, ["ham", "spam"], seed=123)[0], 0.7, 0.1, seed=123)
    assert list(parts) == list(book)
    for name, rows in book.items():
        pd.testing.assert_frame_equal(parts[name], rows.reset_index(drop=True))


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


@given(sizes_per_class, seeds)
def test_smallest_classes_are_kept_whole_and_in_order(sizes: dict[str, int], seed: int) -> None:
    corpus = corpus_of(**sizes)
    balanced, _ = undersample(corpus, list(sizes), seed)
    for label, size in sizes.items():
        if size == min(sizes.values()):
            expected = corpus[corpus["label"] == label]
            pd.testing.assert_frame_equal(balanced[balanced["label"] == label], expected)


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
    for name, part in split(corpus, train_fraction, validation_fraction, seed).items():
        pd.testing.assert_frame_equal(part, parts[name])


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


@pytest.mark.parametrize(("how", "kept"), [("none", [0, 1, 2, 3]), ("exact", [0, 1, 3]), ("near", [0, 3])])
def test_deduplication_keeps_the_first(how: str, kept: list[int]) -> None:
    texts = ["Call 08001 now", "call 08002 NOW", "Call 08001 now", "see you"]
    corpus = pd.DataFrame({"label": ["spam"] * 3 + ["ham"], "text": texts})
    assert deduplicate(corpus, how)["text"].tolist() == [texts[place] for place in kept]


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
    ("train_fraction", "validation_fraction"),
    [
        (0, 0.1),
        (1, 0.1),
        (-0.5, 0.1),
        (1.5, 0.1),
        (0.7, 0),
        (0.7, -0.1),
        (0.7, 0.3),
        (0.9, 0.2),
        (float("nan"), 0.1),
    ],
)
def test_fractions_that_are_none_are_refused(train_fraction: float, validation_fraction: float) -> None:
    with pytest.raises(UserError) as refusal:
        split(corpus_of(ham=50, spam=50), train_fraction, validation_fraction, 123)
    assert f"--data.train_fraction {train_fraction} " in str(refusal.value)
    assert f"--data.validation_fraction {validation_fraction} " in str(refusal.value)


@pytest.mark.parametrize(
    ("train_fraction", "validation_fraction", "empty"), [(0.05, 0.5, "train"), (0.7, 0.05, "validation")]
)
def test_an_empty_split_is_named(train_fraction: float, validation_fraction: float, empty: str) -> None:
    with pytest.raises(UserError, match=f"the {empty} split is empty: 10 messages are too few"):
        split(corpus_of(ham=5, spam=5), train_fraction, validation_fraction, 123)


def test_a_class_left_out_of_training_is_refused() -> None:
    with pytest.raises(UserError, match=r"no message of class 'spam' .*train split.*--data\.split_seed"):
        split(corpus_of(ham=297, spam=3), 0.01, 0.1, 123)  # three messages to train on


@pytest.mark.parametrize("count", [1, 2])
def test_a_rare_class_is_refused_by_name_and_size(count: int) -> None:
    with pytest.raises(UserError, match=rf"class 'spam' has {count} message\(s\)"):
        refuse_rare_classes(corpus_of(ham=10, spam=count), ["ham", "spam"])


def test_three_messages_of_a_class_are_enough() -> None:
    refuse_rare_classes(corpus_of(ham=3, spam=3), ["ham", "spam"])


def test_classes_are_sorted_or_as_given() -> None:
    corpus = corpus_of(spam=2, ham=2, offer=2)
    assert class_names(corpus) == ["ham", "offer", "spam"]
    assert class_names(corpus, ["spam", "offer", "ham"]) == ["spam", "offer", "ham"]


@pytest.mark.parametrize(
    ("sizes", "labels", "message"),
    [
        ({"ham": 3}, None, r"one class only, \['ham'\]"),
        ({"ham": 3, "spam": 3}, ["spam"], r"one class only, \['spam'\]"),
        (
            {"ham": 3, "spam": 3},
            ["ham", "ham", "spam"],
            r"--data\.labels names a class twice: .*'ham', 'ham'",
        ),
        ({"ham": 3, "spam": 3}, ["ham", "offer"], r"no message is labelled 'offer'; .*\['ham', 'spam'\]"),
    ],
)
def test_labels_that_do_not_fit_are_refused(sizes: dict[str, int], labels: list[str] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        class_names(corpus_of(**sizes), labels)


def test_repeats_are_named_as_the_cause_of_a_rare_class() -> None:
    with pytest.raises(UserError, match=r"class 'spam' has 1 message\(s\) left after --data.deduplicate near, too few"):
        refuse_rare_classes(corpus_of(ham=9, spam=1), ["ham", "spam"], deduplicate="near")
