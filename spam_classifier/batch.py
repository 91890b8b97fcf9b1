"""What crosses from the data to the model: batches, and what the data decides."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Messages padded to a common length; the same in every stage."""

    input_ids: Tensor  # token ids, int64 [B, T], padded on the right
    lengths: Tensor  # real (non-padding) tokens of each message, int64 [B], at least 1
    labels: Tensor  # class of each message, int64 [B]; -1 where it is unknown
    index: Tensor  # type: ignore[assignment]  # row of each message in its split, int64 [B]

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device; the host does not wait for a GPU to copy it."""
        return Batch(*(values.to(device, non_blocking=device.type == "cuda") for values in self))


class DataDescription(NamedTuple):
    """What the data decides for the model; a checkpoint keeps it with the hyper-parameters."""

    label_names: list[str]  # in the order of their indices
    class_weights: list[float]  # in the loss
    max_length: int  # tokens that longer messages are cut to
    padded_length: int | None  # tokens that every row is padded to; None pads each batch to its longest message
    keep: str = "head"  # the part of a longer message that is read: ``head``, ``tail`` or ``both``
    normalise: bool = False  # whether texts are normalised before they are encoded
    tokenizer: str | None = None  # the vocabulary as JSON; None for GPT-2's


CPU_BATCH_TOKENS = 768  # the activations of about this many tokens stay in a processor's cache
CPU_BATCH_TOKENS_BFLOAT16 = 1536  # faster products: fewer tokens don't pay for reading the weights
GPU_BATCH_TOKENS = 8192  # fewer leave a large GPU idle, more are no faster


def batches_by_length(row_lengths: Tensor, device: torch.device, *, bfloat16: bool = False) -> Iterator[Tensor]:
    """Rows grouped by length, the longest first, so that hardly any padding is computed.

    Args:
        row_lengths: Tokens of each row, int64 [N].
        device: Where they are computed: it decides the most tokens of a batch, padding included. A longer row is a
            batch of its own.
        bfloat16: Whether products are of that type.

    Yields:
        Row numbers, int64 [B]; each row once.
    """
    of_cpu = CPU_BATCH_TOKENS_BFLOAT16 if bfloat16 else CPU_BATCH_TOKENS
    most_tokens = of_cpu if device.type == "cpu" else GPU_BATCH_TOKENS
    order = row_lengths.argsort(descending=True, stable=True)
    start = 0
    while start < len(order):
        longest = int(row_lengths[order[start]])
        size = max(1, most_tokens // longest)
        yield order[start : start + size]
        start += size
