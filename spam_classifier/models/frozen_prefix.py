"""Hidden states behind the frozen blocks: computed once for each message and kept for every epoch.

The embeddings and the blocks before the first one that learns give a message the same hidden states in every epoch,
so one pass over the messages, without autograd and in batches of like length, replaces one pass per epoch.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
import torch.distributed
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from tqdm import tqdm

from spam_classifier.batch import Batch, MessageSource, batches_by_length
from spam_classifier.files import UNFINISHED
from spam_classifier.models.gpt2 import GPT2Backbone
from spam_classifier.models.packed_blocks import states_before_block
from spam_classifier.models.prefix_cache import PrefixCache
from spam_classifier.models.read_out import OF_THE_ROW, read_out
from spam_classifier.training.logger import run_directory


@dataclass(frozen=True)
class HiddenStates:
    """The hidden states of a split's messages, end to end.

    Attributes:
        tokens: float [total, width], on the CPU.
        starts: Where each message's states begin, int64 [N].
        counts: States of each message, int64 [N]: one for each token, or one alone, what the head reads.
        on_disk: Whether ``tokens`` is a mapped file.
    """

    tokens: Tensor
    starts: Tensor
    counts: Tensor
    on_disk: bool

    def gather(self, rows: Tensor, device: torch.device) -> Tensor:
        """The states of these messages.

        Args:
            rows: int64 [B].
            device: Where they are needed.

        Returns:
            Float [B, T, width], arbitrary behind a message's last state.
        """
        rows = rows.cpu()
        counts = self.counts[rows]
        place = torch.arange(int(counts.max()))
        source = torch.where(place < counts[:, None], self.starts[rows, None] + place, 0)  # (B, T)
        states = self.tokens[source]
        if device.type == "cuda":
            states = states.pin_memory()
        return states.to(device, non_blocking=True)


class FrozenPrefix:
    """The frozen part of a backbone, and the hidden states it gave.

    States are kept for as long as they are true: for the same messages at the same length, and while the frozen
    weights hold the same numbers.

    Args:
        backbone: The backbone.
        blocks: How many of its first blocks are frozen; where all are, only what the head reads is kept.
        token_position: What the head reads; see ``read_out``.
        with_padding: Whether it hangs on the padding of the row.
        memory_budget: Most bytes of states kept in memory.
        disk_budget: Most bytes of states kept in files of the run's directory, once memory is used up.
        cache: Where states are kept for other runs, too.
    """

    def __init__(
        self,
        backbone: GPT2Backbone,
        blocks: int,
        *,
        token_position: str,
        with_padding: bool,
        memory_budget: float,
        disk_budget: float,
        cache: PrefixCache | None = None,
    ) -> None:
        self.backbone = backbone
        self.blocks = blocks
        self.token_position = token_position
        self.with_padding = with_padding
        self.memory_budget = memory_budget
        self.disk_budget = disk_budget
        self.cache = cache
        self._stages: dict[str, HiddenStates | None] = {}
        self._forget()
        self._versions: list[tuple[int, int]] = []
        self._digest = b""

    def _forget(self) -> None:
        self._kept: dict[tuple[int, int, int | None], tuple[object, HiddenStates | None]] = {}

    def enter(self, stage: str, loader: object, trainer: pl.Trainer, visits: float, *, once: bool) -> None:
        """Have the states of a stage's messages ready, if each of them is going to be visited.

        Every process has to call it.

        Args:
            stage: Name of the stage.
            loader: Hands out its batches; nothing is kept of one that is no MessageSource.
            trainer: As for ``states_of``.
            visits: Batches that are going to be taken from it.
            once: As for ``states_of``.
        """
        self._stages.pop(stage, None)
        if not isinstance(loader, MessageSource):
            return
        # the batches of the processes may differ in number, and all have to take part in the pass or none
        if trainer.strategy.reduce_boolean_decision(visits >= len(loader), all=True):
            self._stages[stage] = self.states_of(loader, trainer, once=once)

    def leave(self, stage: str, loader: object = None) -> None:
        """Let go of a stage's states; with a loader, do not keep those of its messages for later either."""
        self._stages.pop(stage, None)
        if isinstance(loader, MessageSource):
            self._kept.pop(self._key(loader), None)

    def gather(self, stage: str, batch: Batch) -> Tensor | None:
        """What is kept of a batch's messages, float [B, T, width], T = 1 where it is what the head reads; or None."""
        kept = self._stages.get(stage)
        return None if kept is None else kept.gather(batch.index, batch.labels.device)

    @property
    def is_whole(self) -> bool:
        """Whether no block is left to run, so that what the head reads is kept."""
        return self.blocks == len(self.backbone.h)

    def states_of(self, loader: MessageSource, trainer: pl.Trainer, *, once: bool = False) -> HiddenStates | None:
        """The hidden states of a loader's messages, computed unless they are kept already.

        Every process has to call it: each computes its share, and all get the whole.

        Args:
            loader: Hands out the messages of a split.
            trainer: Gives the processes, the precision, the run's directory and the progress bar.
            once: Each message is going to be visited only once: not worth the disk.

        Returns:
            The states, or None where they exceed the budgets, which is said.
        """
        self._check_weights()
        key = self._key(loader)
        if key not in self._kept:  # what is kept holds on to its messages: their id can't pass to others
            # inference tensors could not be saved for backward, should training read these states
            with torch.inference_mode(mode=False), torch.no_grad():
                self._kept[key] = (loader.messages, self._compute(loader, trainer, once))
        return self._kept[key][1]

    def _key(self, loader: MessageSource) -> tuple[int, int, int | None]:
        return id(loader.messages), loader.max_length, loader.padded_length if self.with_padding else None

    def _left(self, *, on_disk: bool) -> float:
        """Bytes of a budget that are not used up."""
        kept = [states.tokens for _, states in self._kept.values() if states is not None and states.on_disk == on_disk]
        return (self.disk_budget if on_disk else self.memory_budget) - sum(tokens.nbytes for tokens in kept)

    def _check_weights(self) -> None:
        """Forget all states if a frozen weight has changed."""
        frozen = [*self.backbone.wte.parameters(), *self.backbone.wpe.parameters()]
        frozen += [parameter for block in self.backbone.h[: self.blocks] for parameter in block.parameters()]
        if self.is_whole:
            frozen += self.backbone.ln_f.parameters()
        versions = [(parameter.data_ptr(), parameter._version) for parameter in frozen]
        if versions == self._versions:
            return
        digest = hashlib.sha256()  # restoring a checkpoint writes the same numbers again
        for parameter in frozen:
            digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        if digest.digest() != self._digest:
            self._forget()
        self._versions, self._digest = versions, digest.digest()

    def _compute(self, loader: MessageSource, trainer: pl.Trainer, once: bool) -> HiddenStates | None:
        lengths = loader.row_lengths
        if self.with_padding:
            assert loader.padded_length is not None
            lengths = torch.full_like(lengths, loader.padded_length)
        counts = torch.ones_like(lengths) if self.is_whole else lengths
        batches = list(batches_by_length(lengths))
        order = torch.cat(batches)
        starts = torch.empty_like(counts)
        starts[order] = counts[order].cumsum(0) - counts[order]
        size = int(counts.sum())
        if self.cache is not None:
            digest = self._digest_of(loader, lengths, trainer)
            found = self.cache.find(digest, (size, self.backbone.shape.width), self.backbone.wte.weight.dtype)
            if trainer.strategy.reduce_boolean_decision(found is not None, all=True) and found is not None:
                rank_zero_info(f"hidden states behind frozen block {self.blocks}: {size:,} tokens from another run")
                return HiddenStates(found, starts, counts, on_disk=True)
        allocated = self._allocate(size, run_directory(trainer) or Path(tempfile.gettempdir()), once)
        if not trainer.strategy.reduce_boolean_decision(allocated is not None, all=True) or allocated is None:
            return None
        tokens, on_disk = allocated
        places = [slice(int(starts[rows[0]]), int(starts[rows[0]] + counts[rows].sum())) for rows in batches]
        own = range(trainer.global_rank, len(batches), trainer.world_size)
        bar = tqdm(
            desc="frozen blocks",
            total=sum(len(batches[number]) for number in own) * self.blocks,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} to go",
            leave=False,
            disable=not trainer.is_global_zero or trainer.progress_bar_callback is None,
        )
        with bar, trainer.precision_plugin.forward_context():
            states = self._pass(loader, [batches[number] for number in own], lengths, bar)
            for number, of_batch in zip(own, states, strict=True):
                tokens[places[number]] = of_batch
        if trainer.world_size > 1:
            share(tokens, places, self.backbone.wte.weight.device)
        if self.cache is not None and trainer.is_global_zero and not once and not self.cache.keep(digest, tokens):
            rank_zero_info(f"--model.prefix_cache {self.cache.directory} cannot be written: kept in this run alone")
        return HiddenStates(tokens, starts, counts, on_disk)

    def _digest_of(self, loader: MessageSource, lengths: Tensor, trainer: pl.Trainer) -> str:
        """A digest of all that decides a loader's states: weights, tokens, and how they are read."""
        causal = [block.attn.causal for block in self.backbone.h[:1]]  # type: ignore[union-attr]
        read = self.token_position if self.is_whole else None
        settings = (self.blocks, self.backbone.shape, causal, read, self.with_padding, trainer.precision)
        digest = hashlib.sha256(repr(settings).encode() + self._digest)
        padded_length = loader.padded_length if self.with_padding else None
        for rows in torch.arange(len(lengths)).split(1024):
            batch = loader.gather(rows, padded_length)
            for part in (batch.input_ids, batch.lengths):
                digest.update(part.numpy().data)
        return digest.hexdigest()

    def _pass(self, loader: MessageSource, batches: list[Tensor], lengths: Tensor, bar: tqdm) -> Iterator[Tensor]:
        """Hidden states of each batch behind the frozen blocks, messages end to end: float [states, width]."""
        device, last = self.backbone.wte.weight.device, len(self.backbone.h) - 1
        padded_length = loader.padded_length if self.with_padding else None
        counted = lengths if self.token_position in OF_THE_ROW else loader.row_lengths
        input_ids = (loader.gather(rows, padded_length).input_ids.to(device) for rows in batches)
        all_states = states_before_block(self.backbone, input_ids, min(self.blocks, last), bar.update)
        for rows, states in zip(batches, all_states, strict=True):  # (B, T, width)
            if self.is_whole:
                yield read_out(self.backbone, states, counted[rows].to(device), last, self.token_position).cpu()
                bar.update(len(rows))
            else:
                real = torch.arange(states.shape[1]) < lengths[rows, None]
                yield states[real.to(device)].cpu()

    def _allocate(self, states: int, directory: Path, once: bool) -> tuple[Tensor, bool] | None:
        """Room for so many states, and whether it is a mapped file; None where no budget allows it. It says which."""
        shape, dtype = (states, self.backbone.shape.width), self.backbone.wte.weight.dtype
        size = states * self.backbone.shape.width * dtype.itemsize
        what = f"hidden states behind frozen block {self.blocks}: {states:,} tokens, {size / 1e6:,.0f} MB"
        if size <= self._left(on_disk=False):
            rank_zero_info(f"{what} in memory")
            return torch.empty(shape, dtype=dtype), False
        if once:
            rank_zero_info(f"{what} exceed --model.prefix_memory: computed batch by batch")
            return None
        if size <= self._left(on_disk=True):
            with contextlib.suppress(OSError), mapped_file(directory, states * shape[1], dtype) as tensor:
                rank_zero_info(f"{what} on disk in {directory}, over --model.prefix_memory")
                return tensor.view(shape), True
        rank_zero_info(f"{what} exceed --model.prefix_memory and --model.prefix_disk: computed anew in each epoch")
        return None


@contextlib.contextmanager
def mapped_file(directory: Path, size: int, dtype: torch.dtype) -> Iterator[Tensor]:
    """A flat tensor in a file that has no name any more: it goes with the tensor, however the process ends.

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
        with contextlib.suppress(PermissionError):  # some systems keep a mapped file's name
            Path(name).unlink()


def share(tokens: Tensor, places: list[slice], device: torch.device) -> None:
    """Give every process the states that the others computed, batch by batch.

    Args:
        tokens: float [total, width]; this process has filled in every ``world_size``-th place.
        places: Where each batch's states are.
        device: Where the processes' back end can communicate.
    """
    world_size = torch.distributed.get_world_size()
    for number, place in enumerate(places):
        buffer = tokens[place].to(device)
        torch.distributed.broadcast(buffer, src=number % world_size)
        tokens[place] = buffer.cpu()
