"""Where a Trainer's run leaves its files."""

from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger


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
