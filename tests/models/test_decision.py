"""Temperature and threshold against exhaustive search."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch._subclasses.fake_tensor import FakeTensorMode

from spam_classifier.errors import UserError
from spam_classifier.models.decision import Decision, best_f1_threshold, fit_temperature, threshold_by_false_positives

SCORED = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1, max_size=30)


def unpack(scored: list[tuple[float, bool]]) -> tuple[torch.Tensor, torch.Tensor]:
    scores, positive = zip(*scored, strict=True)
    return torch.tensor(scores), torch.tensor(positive)


@given(SCORED.filter(lambda scored: any(positive for _, positive in scored)))
def test_no_threshold_has_a_higher_f1(scored: list[tuple[float, bool]]) -> None:
    scores, positive = unpack(scored)

    def f1(threshold: float) -> float:
        return f1_score(positive, scores >= torch.tensor(threshold), zero_division=0)

    assert f1(best_f1_threshold(scores, positive)) == pytest.approx(max(map(f1, {*scores.tolist(), 0.0})))


@given(SCORED, st.integers(0, 10).map(lambda n: n / 10))
def test_false_positives_stay_within_the_rate_and_no_lower_threshold_does(
    scored: list[tuple[float, bool]], rate: float
) -> None:
    scores, positive = unpack(scored)
    negatives = int((~positive).sum())

    def false_positives(threshold: float) -> int:
        return int(((scores >= torch.tensor(threshold)) & ~positive).sum())

    threshold = threshold_by_false_positives(scores, positive, rate)
    assert false_positives(threshold) <= rate * negatives + 1e-9
    lower = [score for score in scores.tolist() if score < threshold]
    if lower:
        assert false_positives(max(lower)) > int(rate * negatives)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("true_temperature", [0.5, 3.0])
def test_temperature_has_the_lowest_cross_entropy(classes: int, true_temperature: float) -> None:
    generator = torch.Generator().manual_seed(classes)
    logits = 2 * torch.randn(2000, classes, generator=generator)
    labels = torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)
    scaled = logits * true_temperature
    found = fit_temperature(scaled, labels)
    assert found == pytest.approx(true_temperature, rel=0.2)
    loss = F.cross_entropy(scaled.double() / found, labels)
    for other in (0.97 * found, 1.03 * found):
        assert F.cross_entropy(scaled.double() / other, labels) > loss


@pytest.mark.parametrize("scale", [0.01, 0.3, 10.0])
def test_temperature_grows_with_the_logits(scale: float) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(200, 2, generator=generator)
    labels = torch.multinomial((4 * logits).softmax(-1), 1, generator=generator).squeeze(1)
    assert fit_temperature(scale * logits, labels) == pytest.approx(scale * fit_temperature(logits, labels), rel=1e-4)
    without_mistakes = logits.argmax(-1)
    assert fit_temperature(logits, without_mistakes) == 1.0


@pytest.mark.parametrize("rule", ["best_f1", "max_fpr"])
@pytest.mark.parametrize("label", [0, 1])
def test_a_rule_needs_both_classes(rule: str, label: int) -> None:
    with pytest.raises(UserError, match="needs validation messages of both classes"):
        Decision().fit(torch.randn(5, 2), torch.full((5,), label), rule, 0.01, step=0)


def test_calibration_changes_no_label_at_threshold_one_half() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(200, 2), torch.randint(0, 2, (200,))
    decision = Decision()
    decision.fit(logits, labels, 0.5, 0.01, step=0)
    assert float(decision.temperature) != 1.0
    assert torch.equal(decision.decide(decision.probabilities(logits)), logits.argmax(-1))


def test_decision_is_saved_with_the_weights() -> None:
    decision, restored = Decision(), Decision()
    logits = torch.tensor([[1.0, 0], [0, 1.0], [0.2, 0.0], [0.0, 0.1]])
    decision.fit(logits, torch.tensor([0, 1, 1, 0]), "best_f1", 0.01, step=7)
    restored.load_state_dict(decision.state_dict())
    assert float(restored.threshold) == float(decision.threshold) != 0.5
    assert int(restored.fitted_step) == 7
    assert float(restored.temperature) == float(decision.temperature)


def test_the_threshold_decides_between_two_classes_exactly_in_half_precision() -> None:
    decision = Decision()
    decision.threshold.fill_(0.9931)
    decision.to(torch.bfloat16)
    assert float(decision.threshold) == pytest.approx(0.9931, abs=1e-7)
    assert decision.decide(torch.tensor([[0.008, 0.992], [0.006, 0.994], [0.6, 0.4]])).tolist() == [0, 1, 0]
    assert decision.decide(torch.tensor([[0.1, 0.2, 0.7]])).tolist() == [2]


def test_threshold_leaves_room_on_both_sides() -> None:
    scores = torch.tensor([0.2, 0.4, 0.8])
    assert threshold_by_false_positives(scores, torch.tensor([False, False, True]), 0.0) == pytest.approx(0.6)
    assert threshold_by_false_positives(scores, torch.tensor([True, True, False]), 0.0) == pytest.approx(0.9)


def test_adjacent_scores_are_separated() -> None:
    high = torch.nextafter(torch.tensor(0.9), torch.tensor(1.0))
    scores, positive = torch.stack([torch.tensor(0.9), high]), torch.tensor([False, True])
    for threshold in (best_f1_threshold(scores, positive), threshold_by_false_positives(scores, positive, 0.0)):
        assert (scores >= torch.tensor(threshold)).tolist() == [False, True]
    assert threshold_by_false_positives(torch.tensor([1.0]), torch.tensor([False]), 0.0) > 1


def test_a_threshold_on_a_gpu_decides_probabilities_on_the_cpu() -> None:
    with FakeTensorMode():  # knows devices that this machine lacks
        decision = Decision()
        decision.threshold = torch.tensor(0.5, device="cuda")
        assert decision.decide(torch.rand(3, 2)).device.type == "cpu"
