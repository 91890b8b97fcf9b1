"""Checkpoints that are whole or as they were before."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from spam_classifier.whole_file import whole_file, writing


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
        with whole_file(target) as unfinished, unfinished.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # what PyTorch's archive makes of the file's own error
                raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
