"""Evaluate a run's checkpoint on its splits, and keep figures, predictions and the report in the run directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import PassThroughProfiler

from spam_classifier import hints
from spam_classifier.data.audit import leaked_rows
from spam_classifier.data.corpora import LABELS
from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.data.splits import LEFT_OVER, SPLITS, TEST, TRAIN, VALIDATION
from spam_classifier.errors import UserError, escape_control
from spam_classifier.evaluation.figures import (
    NATURAL,
    at_natural_shares,
    changed_labels,
    changes,
    left_over_figures,
    part_of,
    split_figures,
)
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.predictions import predictions_path, write_predictions
from spam_classifier.evaluation.report import CLASSIFIER, write_report
from spam_classifier.runs.find import flags_for
from spam_classifier.runs.metrics import read_metrics, update_metrics
from spam_classifier.training.module import SpamClassifier

PADDING = "padding"
IN_FLOAT32 = "in_float32"
BASELINES = "baselines"  # compared with predictions that an evaluation replaces


class RunEvaluation:
    """Evaluates a checkpoint, or with "" the present weights, on all processes; the first one writes.

    Without a run directory nothing is kept.
    """

    def __init__(self, trainer: Any, checkpoint: str, run_directory: Path | None) -> None:
        self.trainer: pl.Trainer = trainer
        self.model: SpamClassifier = trainer.lightning_module
        self.data: SpamDataModule = trainer.datamodule
        self.checkpoint = checkpoint
        self.run_directory = run_directory
        self._is_loaded = not checkpoint
        self._evaluated: dict[str, Predictions] = {}

    def after_fit(self, run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Figures of the train and the validation split, kept with those of the training itself, ``run``."""
        trainer: Any = self.trainer
        trainer.profiler = PassThroughProfiler()  # the training alone is profiled, and its table is printed
        figures = {name: self._figures(name, self.predict(name)) for name in (TRAIN, VALIDATION)}
        self._keep({**figures, "run": run}, outdated=(TEST, LEFT_OVER, NATURAL, PADDING, IN_FLOAT32))
        return figures

    def after_evaluation(self, split: str) -> dict[str, dict[str, Any]]:
        """Figures of the split after ``trainer.validate`` or ``trainer.test``, and what is evaluated along with a test.

        Returns:
            ``validation`` or ``test``; ``left_over`` and ``natural`` (the classes in their natural shares) if
            undersampling left messages over; ``padding`` if it matters: the share of test messages that get another
            label when they are padded to twice the length; ``in_float32`` in mixed precision: how far that is from
            float32.
        """
        self._is_loaded = True
        test = self.model.predictions
        assert test is not None
        found: dict[str, dict[str, Any]] = {split: self._figures(split, test)}
        if split == VALIDATION:
            self._keep(found)
            return found
        splits = self.data.splits
        leaked = leaked_rows(splits[TEST], splits[TRAIN])
        for kind in leaked.columns:
            clean = torch.from_numpy(~leaked[kind].to_numpy(copy=True)).to(test.labels.device)  # bool [N]
            if not bool(clean.all()) and bool(clean.any()):
                found[TEST][f"without_{kind}_leak"] = split_figures(part_of(test, clean))
        if self.model.network.padding_matters:
            assert self.data.padded_length is not None
            twice = min(2 * self.data.padded_length, self.model.shape.context)
            if twice > self.data.padded_length:
                found[PADDING] = {"padded_length": twice, **changed_labels(test, self.predict(TEST, twice))}
        if self.trainer.precision.endswith("-mixed"):
            strategy = self.trainer.strategy
            mixed, strategy.precision_plugin = strategy.precision_plugin, Precision()
            found[IN_FLOAT32] = changes(self.predict(TEST), test)
            strategy.precision_plugin = mixed
        if len(splits.get(LEFT_OVER, [])) >= self.trainer.world_size:
            left_over = self.predict(LEFT_OVER)
            found[LEFT_OVER] = left_over_figures(left_over)
            natural = at_natural_shares(test, left_over, self.data.natural_shares)
            if len(natural.labels) and self.data.test_corpus is None:  # a given test split has shares of its own
                found[NATURAL] = {"shares": self.data.natural_shares, **split_figures(natural)}
            self._evaluated[LEFT_OVER] = left_over
        self._keep(found, outdated=(LEFT_OVER, NATURAL, PADDING, IN_FLOAT32))
        return found

    def predict(self, split_name: str, padded_length: int | None = None) -> Predictions:
        """Predictions of a whole split; ``trainer.predict`` logs nothing."""
        self.trainer.limit_predict_batches = 1.0
        # on another machine only: the Trainer broadcasts its weights from there
        is_elsewhere = not self.trainer.is_global_zero and not Path(self.checkpoint).is_file()
        self.trainer.predict(
            self.model,
            dataloaders=self.data.each_once(split_name, padded_length),
            ckpt_path=None if self._is_loaded or is_elsewhere else self.checkpoint,
            return_predictions=False,
        )
        self._is_loaded = True
        assert self.model.predictions is not None
        return self.model.predictions

    def _figures(self, split_name: str, predictions: Predictions) -> dict[str, Any]:
        if not bool(predictions.logits.isfinite().all()):
            raise UserError(f"the weights of {self.checkpoint or 'this run'} are not finite: the training has diverged")
        decision = self.model.network.decision
        fitted_step = int(decision.fitted_step)
        figures = {
            "loss": float(self.model.cross_entropy(predictions.logits, predictions.labels)),
            **split_figures(predictions),
            "temperature": float(decision.temperature),
            "threshold": float(decision.threshold),
            "threshold_rule": self.model.hparams["threshold"] if fitted_step >= 0 else None,
            "decision_step": fitted_step if fitted_step >= 0 else None,
            "checkpoint": Path(self.checkpoint).name,
            "step": self.model.loaded_step if self.checkpoint else self.trainer.global_step,
        }
        if split_name != TRAIN:
            self._evaluated[split_name] = predictions
        return figures

    def _keep(self, figures: Mapping[str, Any], outdated: tuple[str, ...] = ()) -> None:
        if self.run_directory is None or not self.trainer.is_global_zero:
            return
        known = {**figures, "classes": self.data.label_names}
        if "audit" not in read_metrics(self.run_directory):
            known["audit"] = self.data.audit()
        for name, predictions in self._evaluated.items():
            path = predictions_path(self.run_directory, name)
            write_predictions(path, predictions, self.data.splits[name], self.data.label_names)
        update_metrics(self.run_directory, known, outdated=(*outdated, BASELINES))
        write_report(self.run_directory)


