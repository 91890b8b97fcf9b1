"""The embedded sample: its bytes, and what makes it safe and hard enough to show."""

import hashlib
import re
import unicodedata
from collections import Counter
from importlib.resources import files

import pytest

from spam_classifier.data.encoding import gpt2_tokenizer

SAMPLE = (files("spam_classifier.data") / "sample.tsv").read_bytes()
DOTTED_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", re.IGNORECASE)
URL_HOST = re.compile(r"(?:://|www\.)([^\s/]+)", re.IGNORECASE)
RESERVED_HOST = re.compile(r"(?:[\w-]+\.)*example\.(?:com|org|net|test)[.!?,:;]*", re.IGNORECASE)
RESERVED_PHONE = re.compile(
    r"(?:\+44 |\b0)(?:7700[ -]?900[ -]?\d{3}|20 ?7946 ?0\d{3}|808[ -]?157[ -]?0\d{3})\b"
    r"|(?:\(\d{3}\) |\b\d{3}-)?555-01\d\d\b"
)
PHONE_LIKE = re.compile(r"\d(?:[ ()-]{0,2}\d){9,}")


@pytest.fixture(scope="module")
def messages() -> list[tuple[str, str]]:
    return [tuple(line.split("\t")) for line in SAMPLE.decode().removesuffix("\n").split("\n")]


def test_the_bytes_are_those_of_the_runs_that_were_measured() -> None:
    assert hashlib.sha256(SAMPLE).hexdigest() == "06d3ff68ff0b10be211211faee96b38fcdbb9c9bc310d1832078eefdb8da6516"


def test_labels_and_texts_are_clean(messages: list[tuple[str, str]]) -> None:
    assert [len([text for label, text in messages if label == name]) for name in ("ham", "spam")] == [2300, 700]
    tokenizer = gpt2_tokenizer()
    for _, text in messages:
        assert text == text.strip() != ""
        assert not any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text), text
        assert len(tokenizer.encode_ordinary(text)) < 250
    ham, spam = ({text for label, text in messages if label == name} for name in ("ham", "spam"))
    assert not ham & spam


def test_hosts_and_telephone_numbers_are_reserved_ones(messages: list[tuple[str, str]]) -> None:
    for _, text in messages:
        for host in DOTTED_NAME.findall(text) + URL_HOST.findall(text):
            assert RESERVED_HOST.fullmatch(host), text
        assert not PHONE_LIKE.search(RESERVED_PHONE.sub("#", text)), text


def test_a_single_word_does_not_solve_it(messages: list[tuple[str, str]]) -> None:
    texts = {name: [text for label, text in messages if label == name] for name in ("ham", "spam")}
    holding = {
        name: Counter(word for text in own for word in set(re.findall(r"\w+", text.lower())))
        for name, own in texts.items()
    }
    for word in holding["ham"] | holding["spam"]:
        ham, spam = (holding[name][word] / len(texts[name]) for name in ("ham", "spam"))
        assert abs(ham - spam) < 0.5, word  # a balanced accuracy below 75 %
