"""A classifier's checkpoint for measurements to which it does not matter how well it judges."""

from pathlib import Path

import lightning.pytorch as pl

from spam_classifier import SpamClassifier, SpamDataModule


def train_briefly(model: SpamClassifier, data: SpamDataModule, steps: int, checkpoint: Path) -> None:
    """Train a few steps, without a word, and write a checkpoint."""
    trainer = pl.Trainer(
        max_steps=steps,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    trainer.save_checkpoint(checkpoint)
