"""The figures equal scikit-learn's on the same predictions."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from spam_classifier.evaluation.metrics import SeenLogits, classification_metrics, wilson_interval


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy in bins of equal width, weighted by their messages."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    error = 0.0
    for low in np.arange(bins) / bins:
        chosen = (confidence > low) & (confidence <= low + 1 / bins)
        if chosen.any():
            error += chosen.mean() * abs(confidence[chosen].mean() - right[chosen].mean())
    return error


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_figures_equal_scikit_learns(classes: int, threshold: float) -> None:
    generator = torch.Generator().manual_seed(classes)
    probabilities = torch.randn(501, classes, generator=generator).softmax(-1)
    labels = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
    predicted = (probabilities[:, 1] >= threshold).long() if classes == 2 else probabilities.argmax(-1)
    found = classification_metrics(probabilities, predicted, labels)

    y, decided, p = labels.numpy(), predicted.numpy(), probabilities.double().numpy()
    p /= p.sum(1, keepdims=True)
    average = "binary" if classes == 2 else "macro"
    confusion = sk.confusion_matrix(y, decided)
    negatives = confusion.sum() - confusion.sum(0) - confusion.sum(1) + confusion.diagonal()
    specificity = negatives / (confusion.sum() - confusion.sum(1))
    expected = {
        "acc": sk.accuracy_score(y, decided),
        "balanced_acc": sk.balanced_accuracy_score(y, decided),
        "precision": sk.precision_score(y, decided, average=average),
        "recall": sk.recall_score(y, decided, average=average),
        "f1": sk.f1_score(y, decided, average=average),
        "specificity": specificity[1] if classes == 2 else specificity.mean(),
        "auroc": sk.roc_auc_score(y, p[:, 1]) if classes == 2 else sk.roc_auc_score(y, p, multi_class="ovr"),
        "average_precision": sk.average_precision_score(y, p[:, 1])
        if classes == 2
        else sk.average_precision_score(np.eye(classes)[y], p),
        "mcc": sk.matthews_corrcoef(y, decided),
        "ece": expected_calibration_error(p, y),
    }
    assert found == pytest.approx(expected, abs=1e-5)


def test_undefined_figures_are_left_out() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]])
    found = classification_metrics(probabilities, probabilities.argmax(-1), torch.tensor([0, 0, 0]))
    assert set(found) == {"acc", "ece"}
    assert found["acc"] == pytest.approx(2 / 3)
    one = classification_metrics(probabilities[:1], torch.tensor([0]), torch.tensor([0]))
    assert one == {"acc": 1.0, "ece": pytest.approx(0.1)}


def test_wilson_interval_of_the_books_test_split() -> None:
    low, high = wilson_interval(0.95, 300)
    assert (low, high) == (pytest.approx(0.9192, abs=1e-4), pytest.approx(0.9694, abs=1e-4))
    assert wilson_interval(1.0, 10)[1] == pytest.approx(1)
    assert wilson_interval(0.0, 281)[0] == 0


def test_logits_come_back_in_the_order_of_the_rows() -> None:
    seen = SeenLogits()
    for rows in ([4, 0], [2], [3, 1]):
        index = torch.tensor(rows)
        seen.update(torch.stack([index, -index], 1), index % 2, index)
    logits, labels, rows = seen.take_in_order()
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert logits[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert labels.tolist() == [0, 1, 0, 1, 0]
    seen.update(torch.tensor([[1.0, 2.0]]), torch.tensor([1]), torch.tensor([7]))
    assert [part.tolist() for part in seen.take_in_order()] == [[[1.0, 2.0]], [1], [7]]
