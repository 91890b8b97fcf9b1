"""Hidden states after the frozen blocks: computed once for each message and kept for all epochs.

The embeddings and the blocks before the first trainable one give a message the same hidden states in every epoch. One
pass over the messages, without autograd and grouped by length, replaces one pass per epoch.
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

import torch
from torch import Tensor, nn

from spam_classifier.batch import Batch
from spam_classifier.files import UNFINISHED
from spam_classifier.models.float32_products import float32_products
from spam_classifier.models.gpt2 import Block
from spam_classifier.models.gpt2_classifier import GPT2Classifier, without_autocast
from spam_classifier.models.packed_blocks import PackedBlock, packed_type
from spam_classifier.models.packed_classifier import read_out, through_blocks

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
SUMMED_AT_ONCE = 2**20


class Place(StrEnum):
    """Where hidden states are kept."""

    GPU = "on the GPU"
    MEMORY = "in memory"
    DISK = "on disk"


def place_for(size: int, *, gpu_free: int, memory: float, disk: float) -> Place | None:
    """Where to keep hidden states of this many bytes: the fastest place with room for them, if any has.

    Args:
        size: Bytes of the states.
        gpu_free: Bytes that are free on the network's GPU, of which the training needs some; 0 without a GPU.
        memory: Bytes left of the memory budget.
        disk: Bytes left of the disk budget.
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
    """The hidden states of a split's messages, end to end.

    Attributes:
        tokens: float [total, width].
        starts: Where each message's states begin, int64 [N].
        counts: States of each message, int64 [N]: one for each token, or one in all, the one that the head reads.
        longest: Most states of a message.
        place: Where ``tokens`` are: on the GPU with ``starts`` and ``counts``, or on the CPU, perhaps in a
            memory-mapped file.
    """

    tokens: Tensor
    starts: Tensor
    counts: Tensor
    longest: int
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
    """The embeddings and the frozen blocks of a network.

    Args:
        net: The network.
        blocks: How many of its first blocks are frozen. If all are, only what the head reads is kept.
    """

    def __init__(self, net: GPT2Classifier, blocks: int) -> None:
        self.net = net
        self.blocks = blocks
        self._versions: list[tuple[int, int]] = []
        self._digest: list[int] = []
        self._products: dict[str, str] = {}

    @property
    def covers_all_blocks(self) -> bool:
        """Whether no block is trainable."""
        return self.blocks == len(self.net.backbone.h)

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
        products, self._products = self._products, float32_products()
        return self._weights_changed() or products != self._products

    def _weights_changed(self) -> bool:
        backbone = self.net.backbone
        modules: list[nn.Module] = [backbone.wte, backbone.wpe, *backbone.h[: self.blocks]]
        if self.covers_all_blocks:
            modules.append(backbone.ln_f)
        frozen = [parameter for module in modules for parameter in module.parameters()]
        versions = [(parameter.data_ptr(), parameter._version) for parameter in frozen]
        if versions == self._versions:
            return False
        digest = [digest_of(parameter) for parameter in frozen]  # restoring a checkpoint writes the same numbers again
        changed = digest != self._digest
        self._versions, self._digest = versions, digest
        return changed

    def states(self, batches: Iterable[Batch], on_block: Callable[[int], object]) -> Iterator[Tensor]:
        """Compute the states of batches, messages end to end.

        Args:
            batches: The batches, on the network's device; rows are padded as in training if padding matters.
            on_block: Called with the number of messages whenever a block is done with a batch.

        Yields:
            float [states, width] of each batch, on the device of the batch.
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
    """A number that changes with the parameter's: a SHA-256 on a CPU.

    Elsewhere, where copying the numbers and hashing them would take as long as many steps of training, it is
    ``sum_of_bits``.
    """
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

    Raises:
        OSError: The disk has no room for it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="frozen_prefix-", suffix=UNFINISHED, dir=directory)
    try:
        if hasattr(os, "posix_fallocate"):  # else writing to a full disk would kill the process
            os.posix_fallocate(handle, 0, size * dtype.itemsize)
        yield torch.from_file(name, shared=True, size=size, dtype=dtype)
    finally:
        os.close(handle)
        with contextlib.suppress(PermissionError):  # some systems keep the name of a mapped file
            Path(name).unlink()
