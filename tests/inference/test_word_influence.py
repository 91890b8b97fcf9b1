"""Which words speak for a label, checked against the probabilities without them."""

import math
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier import Classifier, Explanation, SpamClassifier, SpamDataModule, load_classifier
from spam_classifier.data.encoding import PADDING_ID, EncodedMessages, Keep
from spam_classifier.errors import UserError
from spam_classifier.inference.word_influence import MOST_PIECES, Occlusion, Part

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


@given(text=HOSTILE.filter(str.strip), max_length=st.integers(1, 12), keep=KEEPS)
def test_parts_make_up_the_text_and_the_first_row_is_what_is_read(text: str, max_length: int, keep: Keep) -> None:
    occlusion = Occlusion(text, max_length, keep)
    read = EncodedMessages.from_texts([text]).batch(torch.tensor([0]), max_length, keep=keep)
    assert row(occlusion.remaining, 0) == read.input_ids[0].tolist()
    lengths = occlusion.remaining.lengths.tolist()
    assert min(lengths) >= 1
    assert max(lengths) == lengths[0] <= max_length
    parts = occlusion.parts(range(len(lengths)))
    assert "".join(part.text for part in parts) == text
    found = [part.influence for part in parts if part.influence is not None]
    assert {-influence for influence in found} == set(range(1, len(lengths)))
    assert all(part.text and part.text == part.text.strip() for part in parts if part.influence is not None)


def test_white_space_has_no_influence_and_the_rest_keeps_its_tokens() -> None:
    text = " You have\n won "
    occlusion = Occlusion(text, 20, "head")
    influences = {"You": 1.0, "have": 2.0, "won": 3.0}
    parts = [(part, influences.get(part)) for part in (" ", "You", " ", "have", "\n ", "won", " ")]
    assert occlusion.parts([0.0, -1.0, -2.0, -3.0]) == parts
    rest = EncodedMessages.from_texts([text, " have\n won ", " You\n won ", " You have "])
    assert [row(occlusion.remaining, n) for n in range(4)] == [row(rest, n) for n in range(4)]


@pytest.mark.parametrize(("words", "in_each"), [(64, 1), (65, 2), (128, 2), (1_000, 16)])
def test_neighbouring_words_of_a_long_text_are_left_out_together(words: int, in_each: int) -> None:
    occlusion = Occlusion(" ".join(["word"] * words), 10_000, "head")
    assert len(occlusion.remaining) <= MOST_PIECES + 1
    parts = [part.text.split() for part in occlusion.parts(range(len(occlusion.remaining))) if part.influence]
    assert [len(part) for part in parts[:-1]] == [in_each] * (len(parts) - 1)
    assert sum(map(len, parts)) == words


@pytest.mark.parametrize(
    ("keep", "read"), [("head", "one two three"), ("tail", "six seven eight"), ("both", "one two eight")]
)
def test_words_beyond_the_part_that_is_read_have_no_influence(keep: Keep, read: str) -> None:
    occlusion = Occlusion("one two three four five six seven eight", 3, keep)
    parts = occlusion.parts([0.0, 1.0, 1.0, 1.0])
    assert " ".join(part.text for part in parts if part.influence is not None) == read
    assert occlusion.remaining.lengths.tolist() == [3, 2, 2, 2]


def test_text_that_is_cut_down_to_white_space_has_no_words() -> None:
    assert Occlusion("\n\t" * 50 + "word", 10, "head").parts([0.5]) == [("\n\t" * 50 + "word", None)]


def test_lone_word_is_compared_with_an_empty_text() -> None:
    assert row(Occlusion("prize", 20, "head").remaining, 1) == [PADDING_ID]


@pytest.mark.parametrize(
    ("position", "padding"), [("last_real", "batch"), ("last", "longest"), ("first", "batch"), ("mean", "longest")]
)
def test_influence_is_the_fall_of_the_log_odds(trained: Callable[..., Classifier], position: str, padding: str) -> None:
    classifier = trained(token_position=position, padding=padding)
    explanation = classifier.explain(TEXT)
    (expected,) = classifier.predict([TEXT])
    assert explanation.label == explanation.prediction.label == expected.label
    assert explanation.prediction.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    assert [part.text for part in words_of(explanation)] == TEXT.split()
    whole = log_odds(classifier, TEXT, explanation.label)
    found = {part.text: part.influence for part in explanation.parts}
    for word, before in {"You": "", "won": " ", "prize,": "\n", "0906!": " "}.items():
        rest = TEXT.replace(before + word, "")
        assert found[word] == pytest.approx(whole - log_odds(classifier, rest, explanation.label), abs=1e-4)
    assert max(abs(part.influence or 0) for part in explanation.parts) > 1e-3


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
        (parts, influences), (expected_parts, expected) = (zip(*own.parts, strict=True) for own in (explanation, alone))
        assert parts == expected_parts
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
