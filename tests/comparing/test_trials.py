"""The picture of a search."""

import pytest

pytest.importorskip("optuna", reason="optuna is not installed")

from spam_classifier.comparing.trials import LOSS, draw_search


def record(number: int, state: str, loss: float | None) -> dict:
    return {"trial": number, "state": state, LOSS: loss}


def test_the_lowest_loss_so_far_has_a_line() -> None:
    losses = [("complete", 0.5), ("pruned", 0.7), ("failed", None), ("complete", 0.4), ("complete", 0.6)]
    (axes,) = draw_search([record(number, *trial) for number, trial in enumerate(losses)]).axes
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}
    assert lines["complete"] == ([0, 3, 4], [0.5, 0.4, 0.6])
    assert lines["pruned or failed, lowest until then"] == ([1], [0.7])
    assert lines["lowest of the complete ones"] == ([0, 3, 4, 4], [0.5, 0.4, 0.4, 0.4])


def test_a_search_without_a_loss_has_an_empty_picture() -> None:
    assert len(draw_search([record(0, "failed", None)]).axes) == 1
