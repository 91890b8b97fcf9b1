"""The figures of a classifier, from its predictions of a whole split."""

import math
import warnings
from typing import Any, NamedTuple

import torchmetrics.functional.classification as tm
from torch import Tensor

CALIBRATION_BINS = 15


class Predictions(NamedTuple):
    """A model's predictions of a split's messages, in the order of the split.

    Attributes:
        rows: Row of each message in its split, int64 [N].
        labels: Class of each message, int64 [N].
        logits: float [N, classes].
        probabilities: Calibrated, float [N, classes].
        verdicts: Index of the predicted class, int64 [N].
    """

    rows: Tensor
    labels: Tensor
    logits: Tensor
    probabilities: Tensor
    verdicts: Tensor


def classification_metrics(probabilities: Tensor, verdicts: Tensor, labels: Tensor) -> dict[str, float]:
    """The figures of a split, without those that are undefined because a class is missing.

    With two classes precision, recall, F1, specificity and average precision are those of the second class. With more
    they are means over the classes, and so is the area under the ROC curve.

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
    if not bool(probabilities.isfinite().all()):  # the run has diverged
        return {"acc": math.nan}
    every: dict[str, Any] = {"num_classes": classes}
    figures = {
        "acc": (verdicts == labels).float().mean(),
        "ece": tm.multiclass_calibration_error(probabilities, labels, n_bins=CALIBRATION_BINS, **every),
    }
    if len(labels.unique()) == classes:
        figures["balanced_acc"] = tm.multiclass_recall(verdicts, labels, average="macro", **every)
        figures["mcc"] = tm.multiclass_matthews_corrcoef(verdicts, labels, **every)
        with warnings.catch_warnings():  # a class that is never predicted has a precision of 0 by convention
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
    """95 % confidence interval of a share of ``rows`` observations (Wilson 1927)."""
    middle = share + z * z / (2 * rows)
    spread = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)  # 0 and 1 despite rounding
