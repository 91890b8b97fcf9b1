"""Which words speak for a label: their influences add up, and are Shapley values."""

import itertools
import math
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier import Classifier, Explanation, SpamClassifier, SpamDataModule, load_classifier
from spam_classifier.data.encoding import EncodedMessages, Keep
from spam_classifier.data.tokenizer import PADDING_ID
from spam_classifier.errors import UserError
from spam_classifier.inference.word_influence import MOST_EXACT, MOST_PIECES, PAIRS, Part, Subsets

TEXT = "You have won  a\nprize, call 0906!"
HOSTILE = st.text(st.characters() | st.sampled_from(" \n\t  \x1cab'\ud800é漢")) | st.just("<|endoftext|> <|endoftext|>")
KEEPS = st.sampled_from(["head", "tail", "both"])


def log_odds(classifier: Classifier, text: str, label: str) -> float:
    probabilities = dict(zip(classifier.labels, classifier.probabilities([text]).double()[0].tolist(), strict=True))
    own = probabilities.pop(label)
    return math.log(own / sum(probabilities.values()))


def words_of(explanation: Explanation) -> list[Part]:
    return [part for part in explanation.parts if part.influence is not None]


def row(messages: EncodedMessages, number: int) -> list[int]:
    return messages.tokens[messages.offsets[number] : messages.offsets[number + 1]].tolist()


def numbers_of(subsets: Subsets) -> range:
    """As many different scores as there are subsets."""
    return range(len(subsets.remaining))


@given(text=HOSTILE.filter(str.strip), max_length=st.integers(1, 12), keep=KEEPS)
def test_parts_make_up_the_text_and_the_last_row_is_what_is_read(text: str, max_length: int, keep: Keep) -> None:
    subsets = Subsets(text, max_length, keep)
    read = EncodedMessages.from_texts([text]).batch(torch.tensor([0]), max_length, keep=keep)
    assert row(subsets.remaining, -2) == read.input_ids[0].tolist()
    lengths = subsets.remaining.lengths.tolist()
    assert min(lengths) >= 1
    assert max(lengths) == lengths[-1] <= max_length
    parts = subsets.parts(numbers_of(subsets))
    assert "".join(part.text for part in parts) == text
    assert len([part for part in parts if part.influence is not None]) == subsets.pieces
    assert all(part.text and part.text == part.text.strip() for part in parts if part.influence is not None)


def test_white_space_has_no_influence_and_the_rest_keeps_its_tokens() -> None:
    text = " You have\n won "
    subsets = Subsets(text, 20, "head")
    parts = [part.text for part in subsets.parts(numbers_of(subsets)) if part.influence is None]
    assert parts == [" ", " ", "\n ", " "]
    every = [" ", " You ", " have ", " You have ", "\n won ", " You\n won ", " have\n won ", text]
    rest = EncodedMessages.from_texts(every)
    assert [row(subsets.remaining, n) for n in range(8)] == [row(rest, n) for n in range(8)]


@pytest.mark.parametrize(("words", "in_each"), [(64, 1), (65, 2), (128, 2), (1_000, 16)])
def test_neighbouring_words_of_a_long_text_count_as_one(words: int, in_each: int) -> None:
    subsets = Subsets(" ".join(["word"] * words), 10_000, "head")
    assert len(subsets.remaining) <= 2 * PAIRS + 2
    assert subsets.pieces <= MOST_PIECES
    found = subsets.parts(numbers_of(subsets))
    parts = [part.text.split() for part in found if part.influence is not None]
    assert [len(part) for part in parts[:-1]] == [in_each] * (len(parts) - 1)
    assert sum(map(len, parts)) == words


@pytest.mark.parametrize(
    ("keep", "read"), [("head", "one two three"), ("tail", "six seven eight"), ("both", "one two eight")]
)
def test_words_beyond_the_part_that_is_read_have_no_influence(keep: Keep, read: str) -> None:
    subsets = Subsets("one two three four five six seven eight", 3, keep)
    parts = subsets.parts(numbers_of(subsets))
    assert " ".join(part.text for part in parts if part.influence is not None) == read
    assert sorted(subsets.remaining.lengths.tolist()) == [1, 1, 1, 1, 2, 2, 2, 3]


