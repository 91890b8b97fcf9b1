"""How many labels are right if only the surest messages get one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.evaluation.coverage import (
    COVERAGES,
    at_coverage,
    coverage_curve,
    coverage_figures,
    most_with_accuracy,
)

MESSAGES = st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.7, 0.9, 0.99]), st.booleans()), min_size=1, max_size=30)


@given(MESSAGES)
def test_each_point_counts_the_messages_from_its_probability_on(messages: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(values) for values in zip(*messages, strict=True))
    curve = coverage_curve(confidence, right)
    assert len(curve) == len(set(confidence))
    assert curve[-1].messages == curve[-1].of == len(messages)
    for point in curve:
        sure = confidence >= point.least
        assert (point.messages, point.right) == (sure.sum(), right[sure].sum())
    for share in COVERAGES:
        point = at_coverage(curve, share)
        assert point.coverage >= share - 1e-9
        assert all(other.coverage < share for other in curve if other.messages < point.messages)


@given(MESSAGES, st.sampled_from([0.5, 0.8, 1.0]))
def test_most_messages_with_an_accuracy(messages: list[tuple[float, bool]], accuracy: float) -> None:
    confidence, right = (np.array(values) for values in zip(*messages, strict=True))
    numbers = [
        (confidence >= least).sum() for least in set(confidence) if right[confidence >= least].mean() >= accuracy
    ]
    found = most_with_accuracy(coverage_curve(confidence, right), accuracy)
    assert (found.messages if found else 0) == max(numbers, default=0)


def test_figures() -> None:
    confidence = np.linspace(0.5, 1, 20)
    right = confidence > 0.55  # the two least sure are wrong
    everything, surest, surer, _ = coverage_figures(confidence, right)
    assert everything["acc"] == 0.9
    assert everything["least_probability"] == 0
    assert (surest["messages"], surest["acc"]) == (19, pytest.approx(18 / 19))
    assert (surer["messages"], surer["acc"]) == (18, 1.0)
    assert surer["acc_interval"][0] < 1
