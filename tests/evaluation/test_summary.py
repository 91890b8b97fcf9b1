"""The summary that a command prints: durations, the table of figures, and that of the most confident mistakes."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.summary import counts_table, metrics_table, mistakes_table
from spam_classifier.evaluation.text_tables import duration

TRAIN = {"loss": 0.01234, "acc": 0.97211, "acc_interval": [0.96, 0.98], "messages": 1045}
VALIDATION = {"loss": 12.5, "acc": 1.0, "acc_interval": [0.97, 1.0], "messages": 149}
TEXTS = ["right", "win \x1b[31m now " * 20, "日本語" * 40, "short", "sure"]


def test_durations() -> None:
    said = [duration(seconds) for seconds in (0.4, 59.6, 185, 3599.9, 90000)]
    assert said == ["0 s", "1 min 0 s", "3 min 5 s", "1 h 0 min", "25 h 0 min"]


@given(st.floats(0, 1e6))
def test_duration_is_rounded_to_its_last_unit(seconds: float) -> None:
    words = duration(seconds).split()
    units = {"s": 1, "min": 60, "h": 3600}
    said = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(said - seconds) <= (0.5 if seconds < 3599 else 60)


def test_metrics_table_has_a_line_for_each_split() -> None:
    table = metrics_table({"train": {**TRAIN, "f1": 0.9, "precision": 0.8, "recall": 1.0}, "validation": VALIDATION})
    assert table.splitlines() == [
        "split       messages  accuracy       95% interval      F1  precision   recall     loss",
        "train          1,045    97.21%   96.00% to 98.00%  90.00%     80.00%  100.00%   0.0123",
        "validation       149   100.00%  97.00% to 100.00%       -          -        -  12.5000",
    ]


def test_counts_of_two_classes_and_of_more() -> None:
    assert counts_table([[8, 2], [0, 1200]], ["ham", "spam"]).splitlines() == [
        "label  predicted ham  predicted spam",
        "ham                8               2",
        "spam               0           1,200",
    ]
    assert counts_table([[3, 0, 1], [0, 2, 0], [1, 1, 4]], ["a", "b", "c"]).splitlines() == [
        "label  messages  right  predicted",
        "a             4      3          4",
        "b             2      2          3",
        "c             6      4          5",
    ]


def predictions(probabilities: list[list[float]], labels: list[int]) -> Predictions:
    rows = torch.tensor(probabilities)
    return Predictions(torch.arange(len(rows)), torch.tensor(labels), rows.log(), rows, rows.argmax(dim=1))


def test_the_most_confident_come_first_cut_to_the_width_and_escaped() -> None:
    spam = [0.1, 0.2, 0.7, 0.6, 0.99]
    table = mistakes_table(predictions([[1 - p, p] for p in spam], [0, 1, 0, 0, 0]), TEXTS, ["ham", "spam"], 60)
    header, *lines = table.splitlines()
    assert header == "label  predicted  P(spam)  text"
    assert [line.split()[:3] for line in lines] == [
        ["ham", "spam", "0.9900"],
        ["spam", "ham", "0.2000"],
        ["ham", "spam", "0.7000"],
    ]
    assert all(line.isprintable() and len(line) < 60 for line in lines)
    assert "\\x1b[31m" in lines[1]
    assert lines[1].endswith("…")


def test_without_a_mistake_there_is_no_table() -> None:
    assert mistakes_table(predictions([[0.9, 0.1], [0.2, 0.8]], [0, 1]), TEXTS, ["ham", "spam"], 60) == ""


def test_of_more_classes_the_probability_is_that_of_the_predicted_one() -> None:
    table = mistakes_table(predictions([[0.2, 0.7, 0.1]], [0]), TEXTS, ["a", "b", "c"], 60)
    assert table.splitlines() == ["label  predicted  probability  text", "a      b               0.7000  right"]
