"""What can not work, or would have no effect, is refused in one line."""

import re
import traceback
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F  # noqa: N812
from lightning.pytorch.callbacks import (
    BaseFinetuning,
    BatchSizeFinder,
    Callback,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelCheckpoint,
    ModelPruning,
    StochasticWeightAveraging,
)
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from typing_extensions import override

from spam_classifier.data.corpora import SAMPLE, UCI
from spam_classifier.data.splits import VALIDATION
from spam_classifier.errors import UserError, did_you_mean
from spam_classifier.evaluation.metrics import classification_metrics
from spam_classifier.training.logger import RunLogger
from spam_classifier.training.progress import say

OF_TRAINING = {
    "model": ("learning_rate", "weight_decay", "schedule", "warmup_steps", "dropout", "lora_dropout"),
    "trainer": ("max_epochs", "max_steps", "accumulate_grad_batches", "gradient_clip_val", "limit_train_batches"),
}
LIMITS = ("limit_val_batches", "limit_test_batches", "fast_dev_run")
REFUSED_CALLBACKS: dict[tuple[type[Callback], ...], str] = {
    (StochasticWeightAveraging,): "averages after the last validation only, so figures and best checkpoint would "
    "not be of the average: use WeightAveraging (all steps alike) or EMAWeightAveraging",
    (GradientAccumulationScheduler,): "is not supported: use --trainer.accumulate_grad_batches",
    (BaseFinetuning,): "freezes and unfreezes layers against --model.trainable, and such a run can't be resumed: "
    "choose the layers with --model.trainable",
    (ModelPruning,): "renames the weights in checkpoints, which then can't be read: leave it out",
}
FINDERS = (LearningRateFinder, BatchSizeFinder)
LOGGED = ("train/loss", "train/acc", "train/loss_step")
OWN = ("lightning", "spam_classifier")
OF_MISTAKES = (MisconfigurationException, ValueError, TypeError, RuntimeError, ImportError)
DEVICES = re.compile("accelerator|device|strategy|FSDP|GPU|CUDA|MPS|TPU|XLA", re.IGNORECASE)


def refuse_unused(typed: Collection[str], settings: Mapping[str, Any], *, trains: bool = True) -> None:
    """Raise a UserError if a typed flag, as in ``data.corpus``, has no effect with the settings, by group and name.

    Settings in a config are not looked at: it may be used with other flags.
    """
    unused = [*_unused(settings["model"], settings["data"])]
    unused += [("trainer", ("barebones",), "this command keeps logs and checkpoints")]
    if not trains:
        unused += [(group, names, "this command does not train") for group, names in OF_TRAINING.items()]
        unused += [("trainer", LIMITS, "an evaluation takes the whole split")]
    for group, names, reason in unused:
        for name in names:
            if f"{group}.{name}" in typed:
                raise UserError(f"--{group}.{name} has no effect: {reason}; leave it out")


def _unused(model: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Groups, names of their flags, and why these have no effect."""
    sources = [data[name] for name in ("corpus", "validation_corpus", "test_corpus") if data[name] is not None]
    own = [Path(corpus) for corpus in sources if corpus not in (UCI, SAMPLE) and Path(corpus).suffix.lower() != ".zip"]
    if all(path.is_dir() for path in own):
        yield "data", ("text_column", "label_column", "encoding"), f"--data.corpus {data['corpus']} is no table"
    if not own:
        yield "data", ("bad_rows", "merge_labels"), f"--data.corpus {data['corpus']} is known to be without faults"
    if UCI not in sources:
        yield "data", ("cache_dir",), f"--data.corpus {data['corpus']} is not downloaded"
    if data["validation_corpus"] is not None and data["test_corpus"] is not None:
        names = ("train_fraction", "validation_fraction", "stratify")
        yield "data", names, "validation and test split are given, so the corpus is not split"
    if model["trainable"] != "lora":
        yield "model", ("lora_rank", "lora_alpha", "lora_dropout"), "only --model.trainable lora has such updates"
    if model["threshold"] != "max_fpr":
        yield "model", ("max_false_positive_rate",), "only --model.threshold max_fpr reads it"
    if model["frozen_prefix"] == "off" or model["trainable"] in ("all", "lora"):
        because = "with --model.frozen_prefix off" if model["frozen_prefix"] == "off" else "as no block is frozen"
        yield "model", ("prefix_memory", "prefix_disk"), f"no hidden states are kept {because}"


def refuse_callbacks(callbacks: Collection[Callback]) -> None:
    """Raise a UserError if one of a Trainer's callbacks can't work; finders only where settings are kept."""
    refused = dict(REFUSED_CALLBACKS)
    if any(isinstance(callback, SaveConfigCallback) for callback in callbacks):
        found = "finds a value that config.yaml and rerun would not know: find it in Python, see docs/training.md, "
        refused[FINDERS] = found + "and give it as a flag"
    for callback in callbacks:
        for kinds, reason in refused.items():
            if isinstance(callback, kinds):
                raise UserError(f"{type(callback).__name__} {reason}")


class CheckMonitors(Callback):
    """Checks before the first step that the figures which callbacks watch are logged: Lightning notices it later."""

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        packages = [type(callback).__module__.partition(".")[0] for callback in callbacks]
        for callback, package in zip(callbacks, packages, strict=True):
            name = getattr(callback, "monitor", None)
            if not isinstance(name, str) or package == OWN[1]:  # our own wait for a validation
                continue
            logged = [*validation_names(trainer), *LOGGED, *(str(one.name) for one in trainer.lr_scheduler_configs)]
            if isinstance(callback, ModelCheckpoint):
                logged += ["epoch", "step"]
            if name not in logged:
                problem = f"{type(callback).__name__} watches {name}, which is not logged"
                if set(packages) <= set(OWN):
                    raise UserError(f"{problem}{did_you_mean(name, logged)}; logged are {', '.join(logged)}")
                say(f"{problem} by the model: one of your callbacks has to log it")


def validation_names(trainer: pl.Trainer) -> list[str]:
    """What the model logs of a validation, if there is one. Some figures are undefined if the split lacks a class."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    if not trainer.limit_val_batches or data.splits[VALIDATION].empty:
        return []
    labels = torch.tensor([data.label_names.index(label) for label in data.splits[VALIDATION]["label"]])
    perfect = F.one_hot(labels, len(data.label_names)).float()
    return ["val/loss", *(f"val/{name}" for name in classification_metrics(perfect, labels, labels))]


def in_one_line(error: Exception) -> str | None:
    """What to tell a user whose flags Lightning refuses; None for an error of another kind.

    An error counts as Lightning's if its own code raised it, not what it calls, or if a logger did.
    """
    while isinstance(error.__cause__, Exception):  # jsonargparse wraps those of the classes that it makes
        error = error.__cause__
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    objects = [frame.f_locals.get("self") for frame in frames]
    if any(isinstance(one, Logger) and not isinstance(one, RunLogger) for one in objects):
        return f"the logger fails: {error} (--trainer.logger true logs to TensorBoard alone)"
    raised_in = str(frames[-1].f_globals.get("__name__", "")) if frames else ""
    if not isinstance(error, OF_MISTAKES) or raised_in.partition(".")[0] != "lightning":
        return None
    remedy = " (--trainer.accelerator auto and --trainer.devices auto take what this machine has)"
    return f"the Trainer refuses its flags: {error}{remedy if DEVICES.search(str(error)) else ''}"
