"""Predictions of a split, message by message, as a CSV in the run directory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.files import write_csv, writing

DIRECTORY = "predictions"
PREFIX = "probability_"


def predictions_path(run_directory: Path, split_name: str) -> Path:
    """Where a run keeps a split's predictions."""
    return run_directory / DIRECTORY / f"{split_name}.csv"


def write_predictions(path: Path, predictions: Predictions, messages: pd.DataFrame, classes: Sequence[str]) -> None:
    """Write label, text, predicted label and calibrated probabilities of each message of a split."""
    table = messages.iloc[predictions.rows.tolist()][["label", "text"]].reset_index(drop=True)
    table["predicted"] = [classes[index] for index in predictions.predicted.tolist()]
    columns = [f"{PREFIX}{name}" for name in classes]
    table = pd.concat([table, pd.DataFrame(predictions.probabilities.cpu().numpy(), columns=columns)], axis=1)
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, table)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read what ``write_predictions`` wrote."""
    return pd.read_csv(path, keep_default_na=False, dtype={"label": str, "text": str, "predicted": str})


def read_messages(path: Path) -> pd.DataFrame:
    """Read a split of a run: columns ``label`` and ``text``, with nothing converted."""
    return pd.read_csv(path, keep_default_na=False, dtype=str)


def label_confidence(
    table: pd.DataFrame, classes: Sequence[str], threshold: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each message's label, float [N], and whether it is the true one, bool [N].

    Of a table of ``read_predictions``. The threshold is None with more than two classes.
    """
    probabilities = table[[f"{PREFIX}{name}" for name in classes]].to_numpy(dtype=float)
    chosen = probabilities.argmax(axis=1) if threshold is None else (probabilities[:, 1] >= threshold).astype(int)
    right = np.array(classes, dtype=object)[chosen] == table["label"].to_numpy(dtype=object)
    return probabilities[np.arange(len(chosen)), chosen], right


def predictions_of(table: pd.DataFrame, classes: Sequence[str]) -> Predictions:
    """A table of ``read_predictions`` as predictions; the logits are the logarithms of the probabilities."""
    index = {label: number for number, label in enumerate(classes)}
    probabilities = torch.tensor(table[[f"{PREFIX}{name}" for name in classes]].to_numpy(dtype=float))
    labels, predicted = (
        torch.tensor(table[column].map(index).to_numpy(dtype=int)) for column in ("label", "predicted")
    )
    return Predictions(torch.arange(len(table)), labels, probabilities.log(), probabilities, predicted)
