"""TensorBoard's events of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from spam_classifier.files import claim_directory, writing


class RunLogger(TensorBoardLogger):
    """Logs into a run's directory, in training and when its checkpoint is tested later.

    Outside of training the Trainer logs at step 0, and the epoch with the figures. TensorBoard takes a smaller step
    for a restart and drops what was logged behind it, so that testing would erase curves of the training.

    A curve has one point a step. What a killed process logged behind its last checkpoint is dropped as the run goes on
    from there: TensorBoard is told the step.

    Args:
        runs_directory: Directory of all runs.
        run: Name of the run's own directory; None for the next ``version_N``.
        evaluated_step: Step of the checkpoint that is evaluated; None while training.
        continued_step: Step of the checkpoint that training goes on from.
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
            runs_directory.parent,
            runs_directory.name,
            version=run,
            default_hp_metric=False,
            purge_step=continued_step,
        )
        self.evaluated_step = evaluated_step
        self._step: int | None = None
        self._logged_at_step: set[str] = set()

    def _get_next_version(self) -> int:
        """Claim the next free number: two runs that start together get one each."""
        version = super()._get_next_version()
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            claimed = claim_directory(Path(self.root_dir), "version_", version)
            version = int(claimed.name.removeprefix("version_"))
        return version

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """TensorBoard's own writer; it is made at the first use."""
        with writing(Path(self.log_dir)):
            return super().experiment

    def step_of(self, trainer: pl.Trainer) -> int:
        """The step that figures belong to: of the checkpoint that is evaluated, else of the training."""
        return trainer.global_step if self.evaluated_step is None else self.evaluated_step

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log figures: all of them while training, else those of the test split, at the checkpoint's step."""
        if self.evaluated_step is not None:
            step = self.evaluated_step
            metrics = {name: value for name, value in metrics.items() if name.startswith("test/")}
        if step != self._step:
            self._step, self._logged_at_step = step, set()
        metrics = {name: value for name, value in metrics.items() if name not in self._logged_at_step}
        self._logged_at_step.update(metrics)
        with writing(Path(self.log_dir)):
            super().log_metrics(metrics, step)

    def log_hyperparams(self, *args: Any, **options: Any) -> None:
        """Log hyper-parameters, and figures beside them."""
        with writing(Path(self.log_dir)):
            super().log_hyperparams(*args, **options)

    def save(self) -> None:
        """Bring what was logged to the disk."""
        with writing(Path(self.log_dir)):
            super().save()

    def finalize(self, status: str) -> None:
        """Bring it there for the last time."""
        with writing(Path(self.log_dir)):
            super().finalize(status)


def run_directory(trainer: pl.Trainer) -> Path | None:
    """The directory that belongs to the run alone; None where there is none, and nothing may be written.

    Without a logger that makes one, the Trainer would name the working directory, where the user's own files are.
    All processes have to ask: the answer is the first one's.
    """
    directory = trainer.log_dir if first_process_directory(trainer) else None
    return None if directory is None else Path(directory)


def first_process_directory(trainer: pl.Trainer) -> Path | None:
    """The same, without asking the other processes, which may not answer any more; true on the first one alone."""
    if trainer.fast_dev_run or not isinstance(trainer.logger, TensorBoardLogger | CSVLogger):  # type: ignore[attr-defined]
        return None
    return Path(trainer.logger.log_dir)
