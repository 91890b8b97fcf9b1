"""The figures of a classifier, from its predictions of a whole split."""

import math
import warnings
from typing import Any, NamedTuple

import torch
import torchmetrics.functional.classification as tm
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

CALIBRATION_BINS = 15
OF_LABELS = {"precision": "precision", "recall": "recall", "f1": "f1_score", "specificity": "specificity"}


class Predictions(NamedTuple):
    """A model's predictions of a split's messages, in the order of the split."""

    rows: Tensor  # row of each message in its split, int64 [N]
    labels: Tensor  # class of each message, int64 [N]
    logits: Tensor  # float [N, classes]
    probabilities: Tensor  # calibrated, float [N, classes]
    predicted: Tensor  # index of the predicted class, int64 [N]


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

    @override
    def update(self, logits: Tensor, labels: Tensor, rows: Tensor) -> None:
        """Add a batch: float [B, classes], int64 [B], int64 [B]."""
        self.logits.append(logits.detach().float())
        self.labels.append(labels)
        self.rows.append(rows)

    @override
    def compute(self) -> dict[str, Tensor]:
        states = {"logits": self.logits, "labels": self.labels, "rows": self.rows}
        # gathered over processes they are tensors already
        return {name: value if isinstance(value, Tensor) else torch.cat(value) for name, value in states.items()}

    def take_in_order(self) -> tuple[Tensor, Tensor, Tensor]:
        """All logits, labels and rows of all processes, in the order of the rows; then reset."""
        seen = self.compute()
        rows = seen["rows"].reshape(-1)  # compute makes a scalar of a tensor with one element
        order = rows.argsort()
        self.reset()
        return seen["logits"].reshape(len(rows), -1)[order], seen["labels"].reshape(-1)[order], rows[order]


def classification_metrics(probabilities: Tensor, predicted: Tensor, labels: Tensor) -> dict[str, float]:
    """The figures of a split, without those that are undefined because a class is missing.

    With two classes precision, recall, F1, specificity and average precision are those of the second class. With more
    they are means over the classes, and so is the area under the ROC curve.

    Args:
        probabilities: float [N, classes].
        predicted: int64 [N].
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
        "acc": (predicted == labels).float().mean(),
        "ece": tm.multiclass_calibration_error(probabilities, labels, n_bins=CALIBRATION_BINS, **every),
    }
    if len(labels.unique()) == classes:
        figures["balanced_acc"] = tm.multiclass_recall(predicted, labels, average="macro", **every)
        figures["mcc"] = tm.multiclass_matthews_corrcoef(predicted, labels, **every)
        task, scores, options = "multiclass", probabilities, {**every, "average": "macro"}
        if classes == 2:
            task, scores, options = "binary", probabilities[:, 1], {}
        with warnings.catch_warnings():  # a class that is never predicted has a precision of 0 by convention
            warnings.simplefilter("ignore")
            for name, function in OF_LABELS.items():
                figures[name] = getattr(tm, f"{task}_{function}")(predicted, labels, **options)
            for name in ("auroc", "average_precision"):
                figures[name] = getattr(tm, f"{task}_{name}")(scores, labels, **options)
    return {name: float(value) for name, value in figures.items()}


def wilson_interval(share: float, rows: int, z: float = 1.96) -> tuple[float, float]:
    """95% confidence interval of a share of ``rows`` observations (Wilson 1927)."""
    middle = share + z * z / (2 * rows)
    spread = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)  # 0 and 1 despite rounding
