"""How the Trainer's checkpoints come onto the disk: whole, or not at all."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH

from spam_classifier.whole_file import whole_file


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the one it replaces: a process that is killed while it writes leaves that as it was.

    Lightning writes it into the system's directory for temporary files and moves it from there, which is a copy where
    that is another disk, and leaves files of the checkpoint's size behind that nothing ever removes.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        """Write a checkpoint; one that is not in a local directory is left to Lightning."""
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(Path(path)) as unfinished:
            torch.save(checkpoint, unfinished)
