"""TensorBoard logs in the run directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from spam_classifier.files import claim_directory, writing


class RunLogger(TensorBoardLogger):
    """Logs to the run directory, during training and when a checkpoint is tested later.

    Outside of training the Trainer logs at step 0. TensorBoard takes a smaller step for a restart and drops everything
    after it, so a test would erase the curves. Points that a killed process logged after its last checkpoint are
    dropped when the run is resumed from there.

    Args:
        runs_directory: Directory of all runs.
        run: Name of the run directory; None for the next ``version_N``.
        evaluated_step: Step of the checkpoint that is evaluated; None during training.
        continued_step: Step of the checkpoint from which training is resumed.
    """

    def __init__(
        self,
        runs_directory: Path,
        run: str | None,
        *,
        evaluated_step: int | None = None,
        continued_step: int | None = None,
    ) -> None:
        super().__init__(
            runs_directory.parent, runs_directory.name, version=run, default_hp_metric=False, purge_step=continued_step
        )
        self.evaluated_step = evaluated_step

    @override
    def _get_next_version(self) -> int:
        # two runs that start together get different numbers
        version = super()._get_next_version()
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            claimed = claim_directory(Path(self.root_dir), "version_", version)
            version = int(claimed.name.removeprefix("version_"))
        return version

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


def run_directory(trainer: pl.Trainer) -> Path | None:
    """The run directory; None if there is none, and then nothing may be written.

    All processes must call this: the first one broadcasts the answer. Without a logger ``trainer.log_dir`` would be the
    working directory, with the user's own files.
    """
    directory = trainer.log_dir if first_process_directory(trainer) else None
    return None if directory is None else Path(directory)


def first_process_directory(trainer: pl.Trainer) -> Path | None:
    """``run_directory`` without a broadcast, for use when other processes may be dead; right on the first one only."""
    if trainer.fast_dev_run or not isinstance(trainer.logger, TensorBoardLogger | CSVLogger):  # type: ignore[attr-defined]
        return None
    return Path(trainer.logger.log_dir)
