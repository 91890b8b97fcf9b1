"""The learning rate during training."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler

from spam_classifier.errors import UserError

Schedule = Literal["constant", "cosine"]
LEARNING_RATE = "train/learning_rate"  # what it is logged as


def scheduled(
    optimizer: torch.optim.Optimizer, schedule: str, warmup_steps: int, total_steps: float
) -> OptimizerLRScheduler:
    """An optimizer and its learning rate schedule, in the form that ``configure_optimizers`` returns."""
    if schedule == "constant" and not warmup_steps:
        return optimizer
    if schedule == "cosine" and math.isinf(total_steps):
        raise UserError("--model.schedule cosine needs an end: set --trainer.max_epochs or --trainer.max_steps")
    cosine_steps = int(total_steps) - warmup_steps if schedule == "cosine" else None
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, warmup_steps, cosine_steps)
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step", "name": LEARNING_RATE}}


def take_over_rates(checkpoint: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Put the settings' learning rate and weight decay into the states of optimizer and schedule in a checkpoint.

    Restored unchanged, they would bring back those that the checkpoint was trained with.
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
    """Share of the peak learning rate after some steps: a linear warm-up, then constant or a half cosine to zero.

    The cosine (Loshchilov and Hutter 2017, SGDR, without restarts) takes ``cosine_steps`` after the warm-up; None keeps
    the peak.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if cosine_steps is None:
        return 1.0
    progress = min(1.0, (step - warmup_steps) / max(1, cosine_steps))
    return 0.5 * (1 + math.cos(math.pi * progress))
