"""The figures of a run's evaluations, as ``metrics.json`` keeps them."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from spam_classifier.evaluation.coverage import coverage_figures
from spam_classifier.evaluation.metrics import Predictions, classification_metrics, wilson_interval

NATURAL = "natural"  # the evaluation with the classes in their natural shares


def share(hits: int, rows: int) -> dict[str, Any]:
    """A share of rows with its 95% Wilson interval."""
    value = hits / rows
    return {"share": value, "interval": list(wilson_interval(value, rows)), "hits": hits, "messages": rows}


def split_figures(predictions: Predictions) -> dict[str, Any]:
    """All figures of a split.

    Returns:
        ``messages``, the figures of ``classification_metrics``, ``acc_interval`` (95%, Wilson), ``confusion`` (a row
        for each true class, a column for each predicted one), ``at_coverage`` (accuracies of the surest messages),
        ``log_loss`` (mean cross-entropy of the calibrated probabilities), and with two classes ``false_positives``, a
        share of the negatives if there are any.
    """
    figures: dict[str, Any] = {"messages": len(predictions.labels)}
    figures |= classification_metrics(predictions.probabilities, predictions.predicted, predictions.labels)
    figures["acc_interval"] = list(wilson_interval(figures["acc"], figures["messages"]))
    if bool(predictions.probabilities.isfinite().all()):
        confidence = predictions.probabilities.gather(1, predictions.predicted[:, None])[:, 0]
        right = predictions.predicted == predictions.labels
        figures["at_coverage"] = coverage_figures(confidence.cpu().numpy(), right.cpu().numpy())
    figures["log_loss"] = float(F.nll_loss(predictions.probabilities.clamp(min=1e-12).log(), predictions.labels))
    return figures | _confusion(predictions)


def left_over_figures(predictions: Predictions) -> dict[str, Any]:
    """Figures of the messages that undersampling left over; they are of the larger classes only.

    These are ``messages``, ``errors`` (a share of all), and ``confusion`` and ``false_positives`` as of a split.
    """
    messages, wrong = len(predictions.labels), int((predictions.predicted != predictions.labels).sum())
    return {"messages": messages, "errors": share(wrong, messages)} | _confusion(predictions)


def _confusion(predictions: Predictions) -> dict[str, Any]:
    classes = predictions.probabilities.shape[1]
    confusion = multiclass_confusion_matrix(predictions.predicted, predictions.labels, num_classes=classes)
    figures: dict[str, Any] = {"confusion": confusion.tolist()}
    if classes == 2 and int(confusion[0].sum()):
        figures["false_positives"] = share(int(confusion[0, 1]), int(confusion[0].sum()))
    return figures


def at_natural_shares(test: Predictions, left_over: Predictions, shares: Sequence[float]) -> Predictions:
    """The largest part of the test split and the left-over messages with the classes in their natural shares.

    It is drawn at random, and is the same for all predictions of the same messages. ``shares`` are those of the classes
    in the corpus. The ``rows`` of the predictions are those of the messages in their own splits.
    """
    both = Predictions(*(torch.cat(pair) for pair in zip(test, left_over, strict=True)))
    rows_of_classes = [(both.labels == label).nonzero().flatten() for label in range(len(shares))]
    size = min(len(rows) / part for rows, part in zip(rows_of_classes, shares, strict=True))
    draw = torch.Generator().manual_seed(0)  # not the first ones: a corpus may be sorted
    rows_of_classes = [rows[torch.randperm(len(rows), generator=draw).to(rows.device)] for rows in rows_of_classes]
    chosen = torch.cat([rows[: round(size * part)] for rows, part in zip(rows_of_classes, shares, strict=True)])
    return Predictions(*(values[chosen] for values in both))


def changed_labels(before: Predictions, after: Predictions) -> dict[str, Any]:
    """The share of messages whose label differs between two evaluations of a split."""
    return share(int((before.predicted != after.predicted).sum()), len(before.predicted))


def changes(before: Predictions, after: Predictions) -> dict[str, Any]:
    """The share of changed labels, and ``largest_change``, that of a probability."""
    largest = float((after.probabilities - before.probabilities).abs().max())
    return {**changed_labels(before, after), "largest_change": largest}


def part_of(predictions: Predictions, chosen: Tensor) -> Predictions:
    """The predictions of the chosen messages, bool [N]."""
    return Predictions(*(values[chosen] for values in predictions))