def test_text_that_is_cut_down_to_white_space_has_no_words() -> None:
    assert Subsets("\n\t" * 50 + "word", 10, "head").parts([0.5]) == [("\n\t" * 50 + "word", None, None)]


def test_text_without_tokens_is_endoftext() -> None:
    assert row(Subsets("prize", 20, "head").remaining, 0) == [PADDING_ID]


def shapley_values(value: Callable[[frozenset[int]], float], pieces: int) -> list[float]:
    """By their definition, the mean over all orders."""
    added = [0.0] * pieces
    orders = list(itertools.permutations(range(pieces)))
    for order in orders:
        for place, piece in enumerate(order):
            added[piece] += value(frozenset(order[: place + 1])) - value(frozenset(order[:place]))
    return [total / len(orders) for total in added]


def scores_of(subsets: Subsets, value: Callable[[frozenset[int]], float]) -> list[float]:
    return [value(frozenset(kept.nonzero()[0].tolist())) for kept in subsets._kept]


def test_influences_of_few_words_are_shapley_values() -> None:
    subsets, draw = Subsets("one two three four five", 20, "head"), random.Random(1)
    values = {frozenset(kept.nonzero()[0].tolist()): draw.gauss(0, 1) for kept in subsets._kept}
    influences, errors = subsets.influences(scores_of(subsets, values.__getitem__))
    assert influences.tolist() == pytest.approx(shapley_values(values.__getitem__, 5))
    assert not errors.any()


@pytest.mark.parametrize("words", [MOST_EXACT + 1, 20, MOST_PIECES])
def test_influences_of_many_words_add_up_and_are_near_shapley_values(words: int) -> None:
    subsets, draw = Subsets(" ".join(["word"] * words), 200, "head"), random.Random(words)
    own = [draw.gauss(0, 1) for _ in range(words)]
    exact = np.array([value + (place < 6) / 3 for place, value in enumerate(own)])

    def value(kept: frozenset[int]) -> float:  # words that act alone, and two threes that act together
        threes = ({0, 1, 2}, {3, 4, 5})
        return 3.0 + sum(own[piece] for piece in kept) + sum(three <= kept for three in threes)

    scores = scores_of(subsets, value)
    influences, errors = subsets.influences(scores)
    assert float(influences.sum()) == pytest.approx(scores[-1] - scores[0], abs=1e-9)
    far = np.abs(influences - exact) / errors
    assert np.sqrt((far**2).mean()) < 2
    assert np.abs(influences - exact).max() < 0.25


@pytest.mark.parametrize(
    ("position", "padding"), [("last_real", "batch"), ("last", "longest"), ("first", "batch"), ("mean", "longest")]
)
def test_influences_add_up_to_the_log_odds(trained: Callable[..., Classifier], position: str, padding: str) -> None:
    classifier = trained(token_position=position, padding=padding)
    explanation = classifier.explain(TEXT)
    (expected,) = classifier.predict([TEXT])
    assert explanation.label == explanation.prediction.label == expected.label
    assert explanation.prediction.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    assert [part.text for part in words_of(explanation)] == TEXT.split()
    assert explanation.log_odds == pytest.approx(log_odds(classifier, TEXT, explanation.label), abs=1e-4)
    influences = [part.influence or 0 for part in explanation.parts]
    assert explanation.without_words + sum(influences) == pytest.approx(explanation.log_odds, abs=1e-9)
    assert max(map(abs, influences)) > 1e-3


def test_two_classes_are_pushed_in_opposite_directions(trained: Callable[..., Classifier]) -> None:
    ham, spam = (trained().explain(TEXT, label) for label in ("ham", "spam"))
    assert (ham.label, spam.label) == ("ham", "spam")
    assert ham.prediction == spam.prediction
    assert [part.influence for part in words_of(ham)] == pytest.approx(
        [-(part.influence or 0) for part in words_of(spam)], abs=1e-5
    )


