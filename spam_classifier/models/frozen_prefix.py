"""Hidden states after the frozen blocks: computed once for each message and kept for all epochs.

The embeddings and the blocks before the first trainable one give a message the same hidden states in every epoch. One
pass over the messages, without autograd and grouped by length, replaces one pass per epoch.

Where the blocks are packed in float32, the states of a message have the same bits in any company: they depend on its
tokens and the blocks alone. So several trainings (splits, folds, seeds, trials) can share them in a file.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from spam_classifier.batch import Batch
from spam_classifier.files import UNFINISHED, atomic_write
from spam_classifier.models.gpt2 import Block
from spam_classifier.models.gpt2_classifier import GPT2Classifier, without_autocast
from spam_classifier.models.packed_blocks import PackedBlock, float32_products, packed_type, read_out, through_blocks

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
SUMMED_AT_ONCE = 2**20
KEY_BYTES = 16


class Place(StrEnum):
    """Where hidden states are kept."""

    GPU = "on the GPU"
    MEMORY = "in memory"
    DISK = "on disk"


def place_for(size: int, *, gpu_free: int, memory: float, disk: float) -> Place | None:
    """Where to keep hidden states of this many bytes: the fastest place with room for them, if any has.

    ``gpu_free`` is the number of free bytes on the network's GPU: half of them stay free for the training. ``memory``
    and ``disk`` are the bytes left of the two budgets.
    """
    if size < gpu_free / 2:
        return Place.GPU
    if size <= memory:
        return Place.MEMORY
    return Place.DISK if size <= disk else None


def free_bytes(device: torch.device) -> int:
    """Bytes that are free on a GPU; 0 for a device of any other kind."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


@dataclass(frozen=True)
class HiddenStates:
    """The hidden states of a split's messages, end to end, all tensors on the GPU or all on the CPU."""

    tokens: Tensor  # float [total, width], perhaps in a memory-mapped file
    starts: Tensor  # where each message's states begin, int64 [N]
    counts: Tensor  # states of each message, int64 [N]: one for each token, or only the one that the head reads
    longest: int  # most states of a message
    place: Place

    def gather(self, batch: Batch) -> Tensor:
        """The states of a batch's messages, float [B, T, width], arbitrary after a message's last state."""
        if self.place == Place.GPU:
            # the host knows the batch's width: asking the GPU for the longest message would make it wait
            return self._of(batch.index, min(batch.input_ids.shape[1], self.longest))
        device, rows = batch.index.device, batch.index.cpu()
        states = self._of(rows, int(self.counts[rows].max()))
        if device.type == "cuda":
            states = states.pin_memory()
        return states.to(device, non_blocking=True)

    def _of(self, rows: Tensor, most: int) -> Tensor:
        place = torch.arange(most, device=rows.device)
        source = torch.where(place < self.counts[rows, None], self.starts[rows, None] + place, 0)  # (B, T)
        return self.tokens[source]  # (B, T, width)


class FrozenPrefix:
    """The embeddings and the first, frozen blocks of a network; if all are frozen, only what the head reads is kept."""

    def __init__(self, net: GPT2Classifier, blocks: int) -> None:
        self.net = net
        self.blocks = blocks
        self.covers_all_blocks = blocks == len(net.backbone.h)
        self._versions: list[tuple[int, int]] = []
        self._digest: list[int] = []
        self._products: dict[str, str] = {}

    def states_of_rows(self, lengths: Tensor) -> Tensor:
        """How many states are kept of rows of so many tokens, int64 [N] to [N]."""
        return torch.ones_like(lengths) if self.covers_all_blocks else lengths

    def name(self) -> str:
        """A name for the states of the same rows, after ``has_changed``: another one where they would differ."""
        net = self.net
        read = (net.token_position, net.padding_matters) if self.covers_all_blocks else ()
        attention = [(block.attn.heads, block.attn.causal) for block in net.backbone.h]  # type: ignore[union-attr]
        of = (self._digest, self.blocks, attention, read, self._products, torch.__version__)
        return hashlib.sha256(repr(of).encode()).hexdigest()[:16]

    def logits(self, states: Tensor, batch: Batch) -> Tensor:
        """Logits of a batch, float [B, classes], from its kept states, float [B, T, width]."""
        if self.covers_all_blocks:
            return self.net.classify(states[:, 0])
        one_token = self.blocks == len(self.net.backbone.h) - 1 and self.net.token_position != "mean"
        # on a CPU, rounding a block's weights takes longer than products for one token of each message can save
        in_float32 = one_token and states.device.type == "cpu"
        with without_autocast(states.device) if in_float32 else contextlib.nullcontext():
            return self.net.logits_from(states, batch.lengths, self.blocks)

    def has_changed(self) -> bool:
        """Whether a frozen weight holds other numbers than at the last call, or products are computed otherwise."""
        backbone = self.net.backbone
        modules: list[nn.Module] = [backbone.wte, backbone.wpe, *backbone.h[: self.blocks]]
        if self.covers_all_blocks:
            modules.append(backbone.ln_f)
        frozen = [parameter for module in modules for parameter in module.parameters()]
        versions = [(parameter.data_ptr(), parameter._version) for parameter in frozen]
        digest, products = self._digest, float32_products()
        if versions != self._versions:  # restoring a checkpoint writes the same numbers again
            digest = [digest_of(parameter) for parameter in frozen]
        changed = (digest, products) != (self._digest, self._products)
        self._versions, self._digest, self._products = versions, digest, products
        return changed

    def states(self, batches: Iterable[Batch], on_block: Callable[[int], object]) -> Iterator[Tensor]:
        """Compute the states of each batch, messages end to end, float [states, width], on the network's device.

        Rows are padded as in training if padding matters. ``on_block`` is called with the number of messages whenever a
        block is done with a batch.
        """
        blocks = [cast(Block, block) for block in self.net.backbone.h]
        before = blocks[: min(self.blocks, len(blocks) - 1)]  # the last one works for the token that is read
        dtype = packed_type(self.net.backbone)
        if dtype is None:
            yield from self._plain_states(batches, before, on_block)
            return
        last = PackedBlock(blocks[-1], dtype) if self.covers_all_blocks else None
        for batch, messages, states in through_blocks(self.net, batches, before, dtype, on_block):
            if last is None:
                yield states
            else:
                yield read_out(self.net, states, messages, batch, last)
                on_block(len(batch.lengths))

    def _plain_states(
        self, batches: Iterable[Batch], blocks: Sequence[Block], on_block: Callable[[int], object]
    ) -> Iterator[Tensor]:
        for batch in batches:
            states = self.net.backbone.embed(batch.input_ids)  # (B, T, width)
            for block in blocks:
                states = block(states)
                on_block(len(states))
            if self.covers_all_blocks:
                yield self.net.read_out(states, batch.lengths, len(blocks))
                on_block(len(states))
            elif self.net.padding_matters:
                yield states.flatten(0, 1)
            else:
                real = torch.arange(states.shape[1], device=states.device) < batch.lengths[:, None]  # (B, T)
                yield states[real]


