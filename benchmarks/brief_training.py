"""A checkpoint for measurements in which accuracy does not matter."""

from pathlib import Path

import lightning.pytorch as pl

from spam_classifier import SpamClassifier, SpamDataModule

QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


def train_briefly(model: SpamClassifier, data: SpamDataModule, steps: int, checkpoint: Path) -> None:
    """Train a few steps and write a checkpoint."""
    trainer = pl.Trainer(max_steps=steps, limit_val_batches=0, accelerator="cpu", **QUIET)
    trainer.fit(model, data)
    trainer.save_checkpoint(checkpoint)
