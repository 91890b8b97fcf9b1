"""Batches in an order that is a pure function of seed, epoch and step."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from spam_classifier.batch import Batch
from spam_classifier.data.encoding import EncodedMessages, Keep

BUCKET = 50  # batches of messages that are sorted by length together


class EpochOrder:
    """The order of a split's rows in each epoch: shuffled by the seed, or in place if it is None.

    Attributes:
        always_first: Set it to keep the order of the first epoch in all epochs.
    """

    def __init__(self, rows: int, seed: int | None) -> None:
        self.rows = rows
        self.seed = seed
        self.epoch = 0
        self.always_first = False

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; the Trainer calls this as each one begins."""
        self.epoch = 0 if self.always_first else epoch

    def row_numbers(self) -> Tensor:
        """The rows of the chosen epoch in order, int64 [rows]."""
        if self.seed is None:
            return torch.arange(self.rows)
        return torch.from_numpy(np.random.default_rng((self.seed, self.epoch)).permutation(self.rows))


class BucketedOrder(EpochOrder):
    """Batches grouped by length: rows are shuffled, sorted by length within buckets, and the batches shuffled.

    ``lengths`` are the tokens of each row, int64 [N]. A batch has ``batch_size`` rows over all processes.
    """

    def __init__(self, lengths: Tensor, seed: int, batch_size: int) -> None:
        super().__init__(len(lengths), seed)
        self.shuffle_seed = seed
        self.lengths = lengths
        self.batch_size = batch_size

    @override
    def row_numbers(self) -> Tensor:
        # An incomplete batch stays last.
        rows = super().row_numbers()
        whole, rest = rows.tensor_split([len(rows) - len(rows) % self.batch_size])
        buckets = [bucket[self.lengths[bucket].argsort()] for bucket in whole.split(BUCKET * self.batch_size)]
        batches = torch.cat(buckets).view(-1, self.batch_size)
        shuffle = np.random.default_rng((self.shuffle_seed, self.epoch, self.batch_size)).permutation(len(batches))
        return torch.cat([batches[torch.from_numpy(shuffle)].flatten(), rest])


class LongestFirst(EpochOrder):
    """The longest rows first, so that what is too long for the memory fails at once."""

    def __init__(self, lengths: Tensor) -> None:
        super().__init__(len(lengths), seed=None)
        self.lengths = lengths

    @override
    def row_numbers(self) -> Tensor:
        return self.lengths.argsort(descending=True, stable=True)


class BatchLoader:
    """The batches of a split, for the Trainer, which takes any iterable as a dataloader.

    They are gathered from tensors in memory: no workers, no collate function. Each of several processes takes its
    share: in evaluation every row exactly once, in training complete batches only, as in the book. Without a
    ``padded_length`` a batch is padded to its own longest message. ``title`` says what the messages are, for a line to
    the user. ``first_batch`` is called as each pass begins: how many of its batches are already done (resuming
    mid-epoch).
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
        title: str = "messages",
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
        self.title = title
        self.drop_incomplete = drop_incomplete
        self.rank = rank
        self.world_size = world_size
        self.first_batch = first_batch

    def __len__(self) -> int:
        rows = len(self.messages)
        if self.drop_incomplete:
            return rows // (self.batch_size * self.world_size)
        own = (rows - self.rank + self.world_size - 1) // self.world_size
        return -(-own // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rows = self.sampler.row_numbers()
        if self.drop_incomplete:
            rows = rows[: len(rows) - len(rows) % (self.batch_size * self.world_size)]
        rows = rows[self.rank :: self.world_size]
        for start in range(self.first_batch() * self.batch_size, len(rows), self.batch_size):
            yield self.gather(rows[start : start + self.batch_size], self.padded_length)

    @property
    def row_lengths(self) -> Tensor:
        """Tokens of each message, cut to the maximum length, int64 [N]."""
        return self.messages.lengths.clamp(max=self.max_length)

    def gather(self, rows: Tensor, padded_length: int | None) -> Batch:
        """The batch of these rows, int64 [B], padded to that length, or to its own longest message."""
        return self.messages.batch(rows, self.max_length, padded_length, self.keep)

    def state_dict(self) -> dict[str, Any]:
        """Nothing, as seed, epoch and step determine the batches; the Trainer asks whether it can resume."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""
