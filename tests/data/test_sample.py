"""The embedded sample: its bytes, and what makes it safe and hard enough to show."""

import hashlib
import re
import unicodedata
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from spam_classifier.data.near_duplicates import near_duplicates, words_of
from spam_classifier.data.tokenizer import gpt2_tokenizer

SAMPLE = (files("spam_classifier.data") / "sample.tsv").read_bytes()
EVERYDAY = Path(__file__).parents[1] / "everyday_messages.tsv"
# ranges that are reserved for films and books, or that no network has given out
RESERVED_PHONE = re.compile(
    r"(?:\+44 ?|\b0)(?:7700[ -]?900[ -]?\d{3}|20[ -]?7946[ -]?0\d{3}|808[ -]?157[ -]?0\d{3}|909[ -]?879[ -]?0\d{3})\b"
    r"|(?:\(\d{3}\) |\+?1?-?\b\d{3}[- .])?555[-. ]?01\d\d\b|(?:\+91 )?5550\d \d{5}\b|(?:\+234 |\b0)600 555 \d{4}\b"
)
PHONE_LIKE = re.compile(r"\+?\d(?:[ ()-]{0,2}\d){9,}")
INVENTED_ACCOUNT = "0012300000"


def rows(content: bytes) -> list[tuple[str, str]]:
    return [tuple(line.split("\t")) for line in content.decode().removesuffix("\n").split("\n")]


@pytest.fixture(scope="module")
def messages() -> list[tuple[str, str]]:
    return rows(SAMPLE)


def test_the_bytes_are_those_of_the_runs_that_were_measured() -> None:
    assert hashlib.sha256(SAMPLE).hexdigest() == "a8d019b7359e8539e45192ad56ee84081ac69d366eae30ab6022e157518317d1"


def test_labels_and_texts_are_clean(messages: list[tuple[str, str]]) -> None:
    assert Counter(label for label, _ in messages) == {"ham": 2494, "spam": 2496}
    tokenizer = gpt2_tokenizer()
    for _, text in messages:
        assert text == text.strip() != ""
        assert not any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text), text
        assert len(tokenizer.encode_ordinary(text)) < 250


def test_no_message_nearly_repeats_another(messages: list[tuple[str, str]]) -> None:
    assert near_duplicates([text for _, text in messages]) == [None] * len(messages)


def test_telephone_numbers_are_nobodys(messages: list[tuple[str, str]]) -> None:
    for _, text in messages:
        rest = RESERVED_PHONE.sub("#", text).replace(INVENTED_ACCOUNT, "#")
        assert not PHONE_LIKE.search(rest), text


def test_no_template_shows(messages: list[tuple[str, str]]) -> None:
    openings = Counter(" ".join(re.findall(r"\w+", text.lower())[:3]) for _, text in messages)
    assert openings.most_common(1)[0][1] <= 20, openings.most_common(5)


def test_a_single_word_does_not_solve_it(messages: list[tuple[str, str]]) -> None:
    texts = {name: [text for label, text in messages if label == name] for name in ("ham", "spam")}
    holding = {
        name: Counter(word for text in own for word in set(re.findall(r"\w+", text.lower())))
        for name, own in texts.items()
    }
    for word in holding["ham"] | holding["spam"]:
        ham, spam = (holding[name][word] / len(texts[name]) for name in ("ham", "spam"))
        assert abs(ham - spam) < 0.3, word  # a balanced accuracy below 65%


def test_the_everyday_messages_are_not_in_it(messages: list[tuple[str, str]]) -> None:
    everyday = [(text, words_of(text)) for _, text in rows(EVERYDAY.read_bytes())]
    for _, text in messages:
        words = words_of(text)
        for other, those in everyday:
            assert len(words & those) < 0.6 * len(words | those), (text, other)
