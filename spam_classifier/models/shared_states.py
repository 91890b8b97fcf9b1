"""Hidden states on disk, for several trainings with the same frozen blocks: each message is computed once for all.

Where the blocks are packed in float32, the states of a message have the same bits in any company: they depend on its
tokens and the blocks alone. So splits, folds, seeds and trials can take them from one file.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spam_classifier.files import atomic_write

KEY_BYTES = 16


def key_of(token_ids: np.ndarray) -> bytes:
    """The key of a message, from the ids of all its tokens, int64 [T]."""
    return hashlib.blake2b(token_ids.tobytes(), digest_size=KEY_BYTES).digest()


@dataclass(frozen=True)
class SharedStates:
    """The states that certain frozen blocks give to messages: a file of numbers, and an index of its messages.

    Only one process at a time may use them.

    Args:
        directory: Where the two files are; it is made if it is missing.
        blocks: A name that differs where the blocks would give other states.
        width: Size of a state.
    """

    directory: Path
    blocks: str
    width: int

    def bytes_with(self, states: int) -> int:
        """Size of the file once so many states are added."""
        return (self._read_index()[1] + states) * self.width * torch.float32.itemsize

    def take(
        self, keys: Sequence[bytes], counts: Tensor, compute: Callable[[Tensor, Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, int]:
        """The states of messages, of which those that are missing are computed and added.

        Args:
            keys: The messages.
            counts: States of each, int64 [N].
            compute: Called with a tensor, float32 [states, width], to be filled with the states of some messages, and
                with their places in ``keys``, int64; returns where each one begins, int64.

        Returns:
            All states in a memory-mapped file, float32 [total, width]; where those of each message begin, int64 [N];
            and how many messages were computed.

        Raises:
            OSError: The disk has no room for them.
        """
        starts, total = self._read_index()
        places = {key: place for place, key in enumerate(keys) if key not in starts}
        missing = torch.tensor(list(places.values()), dtype=torch.int64)
        states = self._mapped(total + int(counts[missing].sum()))
        if places:
            begins = compute(states[total:], missing) + total
            starts |= zip(places, begins.tolist(), strict=True)
            self._write_index(starts, len(states))
        return states, torch.tensor([starts[key] for key in keys]), len(places)

    def _mapped(self, total: int) -> Tensor:
        self.directory.mkdir(parents=True, exist_ok=True)
        path, size = self.directory / f"{self.blocks}.states", total * self.width
        with path.open("ab") as file:
            if hasattr(os, "posix_fallocate"):  # else writing to a full disk would kill the process
                os.posix_fallocate(file.fileno(), 0, size * torch.float32.itemsize)
        return torch.from_file(str(path), shared=True, size=size, dtype=torch.float32).view(total, self.width)

    @property
    def _index(self) -> Path:
        return self.directory / f"{self.blocks}.npz"

    def _read_index(self) -> tuple[dict[bytes, int], int]:
        """Where the states of each message begin, and how many states there are."""
        if not self._index.is_file():
            return {}, 0
        with np.load(self._index) as index:
            return dict(zip(map(bytes, index["keys"]), index["starts"].tolist(), strict=True)), int(index["total"])

    def _write_index(self, starts: dict[bytes, int], total: int) -> None:
        keys = np.frombuffer(b"".join(starts), np.uint8).reshape(-1, KEY_BYTES)
        with atomic_write(self._index) as unfinished, unfinished.open("wb") as file:
            np.savez(file, keys=keys, starts=np.fromiter(starts.values(), np.int64, len(starts)), total=total)
