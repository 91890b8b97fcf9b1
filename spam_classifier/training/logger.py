"""The run directory, whatever logs, and the TensorBoard logs in it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from spam_classifier.errors import UserError
from spam_classifier.files import claim_directory, writing

VERSION = "version_"


class RunDirectory(Callback):
    """The directory of a run, whatever logs; without a name the next ``version_N``, which is made once it is needed."""

    def __init__(self, runs_directory: Path, run: str | None = None) -> None:
        self.runs_directory = runs_directory
        self.run = run

    @cached_property
    def path(self) -> Path:
        """The run directory; right on the first process only."""
        if self.run is not None:
            return self.runs_directory / self.run
        names = (path.name.removeprefix(VERSION) for path in self.runs_directory.glob(f"{VERSION}*"))
        number = max((int(name) for name in names if name.isdecimal()), default=-1) + 1
        if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
            return self.runs_directory / f"{VERSION}{number}"
        return claim_directory(self.runs_directory, VERSION, number)  # runs that start together get different numbers


class RunLogger(TensorBoardLogger):
    """Logs to the run directory, during training and when a checkpoint is tested later, at its step.

    Outside of training the Trainer logs at step 0. TensorBoard takes a smaller step for a restart and drops everything
    after it, so a test would erase the curves. What a killed process logged after its last checkpoint, of the continued
    step, is dropped.
    """

    def __init__(
        self, directory: RunDirectory, *, evaluated_step: int | None = None, continued_step: int | None = None
    ) -> None:
        runs = directory.runs_directory
        super().__init__(runs.parent, runs.name, default_hp_metric=False, purge_step=continued_step)
        self.directory = directory
        self.evaluated_step = evaluated_step

    @override
    def _get_next_version(self) -> Any:
        return self.directory.path.name

    @property
    @override
    @rank_zero_experiment
    def experiment(self) -> Any:
        with writing(Path(self.log_dir)):
            return super().experiment

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if self.evaluated_step is not None:
            step = self.evaluated_step
            metrics = {name: value for name, value in metrics.items() if name.startswith("test/")}
        metrics = {name: value for name, value in metrics.items() if name != "epoch"}  # Lightning adds it to all
        with writing(Path(self.log_dir)):
            super().log_metrics(metrics, step)

    @override
    def save(self) -> None:
        with writing(Path(self.log_dir)):
            super().save()

    @override
    def finalize(self, status: str) -> None:
        with writing(Path(self.log_dir)):
            super().finalize(status)


def refuse_among_the_runs(loggers: Sequence[Logger], directory: RunDirectory) -> None:
    """Raise a UserError if one of the user's loggers would write among the runs, whose numbers would then mix."""
    runs = directory.runs_directory.resolve()
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger | CSVLogger) and Path(logger.root_dir).resolve() == runs:
            raise UserError(
                f"{type(logger).__name__} would write among the runs: give another --trainer.logger.save_dir, or leave "
                "it out, as the run logs to TensorBoard in its own directory anyway"
            )


def run_directory(trainer: pl.Trainer) -> Path | None:
    """The run directory, broadcast to all processes, which must all call this; None if nothing may be written."""
    return trainer.strategy.broadcast(first_process_directory(trainer))


def first_process_directory(trainer: pl.Trainer) -> Path | None:
    """``run_directory`` without a broadcast, as other processes may be dead; right on the first one only."""
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return None
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, RunDirectory):
            return callback.path
    # the user's own Trainer
    return Path(trainer.logger.log_dir) if isinstance(trainer.logger, TensorBoardLogger | CSVLogger) else None
