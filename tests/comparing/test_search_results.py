"""The picture of a search."""

import math

from optuna.distributions import CategoricalDistribution, FloatDistribution

from spam_classifier.comparing.search_results import LOSS, draw_search

SPACE = {
    "model.learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
    "trainer.gradient_clip_val": CategoricalDistribution([None, 1.0]),
}


def record(number: int, state: str, loss: float | None, rate: float = 1e-3, clip: float | None = None) -> dict:
    return {
        "trial": number,
        "state": state,
        LOSS: loss,
        "model.learning_rate": rate,
        "trainer.gradient_clip_val": clip,
    }


def test_each_setting_has_a_panel_and_the_lowest_loss_a_line() -> None:
    records = [
        record(0, "complete", 0.5),
        record(1, "pruned", 0.7, clip=1.0),
        record(2, "failed", None),
        record(3, "complete", 0.4, rate=1e-4, clip=1.0),
        record(4, "complete", 0.6),
    ]
    whole, rates, clips = draw_search(records, SPACE).axes
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in whole.get_lines()}
    assert lines["complete"] == ([0, 3, 4], [0.5, 0.4, 0.6])
    assert lines["pruned or failed, lowest until then"] == ([1], [0.7])
    assert lines["lowest of the complete ones"] == ([0, 3, 4, 4], [0.5, 0.4, 0.4, 0.4])
    assert [axes.get_title(loc="left") for axes in (rates, clips)] == ["learning_rate", "gradient_clip_val"]
    assert list(clips.get_lines()[0].get_xdata()) == [0, 1, 0]
    assert [label.get_text() for label in clips.get_xticklabels()] == ["None", "1.0"]
    assert math.isclose(rates.get_lines()[0].get_xdata()[1], 1e-4)


def test_a_search_without_a_loss_has_empty_panels() -> None:
    assert len(draw_search([record(0, "failed", None)], SPACE).axes) == 3
