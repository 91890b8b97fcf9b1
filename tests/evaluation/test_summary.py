"""The tables, durations and metrics.json that close a command."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.evaluation.summary import duration, metrics_table, two_columns, update_metrics_file

FIGURES = {"train": {"loss": 0.01234, "acc": 0.97211}, "validation": {"loss": 12.5, "acc": 1.0}}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (48.2, "48 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.4, "59 min 59 s"),
        (3599.9, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@given(st.floats(0, 1e6))
def test_duration_says_the_seconds_it_was_given(seconds: float) -> None:
    words = duration(seconds).split()
    units = {"s": 1, "min": 60, "h": 3600}
    said = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(said - seconds) <= (0.5 if seconds < 3599 else 60)


def test_two_columns_align_values_and_their_further_lines() -> None:
    assert two_columns({"time": "3 s", "checkpoint": "best.ckpt", "next": "train\ntest"}) == (
        "time        3 s\ncheckpoint  best.ckpt\nnext        train\n            test"
    )


def test_metrics_table_has_a_line_for_each_split() -> None:
    header, *lines = metrics_table(FIGURES).splitlines()
    assert header.split() == ["loss", "accuracy"]
    assert [line.split() for line in lines] == [["train", "0.0123", "97.21%"], ["validation", "12.5000", "100.00%"]]


def test_metrics_table_is_aligned_on_the_right() -> None:
    assert len({len(line) for line in metrics_table(FIGURES).splitlines()}) == 1


def test_metrics_file_keeps_other_splits(tmp_path: Path) -> None:
    update_metrics_file(tmp_path, FIGURES, checkpoint="run/checkpoints/best-epoch1.ckpt")
    update_metrics_file(tmp_path, {"train": {"loss": 0.5, "acc": 0.75}}, checkpoint="last.ckpt")
    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text) == {
        "train": {"loss": 0.5, "acc": 0.75, "checkpoint": "last.ckpt"},
        "validation": {**FIGURES["validation"], "checkpoint": "best-epoch1.ckpt"},
    }
    assert text.endswith("}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]
