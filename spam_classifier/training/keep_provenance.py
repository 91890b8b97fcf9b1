"""What a run was made with, kept in its metrics."""

import shlex
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from spam_classifier.runs.metrics import read_metrics, update_metrics
from spam_classifier.runs.provenance import PROVENANCE, git_revision, versions
from spam_classifier.training.logger import run_directory


class KeepProvenance(Callback):
    """Keep in a run's metrics, as its training begins, what decides its numbers.

    Args:
        typed: The flags as the user typed them.
        seed: The seed.
    """

    def __init__(self, typed: Sequence[str], seed: int) -> None:
        self.command = f"python -m spam_classifier.train {shlex.join(typed)}"
        self.seed = seed

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it down; of a run that goes on, beside the commands so far."""
        directory = run_directory(trainer)
        data = getattr(trainer, "datamodule", None)
        if directory is None or not trainer.is_global_zero or data is None:
            return
        earlier = read_metrics(directory).get(PROVENANCE, {}) if trainer.ckpt_path else {}
        known: dict[str, Any] = {
            "commands": [*earlier.get("commands", []), self.command],
            "seed": self.seed,
            "versions": versions(),
            "git": git_revision(),
            "corpus_sha256": data.sources_sha256(),
            # a checkpoint has replaced the weights, whose file need not be there any more
            "weights_sha256": earlier.get("weights_sha256") if trainer.ckpt_path else pl_module.weights_sha256,
        }
        update_metrics(directory, {PROVENANCE: known})