def test_influence_does_not_saturate_with_the_probabilities(trained: Callable[..., Classifier]) -> None:
    classifier = trained()
    before = [part.influence for part in words_of(classifier.explain(TEXT, "spam"))]
    decision = classifier.model.decision
    temperature = decision.temperature.clone()
    try:
        decision.temperature.mul_(1e-4)
        sure = classifier.explain(TEXT, "spam")
    finally:
        decision.temperature.copy_(temperature)
    assert sure.prediction.probabilities[sure.prediction.label] == 1
    assert [part.influence for part in words_of(sure)] == pytest.approx([1e4 * (own or 0) for own in before], rel=1e-3)


def test_unfit_questions_are_refused(trained: Callable[..., Classifier]) -> None:
    with pytest.raises(UserError, match="no class 'eggs': name one of ham, spam"):
        trained().explain(TEXT, "eggs")
    with pytest.raises(UserError, match="empty"):
        trained().explain(" \n")


def test_threads_get_their_own_explanations(trained: Callable[..., Classifier]) -> None:
    texts = [f"{'call now ' * (number % 5)}message {number}" for number in range(12)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(trained().explain, texts))
    for text, explanation in zip(texts, found, strict=True):
        alone = trained().explain(text)
        assert explanation.label == alone.label
        (parts, influences, _), (others, expected, _) = (zip(*own.parts, strict=True) for own in (explanation, alone))
        assert parts == others
        assert influences == pytest.approx(expected, abs=1e-5)


def small_gpt2(corpus: str, directory: Path, steps: int) -> tuple[Classifier, list[str]]:
    """A GPT-2 trained from scratch on a corpus for some steps, and the test messages."""
    pl.seed_everything(1)
    data = SpamDataModule(corpus, padding="batch", batch_size=16)
    options = {"trainable": "all", "token_position": "last_real", "learning_rate": 2e-3, "dropout": 0.1}
    model = SpamClassifier("random", 2, 64, 2, 256, **options)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = pl.Trainer(max_steps=steps, limit_val_batches=0, accelerator="cpu", default_root_dir=directory, **quiet)
    trainer.fit(model, data)
    trainer.save_checkpoint(directory / "model.ckpt")
    data.setup("test")
    return load_classifier(directory / "model.ckpt"), data.splits["test"]["text"].tolist()


@pytest.mark.slow
def test_named_words_matter_more_than_random_ones(tmp_path: Path) -> None:
    classifier, texts = small_gpt2("sample", tmp_path, steps=150)
    draw = random.Random(0)
    falls: dict[str, list[float]] = {"named": [], "random": []}
    texts = [text for text in texts if len(text.split()) > 4][:40]
    for text in texts:
        explanation = classifier.explain(text)
        words = words_of(explanation)
        order = sorted(range(len(words)), key=lambda place: -(words[place].influence or 0))
        for name, places in (("named", order[:3]), ("random", draw.sample(range(len(words)), 3))):
            rest = " ".join(word.text for place, word in enumerate(words) if place not in places)
            whole = log_odds(classifier, " ".join(text.split()), explanation.label)
            falls[name].append(whole - log_odds(classifier, rest, explanation.label))
    better = sum(named > random for named, random in zip(falls["named"], falls["random"], strict=True))
    assert better >= 0.8 * len(texts)
    assert sum(falls["named"]) > 3 * sum(falls["random"])
    assert sum(falls["named"]) / len(texts) > 0.7


def test_word_that_decides_is_named(three_classes: Path, tmp_path: Path) -> None:
    classifier, _ = small_gpt2(str(three_classes), tmp_path, steps=40)
    for word in ("goal", "stage", "cells"):
        for number in (3, 11):
            words = words_of(classifier.explain(f"a {word} of {number} and {number * 3}"))
            assert max(words, key=lambda own: own.influence or 0).text == word