def how_fitted(figures: Mapping[str, Any]) -> list[str]:
    """A note if temperature and threshold were not fitted together with the weights."""
    fitted, step = figures["decision_step"], figures["step"]
    if fitted is None:
        return ["no validation in training: neither temperature nor threshold is fitted"]
    if fitted != step:
        return [f"temperature and threshold were fitted at step {fitted:,}, the weights are of step {step:,}"]
    return []


def same_classifier(metrics: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    """The splits in ``metrics.json`` that the same weights and the same threshold were evaluated on."""
    known = {name: metrics[name] for name in SPLITS if name in metrics}
    return {name: other for name, other in known.items() if all(other[key] == figures[key] for key in CLASSIFIER)}


def next_commands(
    directory: Path | None, checkpoint: str, data: SpamDataModule, *, tested: bool, logged: bool
) -> list[str]:
    """What to type after a training or an evaluation (``tested``) in the current directory.

    ``checkpoint`` is the one that was evaluated, "" where none was kept; ``logged`` says that there are new logs for
    TensorBoard.
    """
    if directory is None:  # there are no settings to rebuild the model from
        return []
    commands: list[tuple[str, ...]] = [] if tested else [("test",)]
    commands += [("predict", example_text(data)), ("serve",)]
    flags = flags_for(Path(checkpoint)) if checkpoint else []
    following = [hints.command_line(*command, *flags) for command in commands] if checkpoint else []
    logs = hints.quoted(hints.relative(directory.parent))
    return [*following, *([f"{hints.tensorboard()} --logdir {logs}"] if logged else [])]


def example_text(data: SpamDataModule) -> str:
    """A text to try a classifier of these classes on: a spam, or the start of a validation message."""
    if set(data.label_names) == set(LABELS) or data.splits[VALIDATION].empty:
        return hints.EXAMPLE
    words = str(data.splits[VALIDATION]["text"].iloc[0]).lstrip("-").split()
    return escape_control(" ".join(words[:8]))[:60] or hints.EXAMPLE
