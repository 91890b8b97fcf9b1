"""Tricks alter messages as they say, the same way for the same seed."""

import random

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data import tricks
from spam_classifier.data.encoding import EncodedMessages, Keep
from spam_classifier.data.normalise import normalise
from spam_classifier.data.tokenizer import gpt2_tokenizer

TEXT = "You have won a prize worth £1000, call now & claim"
BENIGN = ["See you at seven?", "ok"]
ALL = {
    **tricks.OF_TEXT,
    **tricks.with_benign_text(BENIGN),
    **tricks.behind_the_cut(BENIGN, 20, "head"),
    **tricks.of_mails(BENIGN),
}


@pytest.mark.parametrize("name", ALL)
@given(text=st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), seed=st.integers(0, 9))
def test_a_seed_gives_one_result(name: str, text: str, seed: int) -> None:
    assert tricks.altered(text, name, ALL[name], seed) == tricks.altered(text, name, ALL[name], seed)
    assert ALL[name].__doc__


@pytest.mark.parametrize(
    ("name", "contains"),
    [
        ("zero-width spaces", "\u200b"),
        ("soft hyphens", "\u00ad"),
        ("dots in words", "."),
        ("emoji", "🎁"),
        ("<|endoftext|>", "<|endoftext|>"),
        ("benign text before", "o"),
        ("padding", "\n.\n."),
    ],
)
def test_what_a_trick_puts_in(name: str, contains: str) -> None:
    altered = tricks.altered(TEXT, name, ALL[name], 1)
    assert altered != TEXT
    assert altered.count(contains) > TEXT.count(contains)


@pytest.mark.parametrize("name", ["homoglyphs", "zero-width spaces", "soft hyphens"])
def test_normalising_undoes_disguises(name: str) -> None:
    altered = tricks.altered(TEXT, name, ALL[name], 1)
    assert altered != TEXT
    assert normalise(altered) == TEXT


@pytest.mark.parametrize("keep", ["head", "tail", "both"])
def test_the_message_lies_outside_what_is_read(keep: Keep) -> None:
    trick = tricks.behind_the_cut(BENIGN, 20, keep)["behind the cut"]
    altered = EncodedMessages.from_texts([tricks.altered("prize " * 5, "behind the cut", trick, 1)])
    read = altered.batch(torch.tensor([0]), 20, keep=keep).input_ids[0].tolist()
    assert "prize" in gpt2_tokenizer().decode(altered.tokens.tolist())
    assert "prize" not in gpt2_tokenizer().decode(read)


@pytest.mark.parametrize("name", tricks.of_mails(BENIGN))
def test_tricks_of_mails_are_undone_by_the_reader(name: str) -> None:
    assert " ".join(tricks.altered(TEXT, name, ALL[name], 1).split()) == TEXT


@pytest.mark.parametrize(("share", "copies"), [(0.5, 10), (1, 20), (2.5, 50)])
def test_copies_have_a_trick_and_their_label(share: float, copies: int) -> None:
    texts = [f"{random.Random(number).choice(['call', 'meet'])} number {number}" for number in range(20)]
    messages = pd.DataFrame({"label": ["ham", "spam"] * 10, "text": texts})
    both = tricks.with_altered(messages, share, 1, "ham")
    assert both[["label", "text"]][:20].equals(messages)
    assert tricks.without_altered(both).equals(messages)
    assert tricks.without_altered(messages).equals(messages)
    added = both[20:]
    assert len(added) == copies
    assert added["trick"].isin(tricks.OF_TEXT.keys() | tricks.with_benign_text(BENIGN).keys()).all()
    assert both.equals(tricks.with_altered(messages, share, 1, "ham"))
    assert not both.equals(tricks.with_altered(messages, share, 2, "ham"))
    if share == 1:
        assert added["label"].value_counts().to_dict() == {"ham": 10, "spam": 10}


@pytest.mark.parametrize("benign", ["first", "second"])
def test_benign_text_is_of_the_class_that_is_named(benign: str) -> None:
    messages = pd.DataFrame({"label": ["first", "second"] * 50, "text": ["aaaa bbbb", "cccc dddd"] * 50})
    added = tricks.with_altered(messages, 5, 1, benign)[100:]
    other = added[(added["label"] != benign) & added["trick"].str.startswith("benign text")]
    assert len(other) > 5
    assert other["text"].str.contains("aaaa" if benign == "first" else "cccc").all()
