"""The learning rate over a training run."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler

from spam_classifier.errors import UserError

Schedule = Literal["constant", "cosine"]


def scheduled(
    optimizer: torch.optim.Optimizer, schedule: str, warmup_steps: int, total_steps: Callable[[], float]
) -> OptimizerLRScheduler:
    """An optimizer with its learning rate's course, as the Trainer takes it.

    Args:
        optimizer: Holds the peak learning rate.
        schedule: ``constant`` or ``cosine``.
        warmup_steps: Steps of the warm-up.
        total_steps: Asked for the steps of the whole training; infinite where it has no end.

    Raises:
        UserError: A cosine has no end.
    """
    if schedule == "constant" and not warmup_steps:
        return optimizer
    cosine_steps = None
    if schedule == "cosine":
        steps = total_steps()
        if math.isinf(steps):
            raise UserError("--model.schedule cosine needs an end: set --trainer.max_epochs or --trainer.max_steps")
        cosine_steps = int(steps) - warmup_steps
    course = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, warmup_steps, cosine_steps)
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": course, "interval": "step"}}


def take_over_rates(checkpoint: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Let a training that goes on have the learning rate and the weight decay of its settings.

    The states of optimizer and schedule would bring back those that the checkpoint was trained with.

    Args:
        checkpoint: The checkpoint, before it is restored; its states are changed.
        settings: The arguments of SpamClassifier by name.
    """
    peak, decay = settings["learning_rate"], settings["weight_decay"]
    share = peak / checkpoint["hyper_parameters"]["learning_rate"]
    for optimizer in checkpoint.get("optimizer_states", []):
        for group in optimizer["param_groups"]:
            group["lr"] *= share
            group["weight_decay"] = decay
            if "initial_lr" in group:
                group["initial_lr"] = peak
    for course in checkpoint.get("lr_schedulers", []):
        course["base_lrs"] = [peak for _ in course["base_lrs"]]
        course["_last_lr"] = [rate * share for rate in course["_last_lr"]]


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
