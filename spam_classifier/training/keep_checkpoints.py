"""Which checkpoints a run keeps, and how they are written."""

import os
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from typing_extensions import override

from spam_classifier.errors import UserError
from spam_classifier.files import atomic_write, writing
from spam_classifier.runs.find import BEST_PREFIX, CHECKPOINTS_DIRECTORY, LAST_CHECKPOINT
from spam_classifier.training.logger import run_directory

OWN_CHECKPOINTS = "own_checkpoints"


class OwnCheckpoints(Callback):
    """Keeps the files of the user's own checkpoint callbacks apart from those of the run.

    Among them they could be taken for the run's best or last checkpoint. So callbacks that name no directory write to
    ``own_checkpoints`` in the run directory.
    """

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        directory = run_directory(trainer)
        for callback in trainer.checkpoint_callbacks:  # their own setup comes later
            if directory is None or isinstance(callback, RunCheckpoint) or not isinstance(callback, ModelCheckpoint):
                continue
            if callback.dirpath is None:
                callback.dirpath = str(directory / OWN_CHECKPOINTS)
            elif Path(callback.dirpath).resolve() == (directory / CHECKPOINTS_DIRECTORY).resolve():
                raise UserError(
                    f"{type(callback).__name__} would write among the run's own checkpoints: leave its dirpath out, or "
                    "give another directory"
                )


class RunCheckpoint(ModelCheckpoint):
    """Keeps checkpoints in the run directory, which may be moved between two trainings."""

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        directory = run_directory(trainer)
        self.dirpath = None if directory is None else str(directory / CHECKPOINTS_DIRECTORY)
        super().setup(trainer, pl_module, stage)

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        state_dict["dirpath"] = str(self.dirpath)
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state_dict[name] = here(state_dict[name])
        kept = {here(path): score for path, score in state_dict["best_k_models"].items()}
        # if a run is killed after it saved a new best checkpoint, the last one still names the best before, now deleted
        state_dict["best_k_models"] = {path: score for path, score in kept.items() if Path(path).is_file()}
        super().load_state_dict(state_dict)


def best_checkpoint() -> RunCheckpoint:
    """Keeps the checkpoint with the lowest validation loss."""
    return RunCheckpoint(
        filename=BEST_PREFIX + "epoch{epoch}-val_loss{val/loss:.4f}",
        auto_insert_metric_name=False,
        save_weights_only=True,  # training is resumed from the last one
        monitor="val/loss",
        enable_version_counter=False,
    )


def last_checkpoint() -> RunCheckpoint:
    """Keeps the checkpoint of the last epoch; ``save_last`` of the best one would write it only when that improves."""
    return RunCheckpoint(
        filename=LAST_CHECKPOINT.removesuffix(".ckpt"), save_on_train_epoch_end=True, enable_version_counter=False
    )


def last_path(trainer: pl.Trainer) -> Path | None:
    """Where the run's last checkpoint is, or would be; None for a run that keeps none."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, RunCheckpoint) and callback.dirpath is not None:
            return Path(callback.dirpath) / LAST_CHECKPOINT
    return None


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name in its own directory and renames it when complete.

    Lightning writes it to the system's temporary directory and moves it. Between two disks a move is a copy over the
    previous checkpoint, and a disk that fills up meanwhile leaves neither.
    """

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Raise a UserError if the file can't be written or the disk is full; a previous checkpoint then stays."""
        target = Path(path)
        with writing(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as unfinished, unfinished.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # PyTorch wraps the OSError
                raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
