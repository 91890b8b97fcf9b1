"""The one structure that crosses from data to models."""

from typing import NamedTuple

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
