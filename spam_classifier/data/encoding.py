"""Messages to token ids: byte-pair encoding, truncation, padding."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from spam_classifier.batch import Batch
from spam_classifier.data.rows import has_surrogate
from spam_classifier.data.tokenizer import ENDOFTEXT, PADDING_ID, Tokenizer, tokenizer_of

UNKNOWN_LABEL = -1
TEXTS_AT_ONCE = 8192

Keep = Literal["head", "tail", "both"]  # what is kept of a message that is too long


class EncodedMessages:
    """A split as token ids, end to end in one tensor, so that a million messages are three tensors.

    Attributes:
        tokens: All messages' token ids one after the other, int32 [total].
        offsets: Where each message starts in ``tokens``, and one past the last, int64 [N + 1].
        labels: Class of each message, int64 [N]; -1 where it is unknown.
        padding: The id that pads batches.
    """

    def __init__(self, tokens: Tensor, offsets: Tensor, labels: Tensor, padding: int = PADDING_ID) -> None:
        self.padding = padding
        self.tokens = tokens
        self.offsets = offsets
        self.labels = labels

    @classmethod
    def from_texts(
        cls, texts: Sequence[str], labels: Sequence[int] | np.ndarray | None = None, tokenizer: str | None = None
    ) -> "EncodedMessages":
        """Encode messages, not empty, in bulk; without ``labels`` their classes are unknown.

        The characters ``<|endoftext|>`` in a message get the tokens of these characters, not the special token.
        ``tokenizer`` is what ``tokenizer_of`` takes.
        """
        own = tokenizer_of(tokenizer)

        def encode_from(start: int) -> tuple[np.ndarray, np.ndarray]:
            return _encode(np.asarray(texts[start : start + TEXTS_AT_ONCE], dtype=object).tolist(), own)

        with ThreadPoolExecutor(os.cpu_count()) as threads:  # the tokenizer lets them run side by side
            pieces = list(threads.map(encode_from, range(0, len(texts), TEXTS_AT_ONCE)))
        tokens = np.concatenate([np.zeros(0, np.int32), *(tokens for tokens, _ in pieces)])
        offsets = np.concatenate([np.zeros(1, np.int64), *(lengths for _, lengths in pieces)]).cumsum()
        classes = torch.full((len(texts),), UNKNOWN_LABEL) if labels is None else torch.tensor(labels)
        return cls(torch.from_numpy(tokens), torch.from_numpy(offsets), classes.long(), own.padding)

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

        ``rows``, int64 [N], are messages that are longer. Also gives for each piece the place of its message in
        ``rows``, int64 [pieces].
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
        unknown = torch.full((len(starts),), UNKNOWN_LABEL)
        return EncodedMessages(tokens.flatten(), offsets, unknown, self.padding), torch.tensor(owners)

    def batch(self, rows: Tensor, max_length: int, padded_length: int | None = None, keep: Keep = "head") -> Batch:
        """Gather messages, by their rows int64 [B], into a batch, cut to ``max_length`` tokens and padded on the right.

        The batch is padded to ``padded_length`` tokens, at least ``max_length``; by default to its longest message. A
        longer message keeps its first tokens (``head``), its last ones (``tail``), or half of each (``both``; the head
        gets the odd token). Compared by Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?".
        """
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        lengths = (ends - starts).clamp(max=max_length)
        position = torch.arange(padded_length or int(lengths.max()))
        real = position < lengths[:, None]  # (B, T)
        from_head = {"head": max_length, "tail": 0, "both": (max_length + 1) // 2}[keep]
        left_out = (ends - starts - lengths)[:, None] * (position >= from_head)
        source = torch.where(real, starts[:, None] + left_out + position, 0)
        input_ids = self.tokens[source].long().masked_fill(~real, self.padding)
        return Batch(input_ids, lengths, self.labels[rows], rows)


def _encode(texts: list[str], tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of all texts end to end, int32 [total], and the number of each text's, int64 [N]."""
    encoding = tokenizer.encoding
    # All texts at once, with a special token between them, are several times as fast as one by one.
    if any(ENDOFTEXT in text or has_surrogate(text) for text in texts):
        separate = [np.array(encoding.encode_ordinary(text), np.int32) for text in texts]
        places, lengths = np.concatenate(separate), np.array([len(ids) for ids in separate], np.int64)
    else:
        places = encoding.encode_to_numpy(ENDOFTEXT.join(texts), allowed_special={ENDOFTEXT}).astype(np.int32)
        between = places == tokenizer.separator
        ends = np.append(np.flatnonzero(between), len(places))
        places, lengths = places[~between], np.diff(ends, prepend=-1) - 1
    return places if tokenizer.ids is None else tokenizer.ids[places], lengths
