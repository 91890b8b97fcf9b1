"""The figures of a run's evaluations, as they stand in ``metrics.json``."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from spam_classifier.evaluation.metrics import Predictions, classification_metrics, wilson_interval

NATURAL = "natural"  # an evaluation with the classes in their natural shares
POSITIVE = 1  # of two classes the second one, spam


def share(hits: int, rows: int) -> dict[str, Any]:
    """A share of rows with its 95 % Wilson interval."""
    value = hits / rows
    return {"share": value, "interval": list(wilson_interval(value, rows)), "hits": hits, "messages": rows}


def split_figures(predictions: Predictions) -> dict[str, Any]:
    """All figures of a split.

    Returns:
        ``messages``, the figures of ``classification_metrics``, ``acc_interval`` (95 %, Wilson), ``confusion`` (a row
        for each true class, a column for each verdict), ``log_loss`` (mean cross-entropy of the calibrated
        probabilities), and with two classes, where negatives are there, ``false_positives``, a share of them.
    """
    rows, classes = len(predictions.labels), predictions.probabilities.shape[1]
    figures: dict[str, Any] = {"messages": rows}
    figures |= classification_metrics(predictions.probabilities, predictions.verdicts, predictions.labels)
    figures["acc_interval"] = list(wilson_interval(figures["acc"], rows))
    confusion = multiclass_confusion_matrix(predictions.verdicts, predictions.labels, num_classes=classes)
    figures["confusion"] = confusion.tolist()
    figures["log_loss"] = float(F.nll_loss(predictions.probabilities.clamp(min=1e-12).log(), predictions.labels))
    if classes == 2 and bool((predictions.labels != POSITIVE).any()):
        figures["false_positives"] = share(int(confusion[0, 1]), int(confusion[0].sum()))
    return figures


def left_over_figures(predictions: Predictions) -> dict[str, Any]:
    """Figures of the messages that undersampling left over, of the larger classes only.

    Returns:
        ``messages``, ``confusion``, ``errors``, a share of all, and with two classes ``false_positives``.
    """
    classes = predictions.probabilities.shape[1]
    wrong = int((predictions.verdicts != predictions.labels).sum())
    confusion = multiclass_confusion_matrix(predictions.verdicts, predictions.labels, num_classes=classes)
    figures = {
        "messages": len(predictions.labels),
        "confusion": confusion.tolist(),
        "errors": share(wrong, len(predictions.labels)),
    }
    if classes == 2 and int(confusion[0].sum()):
        figures["false_positives"] = share(int(confusion[0, 1]), int(confusion[0].sum()))
    return figures


def at_natural_shares(test: Predictions, left_over: Predictions, shares: Sequence[float]) -> Predictions:
    """The largest part of the test split and the left-over messages that holds the classes in their natural shares.

    What is left out is drawn at random, for all predictions of the same messages alike.

    Args:
        test: Predictions of the test split, of which all messages of the scarcest class are taken.
        left_over: Predictions of the messages that undersampling left over.
        shares: Share of each class in the corpus.

    Returns:
        Predictions; rows of the left-over messages follow those of the test split.
    """
    both = Predictions(*(torch.cat(pair) for pair in zip(test, left_over, strict=True)))
    rows_of_classes = [(both.labels == label).nonzero().flatten() for label in range(len(shares))]
    size = min(len(rows) / part for rows, part in zip(rows_of_classes, shares, strict=True))
    draw = torch.Generator().manual_seed(0)  # not the first in the file: a corpus may be sorted
    rows_of_classes = [rows[torch.randperm(len(rows), generator=draw).to(rows.device)] for rows in rows_of_classes]
    chosen = torch.cat([rows[: round(size * part)] for rows, part in zip(rows_of_classes, shares, strict=True)])
    return Predictions(*(values[chosen] for values in both))


def changed_verdicts(before: Predictions, after: Predictions) -> dict[str, Any]:
    """Messages whose verdict differs between two evaluations of a split, as a share."""
    return share(int((before.verdicts != after.verdicts).sum()), len(before.verdicts))


def part_of(predictions: Predictions, chosen: Tensor) -> Predictions:
    """The predictions of some messages: bool [N]."""
    return Predictions(*(values[chosen] for values in predictions))
