import re
import unicodedata
from collections import Counter
from itertools import pairwise

import pytest

from spam_classifier.data.encoding import gpt2_tokenizer
from spam_classifier.data.sample_generator import SAMPLE_PATH, generate_sample, main

DOTTED_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", re.IGNORECASE)
URL_HOST = re.compile(r"(?:://|www\.)([^\s/]+)", re.IGNORECASE)
RESERVED_HOST = re.compile(r"(?:[\w-]+\.)*example\.(?:com|org|net|test)[.!?,:;]*", re.IGNORECASE)
RESERVED_PHONE = re.compile(
    r"(?:\+44 |\b0)(?:7700[ -]?900[ -]?\d{3}|20 ?7946 ?0\d{3}|808[ -]?157[ -]?0\d{3})\b"
    r"|(?:\(\d{3}\) |\b\d{3}-)?555-01\d\d\b"
)
PHONE_LIKE = re.compile(r"\d(?:[ ()-]{0,2}\d){9,}")
EMOJI = re.compile("[\U0001f300-\U0001faff❤☀✅]")


@pytest.fixture(scope="module")
def messages() -> list[tuple[str, str]]:
    lines = SAMPLE_PATH.read_bytes().decode().removesuffix("\n").split("\n")
    return [tuple(line.split("\t")) for line in lines]


@pytest.fixture(scope="module")
def texts(messages) -> dict[str, list[str]]:
    return {label: [text for other, text in messages if other == label] for label in ("ham", "spam")}


def best_balanced_accuracy(ham_hits: Counter, spam_hits: Counter, ham: int, spam: int) -> float:
    """The best of the rules "spam if it hits" and "ham if it hits", over all that can be hit."""
    differences = (abs(spam_hits[hit] / spam - ham_hits[hit] / ham) for hit in ham_hits | spam_hits)
    return 0.5 + max(differences) / 2


def test_the_generator_writes_the_committed_bytes(tmp_path):
    output = tmp_path / "again.tsv"
    main(["--output", str(output)])
    assert output.read_bytes() == SAMPLE_PATH.read_bytes()
    assert list(tmp_path.iterdir()) == [output]


def test_another_seed_gives_another_corpus():
    assert generate_sample(seed=1) != generate_sample(seed=2)


@pytest.mark.parametrize("place", ["missing/sample.tsv", "a_file/sample.tsv", "a_directory"])
def test_an_output_that_cannot_be_written_is_named_in_one_line(tmp_path, capsys, place):
    (tmp_path / "a_file").write_text("precious")
    (tmp_path / "a_directory").mkdir()
    output = tmp_path / place
    with pytest.raises(SystemExit) as stopped:
        main(["--output", str(output)])
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert str(output) in error
    assert error.count("\n") == 1
    assert {path.name for path in tmp_path.rglob("*")} == {"a_file", "a_directory"}


def test_every_line_is_a_label_a_tab_and_a_text(messages):
    assert all(len(message) == 2 for message in messages)
    assert {label for label, _ in messages} == {"ham", "spam"}


def test_counts(messages, texts):
    assert 2900 <= len(messages) <= 3100
    assert 650 <= len(texts["spam"]) <= 750


def test_labels_are_shuffled(messages):
    changes = sum(one[0] != following[0] for one, following in pairwise(messages))
    assert changes > 800


def test_texts_are_clean(messages):
    for _, text in messages:
        assert text == text.strip() != ""
        assert len(text) <= 1000
        assert not any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text), text


def test_no_template_notation_is_left(messages):
    for _, text in messages:
        assert not re.search(r"[{}\[\]]|\|\||<<|>>|  ", text), text


def test_no_text_is_longer_than_250_tokens(messages):
    tokenizer = gpt2_tokenizer()
    assert max(len(tokenizer.encode_ordinary(text)) for _, text in messages) < 250


def test_hosts_are_reserved_for_documentation(messages):
    for _, text in messages:
        for host in DOTTED_NAME.findall(text) + URL_HOST.findall(text):
            assert RESERVED_HOST.fullmatch(host), text


def test_telephone_numbers_are_reserved_for_fiction(messages):
    for _, text in messages:
        assert not PHONE_LIKE.search(RESERVED_PHONE.sub("#", text)), text


def test_exact_repeats_are_few_but_there(messages):
    repeats = len(messages) - len(set(messages))
    assert 0 < repeats < 0.01 * len(messages)


def test_no_text_stands_under_both_labels(texts):
    assert not set(texts["ham"]) & set(texts["spam"])


def test_a_length_rule_does_not_solve_it(texts):
    at_least = {label: Counter(length for text in texts[label] for length in range(len(text) + 1)) for label in texts}
    accuracy = best_balanced_accuracy(at_least["ham"], at_least["spam"], *map(len, texts.values()))
    assert accuracy < 0.8


def test_a_single_word_does_not_solve_it(texts):
    holding = {
        label: Counter(word for text in texts[label] for word in set(re.findall(r"\w+", text.lower())))
        for label in texts
    }
    accuracy = best_balanced_accuracy(holding["ham"], holding["spam"], *map(len, texts.values()))
    assert accuracy < 0.75


@pytest.mark.parametrize("label", ["ham", "spam"])
@pytest.mark.parametrize(
    "trait",
    [
        lambda text: len(text) >= 500,
        lambda text: len(text) >= 700,
        EMOJI.search,
        lambda text: "<|endoftext|>" in text,
        lambda text: "<script>" in text,
        lambda text: text.count('"') % 2 == 1,
        lambda text: "“" in text and "”" in text,
        lambda text: "’" in text,
        lambda text: re.search(r"&(?:lt|amp);", text),
        lambda text: re.search("[éèêñüßçãł]", text),
        lambda text: re.search("[\u0400-\u04ff]", text),
        lambda text: re.search("[\u4e00-\u9fff]", text),
        lambda text: "£" in text,
        lambda text: "$" in text,
        lambda text: "€" in text,
        lambda text: "example." in text.lower(),
        lambda text: RESERVED_PHONE.search(text),
        lambda text: text.isupper() and len(text) > 20,
        lambda text: text.islower() and len(text) > 20,
        lambda text: re.search(r"\b(?:win|won|free|claim|prize)\b", text.lower()),
    ],
)
def test_both_classes_hold_texts_of_every_kind(texts, label, trait):
    assert any(trait(text) for text in texts[label])


def test_very_short_ham_and_short_spam(texts):
    assert sum(len(text) <= 3 for text in texts["ham"]) >= 10
    assert sum(len(text) <= 25 for text in texts["spam"]) >= 10
