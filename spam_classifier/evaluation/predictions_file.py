"""Every message's predicted class, as a CSV in the run's directory."""

import csv
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from spam_classifier.evaluation.processes import gather_rows

FILE_NAME = "predictions.csv"


class PredictionsFile(Callback):
    """Write the split that was predicted as ``predictions.csv``: label, text, predicted label, probabilities.

    Args:
        directory: Where to write it.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME
        self._rows: list[tuple[int, list[float]]] = []

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note the batch's probabilities, by row."""
        probabilities: Tensor = outputs
        self._rows += zip(batch.index.tolist(), probabilities.tolist(), strict=True)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file."""
        rows = sorted(gather_rows(trainer, self._rows))
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        probabilities = torch.tensor([values for _, values in rows])
        table = data.splits["test"].iloc[[row for row, _ in rows]].reset_index(drop=True)
        table["predicted"] = [data.label_names[index] for index in probabilities.argmax(-1)]
        columns = [f"probability_{name}" for name in data.label_names]
        table = pd.concat([table, pd.DataFrame(probabilities.numpy(), columns=columns)], axis=1)
        table.to_csv(self.path, index=False, quoting=csv.QUOTE_NONNUMERIC)
