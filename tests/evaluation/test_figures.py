"""The figures that go into metrics.json."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.evaluation import figures
from spam_classifier.evaluation.figures import at_natural_shares, left_over_figures, split_figures
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.runs.metrics import read_metrics, update_metrics


def predictions(labels: list[int], predicted: list[int], classes: int = 2) -> Predictions:
    probabilities = torch.full((len(labels), classes), 0.2 / (classes - 1))
    probabilities[torch.arange(len(labels)), torch.tensor(predicted)] = 0.8
    rows = torch.arange(len(labels))
    return Predictions(rows, torch.tensor(labels), probabilities.log(), probabilities, torch.tensor(predicted))


def test_a_split_is_counted() -> None:
    found = split_figures(predictions([0, 0, 0, 1, 1], [0, 0, 1, 1, 0]))
    assert (found["messages"], found["confusion"]) == (5, [[2, 1], [1, 1]])
    assert found["acc"] == pytest.approx(0.6)
    assert found["acc_interval"][0] < 0.6 < found["acc_interval"][1]
    assert (found["false_positives"]["hits"], found["false_positives"]["messages"]) == (1, 3)
    assert found["log_loss"] == pytest.approx(-(3 * math.log(0.8) + 2 * math.log(0.2)) / 5)


def test_left_over_messages_are_of_some_classes_only() -> None:
    found = left_over_figures(predictions([0] * 8, [0] * 6 + [1] * 2))
    assert found["false_positives"]["share"] == found["errors"]["share"] == 0.25
    assert "false_positives" not in left_over_figures(predictions([0, 1], [0, 2], classes=3))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 300))
def test_natural_shares_use_as_many_messages_as_possible(ham: int, spam: int, more_ham: int) -> None:
    test = predictions([0] * ham + [1] * spam, [0] * (ham + spam))
    left_over = predictions([0] * more_ham, [0] * more_ham) if more_ham else figures.part_of(test, test.labels > 1)
    natural = at_natural_shares(test, left_over, [0.75, 0.25])
    counts = torch.bincount(natural.labels, minlength=2).tolist()
    assert counts[0] <= ham + more_ham
    assert counts[1] <= spam
    assert abs(counts[0] - 3 * counts[1]) <= 2.5  # rounded to whole messages
    assert counts[0] >= ham + more_ham - 1 or counts[1] >= spam - 1


def test_natural_shares_are_independent_of_the_order_of_the_file() -> None:
    test, left_over = predictions([0, 1], [0, 1]), predictions([0] * 100, [0] * 50 + [1] * 50)  # errors at its end
    natural = at_natural_shares(test, left_over, [0.95, 0.05])
    wrong = natural.predicted[natural.labels == 0] == 1
    assert len(wrong) == 19
    assert 4 <= int(wrong.sum()) <= 15
    again = at_natural_shares(test, left_over, [0.95, 0.05])
    assert torch.equal(natural.rows, again.rows)


def test_changed_labels_are_counted() -> None:
    changed = figures.changed_labels(predictions([0, 1, 1], [0, 1, 0]), predictions([0, 1, 1], [1, 1, 1]))
    assert (changed["hits"], changed["messages"]) == (2, 3)


def test_metrics_file_keeps_what_is_not_replaced(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == {}
    update_metrics(tmp_path, {"train": {"loss": float("nan")}, "validation": {"acc": 1.0}})
    update_metrics(tmp_path, {"train": {"loss": 0.5, "share": (1, float("inf"))}})
    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text) == {"train": {"loss": 0.5, "share": [1, None]}, "validation": {"acc": 1.0}}
    assert read_metrics(tmp_path) == json.loads(text)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]
    update_metrics(tmp_path, {"train": 1}, outdated=("validation", "unknown"))
    assert read_metrics(tmp_path) == {"train": 1}
