"""The learning rate during training."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.utilities.types import OptimizerLRScheduler

from spam_classifier.errors import UserError

Schedule = Literal["constant", "cosine"]
LEARNING_RATE = "train/learning_rate"  # what it is logged as


def total_steps(trainer: pl.Trainer) -> float:
    """Optimizer steps of the whole training, infinite if there is no end.

    The Trainer's own estimate takes the gradients of this epoch to be accumulated as in all others.
    """
    estimate, epochs = trainer.estimated_stepping_batches, trainer.max_epochs
    accumulation = accumulation_by_epoch(trainer)
    if accumulation is None or epochs in (None, -1):
        return estimate
    assert epochs is not None
    factors = map(accumulation.get_accumulate_grad_batches, range(epochs))
    steps = sum(math.ceil(trainer.num_training_batches / factor) for factor in factors)
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)


def accumulation_by_epoch(trainer: pl.Trainer) -> GradientAccumulationScheduler | None:
    """The callback that changes over how many batches gradients are accumulated, if the Trainer has one."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, GradientAccumulationScheduler)), None)


def scheduled(
    optimizer: torch.optim.Optimizer, schedule: str, warmup_steps: int, total_steps: Callable[[], float]
) -> OptimizerLRScheduler:
    """An optimizer and its learning rate schedule, in the form that ``configure_optimizers`` returns.

    Args:
        optimizer: Holds the peak learning rate.
        schedule: ``constant`` or ``cosine``.
        warmup_steps: Steps of the warm-up.
        total_steps: Returns the number of steps of the whole training, infinite if there is no end. Called for
            ``cosine`` only.

    Raises:
        UserError: The schedule is a cosine, and training has no end.
    """
    if schedule == "constant" and not warmup_steps:
        return optimizer
    cosine_steps = None
    if schedule == "cosine":
        steps = total_steps()
        if math.isinf(steps):
            raise UserError("--model.schedule cosine needs an end: set --trainer.max_epochs or --trainer.max_steps")
        cosine_steps = int(steps) - warmup_steps
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, warmup_steps, cosine_steps)
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step", "name": LEARNING_RATE}}


def take_over_rates(checkpoint: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Put the settings' learning rate and weight decay into the states of optimizer and schedule.

    Restored unchanged, they would bring back those that the checkpoint was trained with.

    Args:
        checkpoint: The checkpoint before it is restored; changed in place.
        settings: The arguments of SpamClassifier by name.
    """
    peak, decay = settings["learning_rate"], settings["weight_decay"]
    scale = peak / checkpoint["hyper_parameters"]["learning_rate"]
    for optimizer in checkpoint.get("optimizer_states", []):
        for group in optimizer["param_groups"]:
            group["lr"] *= scale
            group["weight_decay"] = decay
            if "initial_lr" in group:
                group["initial_lr"] = peak
    for scheduler in checkpoint.get("lr_schedulers", []):
        scheduler["base_lrs"] = [peak for _ in scheduler["base_lrs"]]
        scheduler["_last_lr"] = [rate * scale for rate in scheduler["_last_lr"]]


def learning_rate_factor(step: int, warmup_steps: int, cosine_steps: int | None) -> float:
    """Share of the peak learning rate at a step: a linear warm-up, then constant or a half cosine to zero.

    Args:
        step: Optimizer steps taken.
        warmup_steps: Steps of the warm-up.
        cosine_steps: Steps from the end of the warm-up to zero (Loshchilov and Hutter 2017, SGDR, without
            restarts); None keeps the peak.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if cosine_steps is None:
        return 1.0
    progress = min(1.0, (step - warmup_steps) / max(1, cosine_steps))
    return 0.5 * (1 + math.cos(math.pi * progress))
