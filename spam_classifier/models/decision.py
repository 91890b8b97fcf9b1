"""From logits to a label: a temperature calibrates the probabilities, a threshold chooses the label.

Both are fitted on validation messages. With two classes the second one is the positive class (spam).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from typing_extensions import override

from spam_classifier.errors import UserError

HIGHEST = 20.0  # temperature, in units of the logits' mean size
LOWEST = 1e-3


class Decision(nn.Module):
    """A temperature and a threshold, saved in the checkpoint with the weights."""

    temperature: Tensor  # divides the logits, float []
    threshold: Tensor  # lowest probability of the positive class for its label, float []; used with two classes only
    fitted_step: Tensor  # optimizer step of the weights that both were fitted to, int64 []; -1 if not fitted

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.tensor(1.0))
        self.register_buffer("threshold", torch.tensor(0.5))
        self.register_buffer("fitted_step", torch.tensor(-1))

    def fit(self, logits: Tensor, labels: Tensor, rule: float | str, max_false_positive_rate: float, step: int) -> None:
        """Choose the temperature, and with two classes the threshold, from float [N, classes] and int64 [N].

        The rule is the threshold itself, ``best_f1`` (the highest F1), or ``max_fpr`` (the lowest threshold at which at
        most ``max_false_positive_rate`` of the negatives count as positive). ``step`` is that of the weights.
        """
        logits, labels = logits.detach().cpu(), labels.cpu()  # not every device has float64
        temperature = fit_temperature(logits, labels)
        self.temperature.fill_(temperature)
        self.fitted_step.fill_(step)
        if not isinstance(rule, str):
            self.threshold.fill_(rule)
            return
        scores, positive = (logits / temperature).softmax(-1)[:, 1], labels == 1
        if bool(positive.all()) or not bool(positive.any()):
            raise UserError(
                f"--model.threshold {rule} needs validation messages of both classes: set --data.stratify true, "
                "evaluate the whole split, or give a number"
            )
        if rule == "best_f1":
            self.threshold.fill_(best_f1_threshold(scores, positive))
        else:
            self.threshold.fill_(threshold_by_false_positives(scores, positive, max_false_positive_rate))

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Decision":
        # .to() moves both but keeps them float32: rounding to bf16 could flip labels near the threshold
        exact = (self.temperature, self.threshold)
        super()._apply(fn, recurse)
        self.temperature, self.threshold = (value.to(self.threshold.device) for value in exact)
        return self

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities of logits, float [N, classes] to the same."""
        return (logits.float() / self.temperature).softmax(-1)

    def log_odds(self, logits: Tensor, label: int) -> Tensor:
        """Calibrated log-odds of a class against all others, float [N], from logits float [N, classes]."""
        scores = logits.float() / self.temperature
        others = torch.cat([scores[:, :label], scores[:, label + 1 :]], dim=1)
        return scores[:, label] - others.logsumexp(-1)

    def decide(self, probabilities: Tensor) -> Tensor:
        """The predicted class, int64 [N], from probabilities float [N, classes], on whichever device they are."""
        if probabilities.shape[1] == 2:
            return (probabilities[:, 1] >= self.threshold.to(probabilities.device)).long()
        return probabilities.argmax(-1)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature with the lowest cross-entropy (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Cross-entropy is convex in the inverse temperature, so its slope has one root, found by bisection. If every message
    is classified correctly the slope has no root, and the temperature stays 1.
    """
    logits = logits.double()
    true = logits.gather(1, labels[:, None])

    def slope(inverse: float) -> float:
        return float(((inverse * logits).softmax(-1) * (logits - true)).sum(-1).mean())

    size = float((logits - logits.mean(-1, keepdim=True)).abs().mean())
    if not bool((logits > true).any()) or not size > 0:
        return 1.0
    low, high = 1 / (HIGHEST * size), 1 / (LOWEST * size)
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / high


def best_f1_threshold(scores: Tensor, positive: Tensor) -> float:
    """The threshold with the highest F1, midway between two scores; on a tie the one nearest to 0.5.

    The scores are probabilities of the positive class, float32 [N]; bool [N] says which messages are positive.
    """
    scores, order = scores.sort(descending=True)
    found = positive[order].cumsum(0)  # true positives with the cut below each score
    taken = torch.arange(1, len(scores) + 1, device=scores.device)
    f1 = 2 * found / (taken + positive.sum())
    below = torch.cat([scores[1:], scores.new_zeros(1)])
    f1[:-1][scores[:-1] == scores[1:]] = -1  # no cut between equal scores
    thresholds = (scores + below) / 2
    thresholds = torch.where(thresholds > below, thresholds, scores)  # no float lies between adjacent floats
    best = thresholds[f1 == f1.max()]
    return float(best[(best - 0.5).abs().argmin()])


def threshold_by_false_positives(scores: Tensor, positive: Tensor, rate: float) -> float:
    """The lowest threshold at which at most this share of the negatives counts as positive."""
    negatives = scores[~positive].sort(descending=True).values
    allowed = int(rate * len(negatives) + 1e-9)  # 0.29 * 100 is less than 29 in floats
    if allowed >= len(negatives):
        return 0.0
    limit = negatives[allowed]  # the first negative that must stay below the threshold
    above = scores[scores > limit]
    middle = (limit + (above.min() if len(above) else 1)) / 2
    return float(middle if middle > limit else torch.nextafter(limit, torch.tensor(2.0)))
