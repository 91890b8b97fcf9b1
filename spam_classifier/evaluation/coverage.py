"""No label where the classifier is unsure: how many messages are still labelled, and how many of the labels are right.

A label's confidence is its calibrated probability. The share that is labelled is called coverage (El-Yaniv and Wiener
2010, "On the Foundations of Noise-free Selective Classification"; Geifman and El-Yaniv 2017, "Selective Classification
for Deep Neural Networks").
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from spam_classifier.evaluation.metrics import wilson_interval

COVERAGES = (1.0, 0.95, 0.9, 0.8)


class Labelled(NamedTuple):
    """What is labelled from a least probability on."""

    least: float  # the probability
    messages: int  # how many messages are labelled,
    of: int  # of how many,
    right: int  # and how many of the labels are right

    @property
    def coverage(self) -> float:
        """The share that is labelled."""
        return self.messages / self.of

    @property
    def accuracy(self) -> float:
        """The share of the labels that is right."""
        return self.right / self.messages

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of the accuracy."""
        return wilson_interval(self.accuracy, self.messages)


def coverage_curve(confidence: np.ndarray, right: np.ndarray) -> list[Labelled]:
    """All that can be labelled, from the surest messages alone to all of them.

    ``confidence`` is the probability of each message's label, float [N], and ``right`` whether it is right, bool [N].
    """
    order = np.argsort(-confidence, kind="stable")
    surest, hits = confidence[order].astype(float), right[order].cumsum()
    ends = np.flatnonzero(np.append(surest[1:] < surest[:-1], True))  # equal ones are labelled together
    least = [*(surest[ends[:-1]] + surest[ends[:-1] + 1]) / 2, 0.0]  # midway to the next one; at last all
    return [
        Labelled(float(from_here), int(end) + 1, len(right), int(hits[end]))
        for from_here, end in zip(least, ends, strict=True)
    ]


def at_coverage(curve: Sequence[Labelled], share: float) -> Labelled:
    """The fewest messages that are at least this share, the surest ones."""
    return next(point for point in curve if point.messages >= share * point.of - 1e-9)


def most_with_accuracy(curve: Sequence[Labelled], accuracy: float) -> Labelled | None:
    """The most messages whose labels are right this often; None if there are none."""
    return max((point for point in curve if point.accuracy >= accuracy), key=lambda point: point.messages, default=None)


def coverage_figures(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """The figures at each of ``COVERAGES``, as metrics.json keeps them."""
    curve = coverage_curve(confidence, right)
    points = ((share, at_coverage(curve, share)) for share in COVERAGES)
    return [
        {
            "coverage": share,
            "least_probability": point.least,
            "messages": point.messages,
            "acc": point.accuracy,
            "acc_interval": list(point.interval),
        }
        for share, point in points
    ]
