"""The test messages the classifier got wrong, as a text in TensorBoard."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from spam_classifier.evaluation.processes import gather_rows

MOST = 100


class WrongPredictions(Callback):
    """Log the test messages whose predicted class is wrong, the most confident mistakes first."""

    def __init__(self) -> None:
        self._mistakes: list[tuple[float, int, int]] = []

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start afresh."""
        self._mistakes = []

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor,  # type: ignore[override]
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note the batch's mistakes: confidence, row, predicted class."""
        confidence, predicted = outputs.max(dim=-1)
        wrong = predicted != batch.labels
        self._mistakes += zip(
            confidence[wrong].tolist(), batch.index[wrong].tolist(), predicted[wrong].tolist(), strict=True
        )

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write them down."""
        mistakes = gather_rows(trainer, self._mistakes)
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not trainer.is_global_zero or not isinstance(trainer.logger, TensorBoardLogger) or data is None:
            return
        messages, names = data.splits["test"], data.label_names
        shown = f"; the {MOST} most confident mistakes" if len(mistakes) > MOST else ""
        lines = [f"{len(mistakes)} of {len(messages)} test messages are predicted wrong{shown}.", ""]
        if mistakes:
            lines += ["| probability | predicted | true | message |", "| --- | --- | --- | --- |"]
        for confidence, row, predicted in sorted(mistakes, reverse=True)[:MOST]:
            label, text = messages.iloc[row][["label", "text"]]
            lines.append(f"| {confidence:.4f} | {_cell(names[predicted])} | {_cell(label)} | {_cell(text)} |")
        trainer.logger.experiment.add_text("test/wrong_predictions", "\n".join(lines))


def _cell(text: str) -> str:
    """Any text as one cell of a Markdown table: literal, on one line."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_{}[]()#|!":
        escaped = escaped.replace(mark, f"\\{mark}" if mark != "|" else "&#124;")
    return " ".join(escaped.split())
