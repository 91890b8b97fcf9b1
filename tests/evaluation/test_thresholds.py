"""The price of thresholds."""

import pandas as pd

from spam_classifier.evaluation.thresholds import THRESHOLDS, fitted_on_few, threshold_rows


def test_rows_count_what_each_threshold_finds_and_takes() -> None:
    labels = ["ham", "ham", "ham", "ham", "spam", "spam"]
    table = pd.DataFrame({"label": labels, "probability_spam": [0.02, 0.3, 0.6, 0.1, 0.6, 0.93]})
    rows = {row["threshold"]: row for row in threshold_rows({"test": table}, ["ham", "spam"], 0.6)}
    assert sorted(rows) == sorted([*THRESHOLDS, 0.6])
    assert rows[0.6]["test"] == {"found": 1.0, "taken": 1, "taken_share": 0.25, "precision": 2 / 3}
    assert rows[0.99]["test"] == {"found": 0.0, "taken": 0, "taken_share": 0.0, "precision": None}
    assert [threshold for threshold, row in rows.items() if row["own"]] == [0.6]
    assert len(threshold_rows({"test": table}, ["ham", "spam"], 0.501)) == len(THRESHOLDS)  # too near to 0.5


def test_a_rule_fitted_on_few_messages_is_told() -> None:
    classes = ["ham", "spam"]
    figures = {"threshold_rule": "max_fpr", "confusion": [[2, 1], [9, 50]]}
    assert fitted_on_few(figures, classes) == [
        "--model.threshold max_fpr was fitted on few validation messages, 3 of class 'ham', and may do worse on "
        "others: raise --data.validation_fraction, add messages, or set --model.threshold 0.5"
    ]
    (both,) = fitted_on_few(figures | {"confusion": [[49, 0], [0, 1]]}, classes)
    assert "messages, 49 of class 'ham' and 1 of class 'spam', and" in both
    assert fitted_on_few(figures | {"confusion": [[49, 1], [0, 50]]}, classes) == []
    for fixed in (0.5, None):
        assert fitted_on_few(figures | {"threshold_rule": fixed}, classes) == []
