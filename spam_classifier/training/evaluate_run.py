"""Evaluate a run's checkpoint on its splits, and keep figures, predictions and the report in the run directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import PassThroughProfiler

from spam_classifier.data.audit import leaked_rows
from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.data.splits import LEFT_OVER, TEST, TRAIN, VALIDATION
from spam_classifier.errors import UserError
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
from spam_classifier.evaluation.report import write_report
from spam_classifier.runs.metrics import read_metrics, update_metrics
from spam_classifier.training.logger import RunLogger
from spam_classifier.training.module import SpamClassifier

PADDING = "padding"
IN_FLOAT32 = "in_float32"
BASELINES = "baselines"  # compared with predictions that an evaluation replaces


class RunEvaluation:
    """Evaluates with a Trainer on all its processes; the first one writes.

    Args:
        trainer: Has fitted the model to the data, or tested it.
        model: The classifier.
        data: The datamodule.
        checkpoint: The checkpoint to evaluate; "" for the model's present weights.
        run_directory: Where to keep figures and predictions; None keeps nothing.
    """

    def __init__(
        self,
        trainer: pl.Trainer,
        model: SpamClassifier,
        data: SpamDataModule,
        checkpoint: str,
        run_directory: Path | None,
    ) -> None:
        self.trainer = trainer
        self.model = model
        self.data = data
        self.checkpoint = checkpoint
        self.run_directory = run_directory
        self._is_loaded = not checkpoint
        self._evaluated: dict[str, Predictions] = {}

    def after_fit(self, run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Evaluate the train and the validation split.

        Args:
            run: Figures of the training itself, kept along.

        Returns:
            The figures of both splits.
        """
        trainer: Any = self.trainer
        trainer.profiler = PassThroughProfiler()  # the training alone is profiled, and its table is printed
        figures = {name: self._figures(name, self.predict(name)) for name in (TRAIN, VALIDATION)}
        self._keep({**figures, "run": run}, outdated=(TEST, LEFT_OVER, NATURAL, PADDING, IN_FLOAT32))
        return figures

    def after_validate(self, whole: bool) -> dict[str, Any]:
        """Figures of the validation split after ``trainer.validate``; kept if the whole split was evaluated."""
        assert self.model.predictions is not None
        figures = self._figures(VALIDATION, self.model.predictions, keep=whole)
        if whole:
            self._keep({VALIDATION: figures})
        return figures

    def after_test(self, whole: bool) -> dict[str, dict[str, Any]]:
        """Figures of the test split after ``trainer.test``, and what is evaluated along with it.

        Args:
            whole: Whether the whole split was evaluated; of a part nothing is kept.

        Returns:
            ``test``; ``left_over`` and ``natural`` (the classes in their natural shares) if undersampling left
            messages over; ``padding`` if it matters: the share of test messages that get another label when they are
            padded to twice the length; ``in_float32`` in mixed precision: how far that is from float32.
        """
        self._is_loaded = True
        test = self.model.predictions
        assert test is not None
        found: dict[str, dict[str, Any]] = {TEST: self._figures(TEST, test, keep=whole)}
        if not whole:
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
            found[IN_FLOAT32] = changes(self._predict_in_float32(TEST), test)
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
        self.trainer.predict(
            self.model,
            dataloaders=self.data.each_once(split_name, padded_length),
            ckpt_path=None if self._is_loaded or self._is_elsewhere else self.checkpoint,
            return_predictions=False,
        )
        self._is_loaded = True
        assert self.model.predictions is not None
        return self.model.predictions

    def _predict_in_float32(self, split_name: str) -> Predictions:
        strategy = self.trainer.strategy
        mixed, strategy.precision_plugin = strategy.precision_plugin, Precision()
        try:
            return self.predict(split_name)
        finally:
            strategy.precision_plugin = mixed

    def _figures(self, split_name: str, predictions: Predictions, *, keep: bool = True) -> dict[str, Any]:
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
        if keep and split_name != TRAIN:
            self._evaluated[split_name] = predictions
        return figures

    @property
    def _is_elsewhere(self) -> bool:
        """Whether the checkpoint is on another machine only; the Trainer broadcasts its weights from there."""
        return not self.trainer.is_global_zero and not Path(self.checkpoint).is_file()

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
        self._log_to_tensorboard(figures)

    def _log_to_tensorboard(self, figures: Mapping[str, Any]) -> None:
        """The figures of the messages that no stage of the Trainer logs."""
        logger = self.trainer.logger
        if not isinstance(logger, RunLogger):
            return
        also = {
            f"test/{name}_{figure}": value
            for name in (NATURAL, LEFT_OVER)
            for figure, value in figures.get(name, {}).items()
            if isinstance(value, float)
        }
        if share := figures.get(LEFT_OVER, {}).get("false_positives"):
            also[f"test/{LEFT_OVER}_false_positive_rate"] = share["share"]
        logger.log_metrics(also, logger.step_of(self.trainer))
        logger.save()
