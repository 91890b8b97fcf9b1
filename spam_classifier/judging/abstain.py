"""The flag ``--abstain``: below which probability no label is given."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spam_classifier.errors import UserError
from spam_classifier.runs.find import run_directory
from spam_classifier.runs.metrics import read_metrics

UNSURE = "unsure"  # on a screen, in place of the label
HELP = (
    "give no label that is less probable than this, as in 0.9; or, as in 99%%, than the probability from which so many "
    "labels are right on the validation split (default: label all)"
)


class Abstain(NamedTuple):
    """The flag as it was typed, and its value: a probability, or the accuracy that the labels are to have."""

    typed: str
    value: float
    is_accuracy: bool


def abstain(text: str) -> Abstain:
    """The value of the flag, for argparse."""
    share = text.removesuffix("%")
    try:
        value = float(share) / (100 if share != text else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: give a probability, as in 0.9, or an accuracy, as in 99%")
    return Abstain(text, value, share != text)


def least_probability(
    wanted: Abstain, checkpoint: Path, classes: Sequence[str], threshold: float | None
) -> tuple[float, str]:
    """The probability that the flag asks for, and a note on what it does on the run's validation split."""
    run = run_directory(checkpoint)
    evaluated = read_metrics(run).get("validation", {}).get("checkpoint")
    if evaluated != checkpoint.name:
        if not wanted.is_accuracy:
            return wanted.value, f"below {wanted.value:g} no label is given"
        raise UserError(
            f"--abstain {wanted.typed} is chosen on the validation split, and {run} holds no predictions of it by "
            f"{checkpoint.name}: run validate first, or give a probability, as in --abstain 0.9"
        )
    from spam_classifier.evaluation.coverage import Labelled, coverage_curve, most_with_accuracy
    from spam_classifier.evaluation.predictions import label_confidence, predictions_path, read_predictions
    from spam_classifier.evaluation.text_tables import interval, percent

    confidence, right = label_confidence(read_predictions(predictions_path(run, "validation")), classes, threshold)
    if wanted.is_accuracy:
        curve = coverage_curve(confidence, right)
        found = most_with_accuracy(curve, wanted.value)
        if found is None:
            best = max(curve, key=lambda point: (point.accuracy, point.messages))
            raise UserError(
                f"--abstain {wanted.typed}: on the validation split at most {percent(best.accuracy)} of the labels are "
                f"right, those of the surest {best.messages:,} messages: give a lower accuracy"
            )
        point = found
    else:
        sure = confidence >= wanted.value
        point = Labelled(wanted.value, int(sure.sum()), len(right), int(right[sure].sum()))
    said = f"below {point.least:.4g} no label is given: {point.messages:,} of {point.of:,} validation messages get one"
    if point.messages:
        said += f", {percent(point.accuracy)} of them rightly (95% interval {interval(point.interval)})"
    return point.least, said
