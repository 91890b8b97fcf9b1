"""The run directory, whatever logs, and the TensorBoard logs in it."""

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from typing_extensions import override

from spam_classifier.files import claim_directory, writing

VERSION = "version_"


class RunDirectory(Callback):
    """The directory of a run of the command line. It does not depend on which loggers log, or whether any does.

    Args:
        runs_directory: Directory of all runs.
        run: Name of the run directory; None for the next ``version_N``, which is made once it is needed.
    """

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
    """Logs to the run directory, during training and when a checkpoint is tested later.

    Outside of training the Trainer logs at step 0. TensorBoard takes a smaller step for a restart and drops everything
    after it, so a test would erase the curves. Points that a killed process logged after its last checkpoint are
    dropped when the run is resumed from there.

    Args:
        directory: The run directory.
        evaluated_step: Step of the checkpoint that is evaluated; None during training.
        continued_step: Step of the checkpoint from which training is resumed.
    """

    def __init__(
        self,
        directory: RunDirectory,
        *,
        evaluated_step: int | None = None,
        continued_step: int | None = None,
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

    def step_of(self, trainer: pl.Trainer) -> int:
        """The step to log metrics at: that of the evaluated checkpoint, else that of training."""
        return trainer.global_step if self.evaluated_step is None else self.evaluated_step

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if self.evaluated_step is not None:
            step = self.evaluated_step
            metrics = {name: value for name, value in metrics.items() if name.startswith("test/")}
        metrics = {name: value for name, value in metrics.items() if name != "epoch"}  # Lightning adds it to all
        with writing(Path(self.log_dir)):
            super().log_metrics(metrics, step)

    @override
    def log_hyperparams(self, *args: Any, **options: Any) -> None:
        with writing(Path(self.log_dir)):
            super().log_hyperparams(*args, **options)

    @override
    def save(self) -> None:
        with writing(Path(self.log_dir)):
            super().save()

    @override
    def finalize(self, status: str) -> None:
        with writing(Path(self.log_dir)):
            super().finalize(status)


def beside_the_runs(loggers: Sequence[Logger], directory: RunDirectory, session: str = "") -> list[Logger]:
    """The user's loggers, without any whose numbers would mix with those of the runs.

    CSVLogger counts versions as runs do, and it removes the ``metrics.csv`` that it finds. So in ``lightning_logs`` it
    writes to the run directory, and each later command to a directory in it.

    Args:
        loggers: The user's loggers.
        directory: The run directory.
        session: Name of a command that resumes or evaluates the run; "" for a new run.
    """
    kept = []
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger | CSVLogger) and logger._version is None:
            among_the_runs = Path(logger.root_dir).resolve() == directory.runs_directory.resolve()
            if among_the_runs and isinstance(logger, TensorBoardLogger):
                if not session:
                    rank_zero_info("TensorBoardLogger is left out: the run logs to TensorBoard in its directory anyway")
                continue
            if among_the_runs:  # it warns that it removes older files, and here there are none of its own
                warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
                vars(logger)["_get_next_version"] = lambda: str(Path(directory.path.name, session))
        kept.append(logger)
    return kept


def run_directory(trainer: pl.Trainer) -> Path | None:
    """The run directory; None if there is none, and then nothing may be written.

    All processes must call this: the first one broadcasts the answer. Without a logger ``trainer.log_dir`` would be the
    working directory, with the user's own files.
    """
    return trainer.strategy.broadcast(first_process_directory(trainer))


def first_process_directory(trainer: pl.Trainer) -> Path | None:
    """``run_directory`` without a broadcast, for use when other processes may be dead; right on the first one only."""
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return None
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, RunDirectory):
            return callback.path
    # the user's own Trainer
    return Path(trainer.logger.log_dir) if isinstance(trainer.logger, TensorBoardLogger | CSVLogger) else None
