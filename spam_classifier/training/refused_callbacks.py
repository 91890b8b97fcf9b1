"""Callbacks of Lightning that can't keep their promise here are refused, with what to use instead."""

from collections.abc import Iterable

from lightning.pytorch.callbacks import (
    BaseFinetuning,
    BatchSizeFinder,
    Callback,
    LearningRateFinder,
    ModelPruning,
    StochasticWeightAveraging,
)
from lightning.pytorch.cli import SaveConfigCallback

from spam_classifier.errors import UserError

IN_PYTHON = "find it once in Python, see docs/training.md, and give it as"
ALWAYS: dict[type[Callback], str] = {
    StochasticWeightAveraging: "averages after the last validation only, so figures and best checkpoint would not be "
    "of the average: use WeightAveraging (all steps alike) or EMAWeightAveraging",
    BaseFinetuning: "freezes and unfreezes layers against --model.trainable, and such a run can't be resumed: choose "
    "the layers with --model.trainable",
    ModelPruning: "renames the weights in checkpoints, which then can't be read: leave it out",
}
OF_A_KEPT_RUN: dict[type[Callback], str] = {
    LearningRateFinder: f"finds a rate that config.yaml and rerun would not know: {IN_PYTHON} --model.learning_rate",
    BatchSizeFinder: f"finds a size that config.yaml and rerun would not know: {IN_PYTHON} --data.batch_size",
}


def refuse_callbacks(callbacks: Iterable[Callback]) -> None:
    """Raise a UserError if one of a Trainer's callbacks can't work; finders only where settings are kept."""
    given = list(callbacks)
    keeps_settings = any(isinstance(callback, SaveConfigCallback) for callback in given)
    refused = {**ALWAYS, **(OF_A_KEPT_RUN if keeps_settings else {})}
    for callback in given:
        for kind, reason in refused.items():
            if isinstance(callback, kind):
                raise UserError(f"{type(callback).__name__} {reason}")
