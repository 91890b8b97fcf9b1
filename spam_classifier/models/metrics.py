"""The figures by which a classifier is judged, from the predictions of a whole split."""

import math
import warnings
from typing import Any, NamedTuple

import torch
import torchmetrics.functional.classification as tm
from torch import Tensor
from torchmetrics import Metric

CALIBRATION_BINS = 15


class Predictions(NamedTuple):
    """What a model says of a split's messages, in the order of the split.

    Attributes:
        rows: Row of each message in its split, int64 [N].
        labels: Class of each message, int64 [N].
        logits: float [N, classes].
        probabilities: Calibrated, float [N, classes].
        verdicts: The class decided for, int64 [N].
    """

    rows: Tensor
    labels: Tensor
    logits: Tensor
    probabilities: Tensor
    verdicts: Tensor


class SeenLogits(Metric):
    """Gathers logits over the batches of an evaluation and over its processes, each message once."""

    full_state_update = False
    logits: list[Tensor]
    labels: list[Tensor]
    rows: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("logits", "labels", "rows"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor, labels: Tensor, rows: Tensor) -> None:
        """Add a batch: float [B, classes], int64 [B], int64 [B]."""
        self.logits.append(logits.detach().float())
        self.labels.append(labels)
        self.rows.append(rows)

    def compute(self) -> dict[str, Tensor]:
        """All that was seen, by name."""
        states = {"logits": self.logits, "labels": self.labels, "rows": self.rows}
        # gathered over processes they are tensors already
        return {name: value if isinstance(value, Tensor) else torch.cat(value) for name, value in states.items()}

    def in_order(self) -> tuple[Tensor, Tensor, Tensor]:
        """All logits, labels and rows, in the order of the rows, of all processes; and start afresh."""
        seen = self.compute()
        rows = seen["rows"].reshape(-1)  # compute makes a scalar of a tensor with one element
        order = rows.argsort()
        self.reset()
        return seen["logits"].reshape(len(rows), -1)[order], seen["labels"].reshape(-1)[order], rows[order]


def classification_metrics(probabilities: Tensor, verdicts: Tensor, labels: Tensor) -> dict[str, float]:
    """The figures of a split; those that it leaves undefined, as where a class is missing, are left out.

    With two classes precision, recall, F1, specificity and average precision are those of the second class; with more
    they are means over the classes, as the area under the ROC curve is.

    Args:
        probabilities: float [N, classes].
        verdicts: int64 [N].
        labels: int64 [N].

    Returns:
        ``acc``, ``balanced_acc`` (mean recall of the classes), ``precision``, ``recall``, ``f1``, ``specificity``,
        ``auroc``, ``average_precision``, ``mcc`` (Matthews's correlation coefficient) and ``ece`` (expected calibration
        error of the most probable class, 15 bins; Guo et al. 2017).
    """
    classes = probabilities.shape[1]
    if not bool(probabilities.isfinite().all()):  # of a run that has diverged
        return {"acc": math.nan}
    every: dict[str, Any] = {"num_classes": classes}
    figures = {
        "acc": (verdicts == labels).float().mean(),
        "ece": tm.multiclass_calibration_error(probabilities, labels, n_bins=CALIBRATION_BINS, **every),
    }
    if len(labels.unique()) == classes:
        figures["balanced_acc"] = tm.multiclass_recall(verdicts, labels, average="macro", **every)
        figures["mcc"] = tm.multiclass_matthews_corrcoef(verdicts, labels, **every)
        with warnings.catch_warnings():  # a class that is never decided for has a precision of 0 by convention
            warnings.simplefilter("ignore")
            if classes == 2:
                figures["precision"] = tm.binary_precision(verdicts, labels)
                figures["recall"] = tm.binary_recall(verdicts, labels)
                figures["f1"] = tm.binary_f1_score(verdicts, labels)
                figures["specificity"] = tm.binary_specificity(verdicts, labels)
                figures["auroc"] = tm.binary_auroc(probabilities[:, 1], labels)
                figures["average_precision"] = tm.binary_average_precision(probabilities[:, 1], labels)
            else:
                figures["precision"] = tm.multiclass_precision(verdicts, labels, average="macro", **every)
                figures["recall"] = figures["balanced_acc"]
                figures["f1"] = tm.multiclass_f1_score(verdicts, labels, average="macro", **every)
                figures["specificity"] = tm.multiclass_specificity(verdicts, labels, average="macro", **every)
                figures["auroc"] = tm.multiclass_auroc(probabilities, labels, **every)
                figures["average_precision"] = tm.multiclass_average_precision(probabilities, labels, **every)
    return {name: float(value) for name, value in figures.items()}


def wilson_interval(share: float, rows: int, z: float = 1.96) -> tuple[float, float]:
    """95 % confidence interval of a share observed on a number of rows (Wilson 1927)."""
    middle = share + z * z / (2 * rows)
    spread = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)  # rounding aside
