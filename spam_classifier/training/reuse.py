"""Reuse of frozen hidden states in training and evaluation, as a callback."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from spam_classifier.batch import Batch, batches_by_length
from spam_classifier.data.loader import BatchLoader
from spam_classifier.evaluation.text_tables import counted
from spam_classifier.models.frozen_prefix import (
    FrozenPrefix,
    HiddenStates,
    Place,
    SharedStates,
    free_bytes,
    key_of,
    mapped_file,
    place_for,
)
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.packed_blocks import packed_type
from spam_classifier.training.logger import run_directory
from spam_classifier.training.progress import stage_of

GIGABYTE = 1e9
ROWS_AT_ONCE = 4096  # whose tokens are in memory for their keys
Key = tuple[int, int, int | None, str, torch.device | None]


class ReuseFrozenStates(Callback):
    """Computes the hidden states of a split once, and gives the model its logits from them.

    States are kept while they are valid: for the same messages at the same length, the same frozen weights, precision
    and device. Each process computes its share of the states, and all get the whole. A GPU keeps the states that take
    less than half of its free memory.

    The budgets are in gigabytes for each process: of the host's memory, and then of files in the run directory.
    """

    def __init__(self, enabled: bool, memory_budget: float, disk_budget: float) -> None:
        self.enabled = enabled
        self.memory_budget = memory_budget * GIGABYTE
        self.disk_budget = disk_budget * GIGABYTE
        self.prefix: FrozenPrefix | None = None
        self.shared: Path | None = None  # a directory of states that other trainings use, too
        self._kept: dict[Key, tuple[object, HiddenStates | None]] = {}
        self._stages: dict[str, HiddenStates | None] = {}
        self._has_fitted = False

    def build(self, net: GPT2Classifier, blocks: int) -> None:
        """Take the network, of which this many first blocks are frozen."""
        self.prefix = FrozenPrefix(net, blocks) if blocks and self.enabled else None

    def logits(self, net: GPT2Classifier, stage: str, batch: Batch) -> Tensor:
        """Logits of a batch, float [B, classes], from kept states if the stage has them."""
        states = self._stages.get(stage)
        if states is None or self.prefix is None:
            return net(batch.input_ids, batch.lengths)
        return self.prefix.logits(states.gather(batch), batch)

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._has_fitted = True

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.prefix is None:
            return
        if pl_module.hparams["dropout"]:
            rank_zero_info("hidden states are recomputed in each epoch: the frozen blocks use dropout")
            return
        visits = trainer.estimated_stepping_batches * trainer.accumulate_grad_batches
        self._enter("train", trainer.train_dataloader, trainer, visits)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stages.pop("train", None)  # the evaluation after the training may still use what is kept

    def _on_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        stage = stage_of(trainer)
        loader, batches = (getattr(trainer, name) for name in (f"{stage}_dataloaders", f"num_{stage}_batches"))
        self._enter(stage, loader, trainer, sum(batches))

    on_validation_start = on_test_start = on_predict_start = _on_start

    def _on_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        stage = stage_of(trainer)
        self._stages.pop(stage, None)
        loader = getattr(trainer, f"{stage}_dataloaders")
        if trainer.state.fn != "fit" and isinstance(loader, BatchLoader):
            self._kept.pop(self._key(loader, trainer), None)  # this split is not visited again

    on_validation_end = on_test_end = on_predict_end = _on_end

    def _enter(self, stage: str, loader: Any, trainer: pl.Trainer, visits: float) -> None:
        """Have the states of a stage ready, unless it visits only a part of its ``len(loader)`` batches."""
        self._stages.pop(stage, None)
        if self.prefix is None or not isinstance(loader, BatchLoader):
            return
        # the number of batches may differ between processes, and all have to take part or none
        if trainer.strategy.reduce_boolean_decision(visits >= len(loader), all=True):
            self._stages[stage] = self._states_of(loader, self.prefix, trainer)

    def _key(self, loader: BatchLoader, trainer: pl.Trainer) -> Key:
        padded = padded_length(loader, self.prefix) if self.prefix else None
        device = self.prefix.net.backbone.wte.weight.device if self.prefix else None
        return id(loader.messages), loader.max_length, padded, trainer.precision, device

    def _states_of(self, loader: BatchLoader, prefix: FrozenPrefix, trainer: pl.Trainer) -> HiddenStates | None:
        if prefix.has_changed():
            self._kept = {}
        key = self._key(loader, trainer)
        if key not in self._kept:  # the messages are kept, too: no other object can get their id
            # inference tensors could not be saved for backward, should training read these states
            with torch.inference_mode(mode=False), torch.no_grad():
                self._kept[key] = (loader.messages, self._compute(loader, prefix, trainer))
        return self._kept[key][1]

    def _compute(self, loader: BatchLoader, prefix: FrozenPrefix, trainer: pl.Trainer) -> HiddenStates | None:
        counts = prefix.states_of_rows(row_lengths(loader, prefix))
        if self.shared is not None and (shared := self._take_shared(self.shared, counts, loader, prefix, trainer)):
            return shared
        allocated = self._allocate(int(counts.sum()), prefix, trainer)
        if not trainer.strategy.reduce_boolean_decision(allocated is not None, all=True) or allocated is None:
            return None
        tokens, place = allocated
        starts = self._fill(tokens, torch.arange(len(counts)), loader, prefix, trainer)
        return HiddenStates(tokens, starts.to(tokens.device), counts.to(tokens.device), int(counts.max()), place)

    def _fill(
        self, tokens: Tensor, rows: Tensor, loader: BatchLoader, prefix: FrozenPrefix, trainer: pl.Trainer
    ) -> Tensor:
        """Compute the states of rows, int64 [N], into float [states, width]; where each begins, int64 [N]."""
        lengths = row_lengths(loader, prefix)[rows]
        counts = prefix.states_of_rows(lengths)
        device = prefix.net.backbone.wte.weight.device
        with trainer.precision_plugin.forward_context():
            bfloat16 = packed_type(prefix.net.backbone) == torch.bfloat16
        batches = list(batches_by_length(lengths, device, bfloat16=bfloat16))
        order = torch.cat(batches)
        starts = torch.empty_like(counts)
        starts[order] = counts[order].cumsum(0) - counts[order]
        places = [slice(int(starts[batch[0]]), int(starts[batch[-1]] + counts[batch[-1]])) for batch in batches]
        own = range(trainer.global_rank, len(batches), trainer.world_size)
        bar = tqdm(
            desc="frozen blocks",
            total=sum(len(batches[number]) for number in own) * prefix.blocks,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} to go",
            dynamic_ncols=True,
            leave=False,
            # without a terminal there is no bar
            disable=None if trainer.is_global_zero and trainer.progress_bar_callback is not None else True,
        )
        padded = padded_length(loader, prefix)
        gathered = (loader.gather(rows[batches[number]], padded).to(device) for number in own)
        with bar, trainer.precision_plugin.forward_context():
            for number, of_batch in zip(own, prefix.states(gathered, bar.update), strict=True):
                tokens[places[number]].copy_(of_batch)
        if trainer.world_size > 1:
            exchange(tokens, places, device)
        return starts

    def _take_shared(
        self, directory: Path, counts: Tensor, loader: BatchLoader, prefix: FrozenPrefix, trainer: pl.Trainer
    ) -> HiddenStates | None:
        """The states of all rows from a directory, to which the missing ones are added; None if that is not exact."""
        with trainer.precision_plugin.forward_context():
            exact = trainer.world_size == 1 and packed_type(prefix.net.backbone) == torch.float32
        if not exact:
            rank_zero_info("hidden states are not shared: they are exact for one process in float32 on an x86 CPU only")
            return None
        shared = SharedStates(directory, prefix.name(), prefix.net.backbone.wte.weight.shape[1])
        if shared.bytes_with(int(counts.sum())) > self.disk_budget:
            rank_zero_info(f"hidden states are not shared: with these, {directory} could exceed --model.prefix_disk")
            return None
        lengths = row_lengths(loader, prefix).tolist()
        keys = []
        for rows in torch.arange(len(lengths)).split(ROWS_AT_ONCE):
            ids = loader.gather(rows, padded_length(loader, prefix)).input_ids.numpy()
            keys += [key_of(row[: lengths[number]]) for row, number in zip(ids, rows.tolist(), strict=True)]
        try:
            states, starts, computed = shared.take(
                keys, counts, lambda tokens, rows: self._fill(tokens, rows, loader, prefix, trainer)
            )
        except OSError as error:
            rank_zero_info(f"hidden states are not shared: cannot write to {directory} ({error.strerror})")
            return None
        what = f"hidden states after {counted(prefix.blocks, 'frozen block')}: {counted(computed, 'message')} computed"
        rank_zero_info(f"{what}, {len(keys) - computed:,} taken from {directory}")
        return HiddenStates(states, starts, counts, int(counts.max()), Place.DISK)

    def _allocate(self, states: int, prefix: FrozenPrefix, trainer: pl.Trainer) -> tuple[Tensor, Place] | None:
        """An empty tensor for the states, and where it is; None if no place has room for them."""
        weight = prefix.net.backbone.wte.weight
        shape, dtype = (states, weight.shape[1]), weight.dtype
        size = states * weight.shape[1] * dtype.itemsize
        what = f"hidden states after {counted(prefix.blocks, 'frozen block')}: {states:,} tokens, {size / 1e6:,.0f} MB"
        memory, disk = self._left(self.memory_budget, Place.MEMORY), self._left(self.disk_budget, Place.DISK)
        place = place_for(size, gpu_free=free_bytes(weight.device), memory=memory, disk=disk)
        if place in (Place.GPU, Place.MEMORY):
            rank_zero_info(f"{what} {place}")
            return torch.empty(shape, dtype=dtype, device=weight.device if place == Place.GPU else "cpu"), place
        # kept and recomputed states differ in the last float digits: evaluation after a fit has to use kept ones, as
        # its validation did; in other evaluations each message is visited once, which is not worth the disk
        if trainer.state.fn != "fit" and not self._has_fitted:
            rank_zero_info(f"{what} exceed --model.prefix_memory: computed batch by batch")
            return None
        if place == Place.DISK:
            directory = run_directory(trainer) or Path(tempfile.gettempdir())
            with contextlib.suppress(OSError), mapped_file(directory, states * weight.shape[1], dtype) as tensor:
                rank_zero_info(f"{what} {place} in {directory}, over --model.prefix_memory")
                return tensor.view(shape), place
        rank_zero_info(f"{what} exceed --model.prefix_memory and --model.prefix_disk: recomputed in each epoch")
        return None

    def _left(self, budget: float, place: Place) -> float:
        """Bytes of a place's budget that are not used up."""
        kept = (states for _, states in self._kept.values() if states is not None and states.place == place)
        return budget - sum(states.tokens.nbytes for states in kept)


def padded_length(loader: BatchLoader, prefix: FrozenPrefix) -> int | None:
    """Tokens that every row is padded to; None where padding does not matter."""
    return loader.padded_length if prefix.net.padding_matters else None


def row_lengths(loader: BatchLoader, prefix: FrozenPrefix) -> Tensor:
    """Tokens of each row, int64 [N], with the padding if that matters."""
    padded = padded_length(loader, prefix)
    return loader.row_lengths if padded is None else torch.full_like(loader.row_lengths, padded)


def exchange(tokens: Tensor, places: list[slice], device: torch.device) -> None:
    """Give every process the states, float [total, width], of which each has filled every ``world_size``-th place."""
    world_size = torch.distributed.get_world_size()
    for number, place in enumerate(places):
        buffer = tokens[place].to(device)
        torch.distributed.broadcast(buffer, src=number % world_size)
        tokens[place].copy_(buffer)
