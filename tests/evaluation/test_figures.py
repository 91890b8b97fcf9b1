"""The figures that go into metrics.json."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.evaluation.figures import (
    at_natural_shares,
    changed_verdicts,
    left_over_figures,
    part_of,
    split_figures,
)
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.runs.metrics import read_metrics, update_metrics


def predictions(labels: list[int], verdicts: list[int], classes: int = 2) -> Predictions:
    probabilities = torch.full((len(labels), classes), 0.2 / (classes - 1))
    probabilities[torch.arange(len(labels)), torch.tensor(verdicts)] = 0.8
    rows = torch.arange(len(labels))
    return Predictions(rows, torch.tensor(labels), probabilities.log(), probabilities, torch.tensor(verdicts))


def test_a_split_is_counted() -> None:
    figures = split_figures(predictions([0, 0, 0, 1, 1], [0, 0, 1, 1, 0]))
    assert figures["messages"] == 5
    assert figures["confusion"] == [[2, 1], [1, 1]]
    assert figures["acc"] == pytest.approx(0.6)
    low, high = figures["acc_interval"]
    assert low < 0.6 < high
    assert figures["false_positives"]["hits"] == 1
    assert figures["false_positives"]["messages"] == 3
    expected = -(3 * torch.tensor(0.8).log() + 2 * torch.tensor(0.2).log()) / 5
    assert figures["log_loss"] == pytest.approx(float(expected))


def test_left_over_messages_are_of_some_classes_only() -> None:
    figures = left_over_figures(predictions([0] * 8, [0] * 6 + [1] * 2))
    assert figures["false_positives"]["share"] == figures["errors"]["share"] == 0.25
    assert "false_positives" not in left_over_figures(predictions([0, 1], [0, 2], classes=3))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 300))
def test_natural_shares_are_met_with_as_many_messages_as_can_be(ham: int, spam: int, more_ham: int) -> None:
    test = predictions([0] * ham + [1] * spam, [0] * (ham + spam))
    left_over = predictions([0] * more_ham, [0] * more_ham) if more_ham else part_of(test, test.labels > 1)
    natural = at_natural_shares(test, left_over, [0.75, 0.25])
    counts = torch.bincount(natural.labels, minlength=2).tolist()
    assert counts[0] <= ham + more_ham
    assert counts[1] <= spam
    assert abs(counts[0] - 3 * counts[1]) <= 2.5  # rounded to whole messages
    assert counts[0] >= ham + more_ham - 1 or counts[1] >= spam - 1


def test_natural_shares_do_not_hang_on_the_order_of_the_file() -> None:
    test, left_over = predictions([0, 1], [0, 1]), predictions([0] * 100, [0] * 50 + [1] * 50)  # errors at its end
    natural = at_natural_shares(test, left_over, [0.95, 0.05])
    wrong = natural.verdicts[natural.labels == 0] == 1
    assert len(wrong) == 19
    assert 4 <= int(wrong.sum()) <= 15
    again = at_natural_shares(test, left_over, [0.95, 0.05])
    assert torch.equal(natural.rows, again.rows)


def test_changed_verdicts_are_counted() -> None:
    changed = changed_verdicts(predictions([0, 1, 1], [0, 1, 0]), predictions([0, 1, 1], [1, 1, 1]))
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
