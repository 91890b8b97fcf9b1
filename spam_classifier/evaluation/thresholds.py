"""The price of a threshold: how much of the second class it finds, and how much of the first it takes for it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spam_classifier.evaluation.predictions import PREFIX

FEW = 50  # messages of a class: of a share of 0 in 50 the 95 % interval reaches to 7 %
THRESHOLDS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def threshold_rows(splits: Mapping[str, pd.DataFrame], classes: Sequence[str], own: float) -> list[dict[str, Any]]:
    """What thresholds cost on each split, by its predictions, and which of them is the model's own.

    Each split has both classes. A row for each threshold, rising: ``threshold``, ``own``, and by the split's name
    ``found`` (share of the second class), ``taken`` (number of the first class taken for the second), ``taken_share``
    and ``precision`` (None if nothing is labelled as the second class).
    """
    rows: list[dict[str, Any]] = []
    near = [threshold for threshold in THRESHOLDS if abs(threshold - own) >= 0.005]
    for threshold in sorted([*near, own]):
        row: dict[str, Any] = {"threshold": threshold, "own": threshold == own}
        for name, table in splits.items():
            above = table[PREFIX + classes[1]].to_numpy() >= threshold
            is_second = (table["label"] == classes[1]).to_numpy()
            hits, false = int(np.sum(above & is_second)), int(np.sum(above & ~is_second))
            row[name] = {
                "found": hits / int(is_second.sum()),
                "taken": false,
                "taken_share": false / int((~is_second).sum()),
                "precision": hits / (hits + false) if hits + false else None,
            }
        rows.append(row)
    return rows


def fitted_on_few(validation: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """A sentence if a rule chose the threshold on few messages of a class of the validation split, with what to do."""
    rule = validation["threshold_rule"]
    counts = dict(zip(classes, map(sum, validation["confusion"]), strict=True))
    few = " and ".join(f"{count} of class {label!r}" for label, count in counts.items() if count < FEW)
    if not isinstance(rule, str) or not few:
        return []
    return [
        f"--model.threshold {rule} was fitted on few validation messages, {few}, and may do worse on others: raise "
        "--data.validation_fraction, add messages, or set --model.threshold 0.5"
    ]
