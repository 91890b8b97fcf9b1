"""The test messages the classifier got wrong, as a text in TensorBoard."""

from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.files import writing

MOST = 100


class WrongPredictions(Callback):
    """Log the test messages whose verdict is wrong, the most confident mistakes first."""

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write them down."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if trainer.is_global_zero and isinstance(trainer.logger, TensorBoardLogger) and data is not None:
            text = wrong_predictions(pl_module.predictions, data.splits["test"], data.label_names)  # type: ignore[arg-type]
            with writing(Path(trainer.logger.log_dir)):
                trainer.logger.experiment.add_text("test/wrong_predictions", text)


def wrong_predictions(predictions: Predictions, messages: pd.DataFrame, classes: list[str]) -> str:
    """The wrong ones as a Markdown table, with the probability of the class decided for."""
    wrong = predictions.verdicts != predictions.labels
    verdicts = predictions.verdicts[wrong]
    confidence = predictions.probabilities[wrong].gather(1, verdicts[:, None]).squeeze(1)
    mistakes = list(zip(confidence.tolist(), predictions.rows[wrong].tolist(), verdicts.tolist(), strict=True))
    shown = f"; the {MOST} most confident mistakes" if len(mistakes) > MOST else ""
    lines = [f"{len(mistakes)} of {len(predictions.labels)} test messages are predicted wrong{shown}.", ""]
    if mistakes:
        lines += ["| probability | predicted | true | message |", "| --- | --- | --- | --- |"]
    for probability, row, verdict in sorted(mistakes, reverse=True)[:MOST]:
        label, text = messages.iloc[row][["label", "text"]]
        lines.append(f"| {probability:.4f} | {_cell(classes[verdict])} | {_cell(label)} | {_cell(text)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Any text as one cell of a Markdown table: literal, on one line."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_{}[]()#|!":
        escaped = escaped.replace(mark, f"\\{mark}" if mark != "|" else "&#124;")
    return " ".join(escaped.split())
