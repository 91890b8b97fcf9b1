"""Confident learning against values that were computed by hand."""

import numpy as np
import pytest

from spam_classifier.evaluation.confident_learning import (
    NONE,
    calibrated_joint,
    class_thresholds,
    self_confidence,
    share_interval,
    share_wrong,
    suggested_labels,
)


def of_two(second: list[float]) -> np.ndarray:
    """Probabilities of two classes, from those of the second."""
    return np.stack([1 - np.array(second), second], axis=1)


def learned(labels: np.ndarray, probabilities: np.ndarray) -> tuple[list[int], np.ndarray]:
    suggested = suggested_labels(probabilities, class_thresholds(labels, probabilities))
    return suggested.tolist(), calibrated_joint(labels, suggested, probabilities.shape[1])


def test_two_classes() -> None:
    labels, probabilities = np.array([0, 0, 0, 0, 1, 1]), of_two([0.1, 0.2, 0.3, 0.9, 0.8, 0.6])
    assert class_thresholds(labels, probabilities) == pytest.approx([(0.9 + 0.8 + 0.7 + 0.1) / 4, 0.7])
    suggested, joint = learned(labels, probabilities)
    assert suggested == [0, 0, 0, 1, 1, NONE]  # 0.6 and 0.4 are below 0.7 and 0.625
    # given 0: three and one, which are four; given 1: one, which counts for two
    assert joint == pytest.approx(np.array([[3, 1], [0, 2]]) / 6)
    assert share_wrong(joint) == pytest.approx(1 / 6)
    assert self_confidence(labels, probabilities).argmin() == 3


def test_three_classes() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    probabilities = np.array(
        [
            [0.8, 0.1, 0.1],
            [0.6, 0.3, 0.1],
            [0.1, 0.2, 0.7],
            [0.2, 0.7, 0.1],
            [0.4, 0.5, 0.1],
            [0.1, 0.1, 0.8],
            [0.1, 0.8, 0.1],
            [0.2, 0.2, 0.6],
        ]
    )
    assert class_thresholds(labels, probabilities) == pytest.approx([0.5, 0.6, 0.5])
    suggested, joint = learned(labels, probabilities)
    assert suggested == [0, 0, 2, 1, NONE, 2, 1, 2]
    assert joint == pytest.approx(np.array([[2, 0, 1], [0, 2, 0], [0, 1, 2]]) / 8)
    assert share_wrong(joint) == pytest.approx(2 / 8)


def test_the_most_probable_class_above_its_threshold_is_suggested() -> None:
    assert suggested_labels(np.array([[0.55, 0.45]]), np.array([0.6, 0.4])).tolist() == [1]
    assert suggested_labels(np.array([[0.55, 0.45]]), np.array([0.5, 0.4])).tolist() == [0]


@pytest.mark.parametrize("second", [[0.0, 0.0, 1.0, 1.0], [0.1, 0.1, 0.7, 0.7]])
def test_no_errors(second: list[float]) -> None:
    labels, probabilities = np.array([0, 0, 1, 1]), of_two(second)
    suggested, joint = learned(labels, probabilities)
    assert suggested == labels.tolist()
    assert share_wrong(joint) == pytest.approx(0)
    assert share_interval(labels, probabilities, seed=1) == pytest.approx((0, 0))


def test_all_of_one_class_wrong() -> None:
    labels, probabilities = np.array([0, 0, 0, 1, 1]), of_two([0.1, 0.2, 0.1, 0.05, 0.05])
    suggested, joint = learned(labels, probabilities)
    assert suggested[3:] == [0, 0]
    assert joint[1] == pytest.approx([2 / 5, 0])


def test_a_class_without_a_sure_message_counts_as_right() -> None:
    joint = calibrated_joint(np.array([0, 0, 1]), np.array([0, 0, NONE]), 2)
    assert joint == pytest.approx(np.diag([2 / 3, 1 / 3]))


def test_the_interval_holds_the_share_and_is_seeded() -> None:
    draw = np.random.default_rng(1)
    truth = draw.integers(0, 3, size=600)
    labels = np.where(draw.random(600) < 0.1, (truth + 1) % 3, truth)
    probabilities = np.full((600, 3), 0.05)
    probabilities[np.arange(600), truth] = 0.9
    wrong = float((labels != truth).mean())
    assert share_wrong(learned(labels, probabilities)[1]) == pytest.approx(wrong)
    low, high = share_interval(labels, probabilities, seed=1)
    assert low < wrong < high
    assert high - low == pytest.approx(2 * 1.96 * (wrong * (1 - wrong) / 600) ** 0.5, rel=0.2)
    assert share_interval(labels, probabilities, seed=1) == (low, high)


def test_a_resample_without_a_class() -> None:
    labels, probabilities = np.array([0] * 30 + [1]), of_two([0.1] * 30 + [0.8])
    assert all(np.isfinite(share_interval(labels, probabilities, seed=1)))
