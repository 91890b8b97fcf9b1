"""Which checkpoints a run keeps, and how they are written."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from spam_classifier.files import atomic_write, writing
from spam_classifier.runs.find import BEST_PREFIX, LAST_CHECKPOINT


class RunCheckpoint(ModelCheckpoint):
    """Keeps checkpoints in a run's directory, wherever that has been moved to since."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state of the run, its paths as they are now."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        state_dict["dirpath"] = str(self.dirpath)
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state_dict[name] = here(state_dict[name])
        kept = {here(path): score for path, score in state_dict["best_k_models"].items()}
        # a run that is killed between a new best checkpoint and its last one has the former best no more
        state_dict["best_k_models"] = {path: score for path, score in kept.items() if Path(path).is_file()}
        super().load_state_dict(state_dict)


def best_checkpoint() -> RunCheckpoint:
    """Keep the checkpoint with the lowest validation loss."""
    return RunCheckpoint(
        filename=BEST_PREFIX + "epoch{epoch}-val_loss{val/loss:.4f}",
        auto_insert_metric_name=False,
        save_weights_only=True,  # training goes on from the last one
        monitor="val/loss",
        enable_version_counter=False,
    )


def last_checkpoint() -> RunCheckpoint:
    """Keep the checkpoint of the last epoch; ``save_last`` above would write it only when the best improves."""
    return RunCheckpoint(
        filename=LAST_CHECKPOINT.removesuffix(".ckpt"),
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the one that it replaces, on the same disk.

    Lightning writes it among the temporary files and moves it. From one disk to another that is a copy over the former
    checkpoint, and a disk that fills up in the middle of it leaves neither.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write it.

        Raises:
            UserError: It can't be written, or there is no room; a former one stays.
        """
        target = Path(path)
        with writing(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as unfinished, unfinished.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # what PyTorch's archive makes of the file's own error
                raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
