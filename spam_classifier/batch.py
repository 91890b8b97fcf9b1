"""The structures that cross from data to models."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Messages padded to a common length; the same in every stage.

    Attributes:
        input_ids: GPT-2 token ids, int64 [B, T], padded on the right.
        lengths: Real (non-padding) tokens of each message, int64 [B], at least 1.
        labels: Class of each message, int64 [B]; -1 where it is unknown.
        index: Row of each message in its split, int64 [B].
    """

    input_ids: Tensor
    lengths: Tensor
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # in place of tuple.index, of no use here

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(*(values.to(device) for values in self))


@runtime_checkable
class MessageSource(Protocol):
    """What a model may ask of the loader that gives it batches of a split.

    Attributes:
        messages: The split's messages; another split, or other messages, are another object.
        max_length: Tokens that longer messages are cut to.
        padded_length: Tokens that every batch is padded to; None where each is padded to its own longest message.
    """

    messages: object
    max_length: int
    padded_length: int | None

    def __len__(self) -> int:
        """Batches in a pass."""
        ...

    @property
    def row_lengths(self) -> Tensor:
        """Real tokens of each message, cut as it is handed out, int64 [N]."""
        ...

    def gather(self, rows: Tensor, padded_length: int | None) -> Batch:
        """The batch of these rows, int64 [B], padded to that length, or to its own longest message."""
        ...


BATCH_TOKENS = 768  # the activations of about this many tokens stay in a processor's cache


def batches_by_length(row_lengths: Tensor, most_tokens: int = BATCH_TOKENS) -> Iterator[Tensor]:
    """Rows in batches of like length, so that hardly any padding is computed: the longest first.

    Args:
        row_lengths: Tokens of each row, int64 [N].
        most_tokens: Most tokens in a batch, padding included; a longer row is a batch of its own.

    Yields:
        Row numbers, int64 [B]; each row once.
    """
    order = row_lengths.argsort(descending=True, stable=True)
    start = 0
    while start < len(order):
        longest = int(row_lengths[order[start]])
        size = max(1, most_tokens // longest)
        yield order[start : start + size]
        start += size
