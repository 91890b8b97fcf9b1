"""Batches in an order that is a pure function of seed, epoch and step."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spam_classifier.batch import Batch
from spam_classifier.data.encoding import EncodedMessages, Keep

BUCKET = 50  # batches of messages that are sorted by length together


class EpochOrder:
    """The order of a split's rows in each epoch.

    Args:
        rows: Number of rows in the split.
        seed: Seed of the shuffle; None keeps the rows in place.
    """

    def __init__(self, rows: int, seed: int | None) -> None:
        self.rows = rows
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; the Trainer calls this as each one begins."""
        self.epoch = epoch

    def row_numbers(self) -> Tensor:
        """The rows of the chosen epoch in order, int64 [rows]."""
        if self.seed is None:
            return torch.arange(self.rows)
        return torch.from_numpy(np.random.default_rng((self.seed, self.epoch)).permutation(self.rows))


class BucketedOrder(EpochOrder):
    """Shuffled batches of like length: rows are shuffled, sorted by length within buckets, and the batches shuffled.

    Args:
        lengths: Tokens of each row, int64 [N].
        seed: Seed of the shuffle.
        batch_size: Rows of a batch, over all processes.
    """

    def __init__(self, lengths: Tensor, seed: int, batch_size: int) -> None:
        super().__init__(len(lengths), seed)
        self.shuffle_seed = seed
        self.lengths = lengths
        self.batch_size = batch_size

    def row_numbers(self) -> Tensor:
        """The rows of the chosen epoch in order, int64 [rows]; an incomplete batch stays last."""
        rows = super().row_numbers()
        whole, rest = rows.tensor_split([len(rows) - len(rows) % self.batch_size])
        buckets = [bucket[self.lengths[bucket].argsort()] for bucket in whole.split(BUCKET * self.batch_size)]
        batches = torch.cat(buckets).view(-1, self.batch_size)
        shuffle = np.random.default_rng((self.shuffle_seed, self.epoch, self.batch_size)).permutation(len(batches))
        return torch.cat([batches[torch.from_numpy(shuffle)].flatten(), rest])


class LongestFirst(EpochOrder):
    """Rows by their length, the longest first: what is too long for the memory fails at once.

    Args:
        lengths: Tokens of each row, int64 [N].
    """

    def __init__(self, lengths: Tensor) -> None:
        super().__init__(len(lengths), seed=None)
        self.lengths = lengths

    def row_numbers(self) -> Tensor:
        """The rows in order, int64 [rows]."""
        return self.lengths.argsort(descending=True, stable=True)


class BatchLoader:
    """A sized, re-iterable stream of batches for the Trainer, which takes any iterable as a dataloader.

    Batches are gathered from tensors already in memory, so there are no workers and no collate function. Under
    several processes each takes its own share: in training whole batches of ``batch_size``, the incomplete
    rest dropped as the book does; in evaluation every row exactly once, whatever the number of processes.

    Args:
        messages: The encoded split.
        order: Order of the rows; the Trainer announces each epoch to it.
        batch_size: Messages per batch and process.
        max_length: Longest row, in tokens; longer messages are cut.
        padded_length: Pad every batch to this many tokens; None pads to its own longest message.
        keep: What is kept of longer messages: ``head``, ``tail`` or ``both``.
        drop_incomplete: Leave out the last rows where they do not fill a batch on every process.
        rank: Number of this process.
        world_size: Number of processes.
        first_batch: Asked as each pass begins: how many batches of it are already done (resuming mid-epoch).
    """

    def __init__(
        self,
        messages: EncodedMessages,
        order: EpochOrder,
        *,
        batch_size: int,
        max_length: int,
        padded_length: int | None,
        keep: Keep = "head",
        drop_incomplete: bool = False,
        rank: int = 0,
        world_size: int = 1,
        first_batch: Callable[[], int] = lambda: 0,
    ) -> None:
        self.messages = messages
        self.sampler = order  # under this name the Trainer finds set_epoch,
        self.batch_sampler = None  # and it asks for this one along with it
        self.batch_size = batch_size
        self.max_length = max_length
        self.padded_length = padded_length
        self.keep = keep
        self.drop_incomplete = drop_incomplete
        self.rank = rank
        self.world_size = world_size
        self.first_batch = first_batch

    def _rows_of_this_process(self) -> Tensor:
        rows = self.sampler.row_numbers()
        if self.drop_incomplete:
            rows = rows[: len(rows) - len(rows) % (self.batch_size * self.world_size)]
        return rows[self.rank :: self.world_size]

    def __len__(self) -> int:
        rows = len(self.messages)
        if self.drop_incomplete:
            return rows // (self.batch_size * self.world_size)
        own = (rows - self.rank + self.world_size - 1) // self.world_size
        return -(-own // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rows = self._rows_of_this_process()
        for start in range(self.first_batch() * self.batch_size, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            yield self.gather(batch, self.padded_length)

    @property
    def row_lengths(self) -> Tensor:
        """Tokens of each message, cut to the maximum length, int64 [N]."""
        return self.messages.lengths.clamp(max=self.max_length)

    def gather(self, rows: Tensor, padded_length: int | None) -> Batch:
        """The batch of these rows, int64 [B], padded to that length, or to its own longest message."""
        return self.messages.batch(rows, self.max_length, padded_length, self.keep)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: seed, epoch and step say it all. The Trainer wants to see that resuming is provided for."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""
