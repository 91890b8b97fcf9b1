"""Refuse callbacks that watch a figure which nobody logs."""

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F  # noqa: N812
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint
from typing_extensions import override

from spam_classifier.data.splits import VALIDATION
from spam_classifier.errors import UserError, did_you_mean
from spam_classifier.evaluation.metrics import classification_metrics
from spam_classifier.training.progress import say

OF_EPOCHS = ("train/loss", "train/acc")  # known at the end of an epoch
OF_STEPS = ("train/loss_step",)
OWN = ("lightning", "spam_classifier")


class CheckMonitors(Callback):
    """Checks before the first step what callbacks and schedules watch: Lightning notices it after an epoch."""

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        watchers = list(watched(trainer))
        if not watchers:
            return
        validates = bool(trainer.limit_val_batches) and not trainer.datamodule.splits[VALIDATION].empty  # type: ignore[attr-defined]
        logged = [*(validation_names(trainer) if validates else []), *OF_EPOCHS, *OF_STEPS, *rates(trainer)]
        for watcher, name in watchers:
            known = [*logged, *(("epoch", "step") if isinstance(watcher, ModelCheckpoint) else ())]
            who = type(watcher).__name__
            if name not in known:
                problem = f"{who} watches {name}, which is not logged"
                if any(type(callback).__module__.partition(".")[0] not in OWN for callback in callbacks_of(trainer)):
                    say(f"{problem} by the model: one of your callbacks has to log it")
                    continue
                without = "" if validates else " (without validation there is no val/)"
                raise UserError(f"{problem}{did_you_mean(name, known)}; logged are {', '.join(known)}{without}")
            if isinstance(watcher, EarlyStopping) and watcher.strict:
                refuse_early(watcher, name, trainer)


def callbacks_of(trainer: pl.Trainer) -> list[Callback]:
    """The Trainer's callbacks."""
    return trainer.callbacks  # type: ignore[attr-defined]


def watched(trainer: pl.Trainer) -> Iterator[tuple[Any, str]]:
    """Callbacks and schedules that watch a figure, and its name."""
    for callback in callbacks_of(trainer):
        if isinstance(name := getattr(callback, "monitor", None), str) and not is_ours(callback):
            yield callback, name
    for config in trainer.lr_scheduler_configs:
        if config.reduce_on_plateau and config.monitor is not None:
            yield config.scheduler, config.monitor


def is_ours(callback: Callback) -> bool:
    """Whether it belongs to this package: such a callback waits for a validation."""
    return type(callback).__module__.partition(".")[0] == OWN[1]


def validation_names(trainer: pl.Trainer) -> list[str]:
    """What the model logs of a validation. Some figures are undefined if the split lacks a class."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    labels = torch.tensor([data.label_names.index(label) for label in data.splits[VALIDATION]["label"]])
    perfect = F.one_hot(labels, len(data.label_names)).float()
    return ["val/loss", *(f"val/{name}" for name in classification_metrics(perfect, labels, labels))]


def rates(trainer: pl.Trainer) -> Iterator[str]:
    """What a LearningRateMonitor logs of each optimizer."""
    if any(isinstance(callback, LearningRateMonitor) for callback in callbacks_of(trainer)):
        names = [str(config.name) for config in trainer.lr_scheduler_configs if config.name]
        yield from names or [f"lr-{type(optimizer).__name__}" for optimizer in trainer.optimizers]


def refuse_early(watcher: EarlyStopping, name: str, trainer: pl.Trainer) -> None:
    """Raise a UserError if an EarlyStopping looks at a figure before it is logged for the first time."""
    at_epochs = watcher._check_on_train_epoch_end
    if at_epochs and name.startswith("val/") and trainer.check_val_every_n_epoch != 1:
        raise UserError(
            f"EarlyStopping would look at {name} after the first epoch, before any validation: leave its "
            "check_on_train_epoch_end out, and it looks after each validation"
        )
    if not at_epochs and name in OF_EPOCHS:
        raise UserError(
            f"EarlyStopping would look at {name} after a validation, before the end of an epoch: set "
            "--trainer.callbacks.check_on_train_epoch_end true"
        )
