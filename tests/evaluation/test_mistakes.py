"""The table of the most confident mistakes."""

import torch

from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.mistakes import mistakes_table

TEXTS = ["right", "win \x1b[31m now " * 20, "日本語" * 40, "short", "sure"]


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
