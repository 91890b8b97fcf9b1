"""Tokenizers with other vocabularies than GPT-2's."""

import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Peer
from tokenizers import decoders, models, pre_tokenizers, trainers

from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.data.tokenizer import read_tokenizer, tokenizer_of, vocabulary_directory
from spam_classifier.errors import UserError

GERMAN = "Schöne Grüße aus Köln, wir treffen uns übermorgen um 19 Uhr am Bahnhof; die Straße heißt Goßlerstraße. "
FRENCH = "L'été dernier, j'ai mangé des crêpes à la plage ; c'était délicieux, n'est-ce pas ? Où êtes-vous allés ? "
MIXED = "Привет, как дела? 你好世界 नमस्ते مرحبا 🎉🎉 résumé\u0301 a\tb\n\n  c   12345 !!! ..... aaaaaaa "
SCRIPTS = [(32, 126), (160, 591), (768, 879), (880, 1279), (1424, 1791), (2304, 2431), (3584, 3711), (4352, 4607)]
SCRIPTS += [(8192, 8303), (12353, 12543), (19968, 20479), (44032, 44543), (127744, 128591), (0, 31), (917760, 917999)]


def vocabulary(text: str, size: int, special: tuple[str, ...] = ()) -> Peer:
    """A byte-level BPE that was trained on parts of a text."""
    draw = random.Random(size)
    words = text.split(" ")
    lines = [" ".join(draw.choices(words, k=12)) + draw.choice(["", "\n", "  "]) for _ in range(400)]
    peer = Peer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    peer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=list(special), show_progress=False
    )
    peer.train_from_iterator(lines, trainer)
    return peer


def strings(number: int) -> list[str]:
    """Strings of all scripts: emojis, controls, combining marks, white space."""
    draw, found = random.Random(5), []
    words = (GERMAN + FRENCH + MIXED).split(" ")
    while len(found) < number:
        low, high = draw.choice(SCRIPTS)
        drawn = "".join(chr(draw.randint(low, high)) for _ in range(draw.randint(1, 12)))
        space = draw.choice([" ", "  ", "\n", "\t", "\u00a0", "\u3000", "\r\n", ""])
        text = space.join(draw.sample([drawn, draw.choice(words), draw.choice(words), str(draw.random())], 4))
        found.append(unicodedata.normalize(draw.choice(["NFC", "NFD"]), text))
    return found


def kept(peer: Peer, directory: Path, rows: int = 0) -> str | None:
    peer.save(str(directory / "tokenizer.json"))
    return read_tokenizer(directory, rows or peer.get_vocab_size())


@pytest.mark.parametrize(
    ("text", "size", "special"),
    [(GERMAN, 400, ()), (FRENCH, 330, ("<|endoftext|>",)), (GERMAN + FRENCH + MIXED, 700, ("<s>", "<pad>"))],
)
def test_same_ids_as_tokenizers(text: str, size: int, special: tuple[str, ...], tmp_path: Path) -> None:
    peer = vocabulary(text, size, special)
    peer.add_special_tokens(["<|im_start|>", "<|endoftext|>"])
    own = kept(peer, tmp_path, peer.get_vocab_size() + 3)
    texts = [*strings(10_000), "", "a <|endofline|> b"]
    encoded = EncodedMessages.from_texts(texts, tokenizer=own)
    ids, offsets = encoded.tokens.tolist(), encoded.offsets.tolist()
    for number, expected in enumerate(peer.encode_batch(texts)):
        assert ids[offsets[number] : offsets[number + 1]] == expected.ids, repr(texts[number])
    assert encoded.padding == peer.token_to_id("<|endoftext|>")
    peer.encode_special_tokens = True
    message = "a <|endoftext|> <|im_start|> b"
    assert EncodedMessages.from_texts([message], tokenizer=own).tokens.tolist() == peer.encode(message).ids


def test_two_files_are_one_tokenizer(tmp_path: Path) -> None:
    peer = vocabulary(GERMAN, 400, ("<|endoftext|>",))
    own = kept(peer, tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    peer.model.save(str(tmp_path))
    assert read_tokenizer(tmp_path, peer.get_vocab_size()) == own
    (tmp_path / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    with pytest.raises(UserError, match="add_prefix_space is true, and only false"):
        read_tokenizer(tmp_path, peer.get_vocab_size())


def test_gpt2s_own_files_are_gpt2(tmp_path: Path) -> None:
    for name, source in (("vocab.json", "encoder.json"), ("merges.txt", "vocab.bpe")):
        (tmp_path / name).write_bytes((vocabulary_directory() / source).read_bytes())
    assert read_tokenizer(tmp_path, 50257) is None
    tokenizer_of(None).refuse_other_tokens()
    assert tokenizer_of(None).ids is None  # tiktoken's own are GPT-2's


def test_no_tokenizer_is_gpt2s_where_its_size_is(tmp_path: Path) -> None:
    assert read_tokenizer(tmp_path, 50257) is None
    with pytest.raises(UserError, match=r"vocabulary of 50300, not GPT-2's 50257, and there is neither tokenizer.json"):
        read_tokenizer(tmp_path, 50300)


def test_padding_without_special_tokens(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(kept(vocabulary(GERMAN, 400), tmp_path))
    assert (tokenizer.padding, tokenizer.text_makes_padding) == (0, True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": {"type": "WordPiece"}}, "model.type is WordPiece"),
        ({"model": {"type": "Unigram"}}, "model.type is Unigram"),
        ({"normalizer": {"type": "NFKC"}}, "normalizer is NFKC"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "pre_tokenizer.type is Metaspace"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "add_prefix_space is True"),
        ({"post_processor": {"type": "TemplateProcessing"}}, "post_processor.type is TemplateProcessing"),
        ({"added_tokens": [{"content": "Moin", "id": 3, "special": False}]}, "adds words, such as 'Moin'"),
        ({"added_tokens": [{"content": "<x>", "id": 900, "special": True}]}, "has 901 tokens, the weights 400"),
    ],
)
def test_other_tokenizers_are_refused_by_name(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    kept(vocabulary(GERMAN, 400), tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UserError, match=told):
        read_tokenizer(tmp_path, 400)


@pytest.mark.parametrize(
    ("merges", "told"),
    [
        ([["a", "b"], ["b", "c"], ["a", "bc"], ["ab", "c"]], "one token of the vocabulary each"),
        ([["b", "c"], ["a", "b"], ["ab", "c"]], "no text gives the token 'abc'"),
        ([["a", "z"]], "one token of the vocabulary each"),
    ],
)
def test_merges_that_tiktoken_cannot_do(merges: list[list[str]], told: str, tmp_path: Path) -> None:
    kept(vocabulary(GERMAN, 400), tmp_path)
    file = tmp_path / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["merges"] = merges
    content["model"]["vocab"] |= {"ab": 400, "bc": 401, "abc": 402}
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=told):
        read_tokenizer(tmp_path, 500)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"model": {"type": "BPE", "vocab": 3}}'])
def test_damaged_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError, match=str(tmp_path)):
        read_tokenizer(tmp_path, 50300)