def digest_of(parameter: Tensor) -> int:
    """A number that changes with the parameter's: a SHA-256 on a CPU, ``sum_of_bits`` where that would be slow."""
    flat = parameter.detach().reshape(-1)
    if flat.device.type == "cpu":
        return int.from_bytes(hashlib.sha256(flat.view(torch.uint8).numpy().data).digest())
    return sum_of_bits(flat)


def sum_of_bits(flat: Tensor) -> int:
    """The bits of each number of a flat tensor, times an odd number of its place, added up modulo 2**64.

    Any change of a single number changes the sum.
    """
    bits = flat.view(BITS[flat.element_size()])
    odd = (torch.arange(min(len(bits), SUMMED_AT_ONCE), device=bits.device) * 0x5851F42D4C957F2D) | 1
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for part in bits.split(SUMMED_AT_ONCE):
        total = total * 0x14057B7EF767814F + (part * odd[: len(part)]).sum()
    return int(total)


@contextlib.contextmanager
def mapped_file(directory: Path, size: int, dtype: torch.dtype) -> Iterator[Tensor]:
    """A flat tensor in a file whose name is removed at once: the file goes with the tensor, however the process ends.

    Raises an OSError if the disk has no room for it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="frozen_prefix-", suffix=UNFINISHED, dir=directory)
    try:
        _reserve(handle, size * dtype.itemsize)
        yield torch.from_file(name, shared=True, size=size, dtype=dtype)
    finally:
        os.close(handle)
        with contextlib.suppress(PermissionError):  # some systems keep the name of a mapped file
            Path(name).unlink()


def _reserve(handle: int, size: int) -> None:
    """Take room on the disk for a file: else writing to a full disk would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)


def key_of(token_ids: np.ndarray) -> bytes:
    """The key of a message among shared states, from the ids of all its tokens, int64 [T]."""
    return hashlib.blake2b(token_ids.tobytes(), digest_size=KEY_BYTES).digest()


@dataclass(frozen=True)
class SharedStates:
    """The states that frozen blocks give to messages: a file of numbers, and an index, for one process at a time."""

    directory: Path  # of both files
    blocks: str  # FrozenPrefix.name
    width: int  # of a state

    def bytes_with(self, states: int) -> int:
        """Size of the file once so many states are added."""
        return (self._read_index()[1] + states) * self.width * torch.float32.itemsize

    def take(
        self, keys: Sequence[bytes], counts: Tensor, compute: Callable[[Tensor, Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, int]:
        """The states of messages, ``counts`` int64 [N] of each; those that are missing are computed and added.

        ``compute`` fills a tensor, float32 [states, width], with the states of the messages at some places in ``keys``,
        int64, and returns where each message's begin, int64.

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
            _reserve(file.fileno(), size * torch.float32.itemsize)
        return torch.from_file(str(path), shared=True, size=size, dtype=torch.float32).view(total, self.width)

    def _read_index(self) -> tuple[dict[bytes, int], int]:
        """Where the states of each message begin, and how many states there are."""
        if not (path := self.directory / f"{self.blocks}.npz").is_file():
            return {}, 0
        with np.load(path) as index:
            return dict(zip(map(bytes, index["keys"]), index["starts"].tolist(), strict=True)), int(index["total"])

    def _write_index(self, starts: dict[bytes, int], total: int) -> None:
        keys = np.frombuffer(b"".join(starts), np.uint8).reshape(-1, KEY_BYTES)
        with atomic_write(self.directory / f"{self.blocks}.npz") as unfinished, unfinished.open("wb") as file:
            np.savez(file, keys=keys, starts=np.fromiter(starts.values(), np.int64, len(starts)), total=total)
