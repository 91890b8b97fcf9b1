"""The summary that a command prints: durations and the table of figures."""

from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.evaluation.summary import counts_table, metrics_table
from spam_classifier.evaluation.text_tables import duration

TRAIN = {"loss": 0.01234, "acc": 0.97211, "acc_interval": [0.96, 0.98], "messages": 1045}
VALIDATION = {"loss": 12.5, "acc": 1.0, "acc_interval": [0.97, 1.0], "messages": 149}


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
