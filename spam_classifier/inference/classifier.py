"""A trained classifier put to work: texts in, labels and probabilities out."""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spam_classifier.batch import batches_by_length
from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.errors import UserError
from spam_classifier.inference.word_influence import Occlusion, Part
from spam_classifier.models.packed_blocks import WORTH_PACKING
from spam_classifier.runs.find import checkpoint_of, read_checkpoint
from spam_classifier.training.module import SpamClassifier


class Prediction(NamedTuple):
    """What a classifier says of a text.

    Attributes:
        label: The class decided for.
        probability: Its calibrated probability.
        probabilities: Calibrated probability of each class, by its name.
        threshold: Probability from which the second of two classes was decided for; None with more classes.
        truncated: Whether a part of the text was left out, being longer than what the model was trained with.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    threshold: float | None
    truncated: bool


class Explanation(NamedTuple):
    """Which words pushed a classifier to what it says of a text.

    Attributes:
        prediction: What it says.
        label: The class that the influences speak of.
        parts: The parts of the text, end to end, with the influence of each on that class.
    """

    prediction: Prediction
    label: str
    parts: list[Part]


class Classifier:
    """A trained model and all it needs to judge texts; several threads may use it at once.

    Args:
        model: The model, restored from a checkpoint.
        checkpoint: The checkpoint.

    Attributes:
        labels: The classes in the order of their indices.
        max_length: Tokens that longer texts are cut to.
    """

    def __init__(self, model: SpamClassifier, checkpoint: Path) -> None:
        self.model = model.eval()
        self.checkpoint = checkpoint
        self.labels = model.label_names
        self.max_length = model.max_length

    @property
    def threshold(self) -> float | None:
        """Probability from which the second of two classes is decided for; None with more classes."""
        return float(self.model.decision.threshold) if len(self.labels) == 2 else None

    def predict(self, texts: Sequence[str], threshold: float | None = None) -> list[Prediction]:
        """Judge texts.

        Args:
            texts: The texts.
            threshold: Probability from which the second of two classes is decided for; default: the model's own.

        Returns:
            A prediction for each text, in their order.

        Raises:
            UserError: A text is empty, or a threshold is given and there are more than two classes.
        """
        self.check_threshold(threshold)
        messages = _encode(texts)
        return self.predictions(messages, self.probabilities_of(messages), threshold)

    def check_threshold(self, threshold: float | None) -> None:
        """Refuse a threshold where there are more than two classes.

        Raises:
            UserError: There is one, and there are.
        """
        if threshold is not None and len(self.labels) != 2:
            raise UserError(f"a threshold divides two classes, these are {', '.join(self.labels)}: leave it out")

    def predictions(
        self, messages: EncodedMessages, probabilities: Tensor, threshold: float | None = None
    ) -> list[Prediction]:
        """Verdicts on messages from their probabilities, float [N, classes]; the threshold as for ``predict``."""
        verdicts = self.model.decision.verdict(probabilities).tolist()
        truncated = (messages.lengths > self.max_length).tolist()
        rows = zip(probabilities.tolist(), verdicts, truncated, strict=True)
        predictions = [
            Prediction(
                self.labels[verdict],
                row[verdict],
                dict(zip(self.labels, row, strict=True)),
                self.threshold,
                was_truncated,
            )
            for row, verdict, was_truncated in rows
        ]
        return predictions if threshold is None else self.decide(predictions, threshold)

    def decide(self, predictions: Sequence[Prediction], threshold: float) -> list[Prediction]:
        """The same predictions with the verdicts of another threshold.

        Raises:
            UserError: There are more than two classes.
        """
        self.check_threshold(threshold)
        first, second = self.labels
        scores = torch.tensor([prediction.probabilities[second] for prediction in predictions])
        decided = [second if above else first for above in (scores >= threshold).tolist()]
        return [
            prediction._replace(label=label, probability=prediction.probabilities[label], threshold=threshold)
            for prediction, label in zip(predictions, decided, strict=True)
        ]

    def probabilities(self, texts: Sequence[str]) -> Tensor:
        """Calibrated probabilities of each class for each text, float [N, classes], in the order of the texts.

        Texts are cut to the length the model was trained with. A model whose verdict hangs on the padding of the row
        gets every text padded as in training, so that a verdict depends on the text alone.

        Raises:
            UserError: A text is empty.
        """
        return self.probabilities_of(_encode(texts))

    def probabilities_of(self, messages: EncodedMessages, number: int = 0, of: int = 1) -> Tensor:
        """The same for encoded texts, or for a share of them.

        Args:
            messages: The texts.
            number: Which share, from 0; the shares are equal work.
            of: How many shares there are.

        Returns:
            Float [N, classes], on the CPU; zeros for texts of other shares. The sum of all shares is to the bit what
            is given without shares.
        """
        probabilities = torch.zeros(len(messages), len(self.labels))
        for rows, logits in self._judged(messages, number, of):
            probabilities[rows] = self.model.decision.probabilities(logits).cpu()
        return probabilities

    def explain(self, text: str, label: str | None = None) -> Explanation:
        """Which words pushed the verdict on a text: how far the log-odds of a class fall when each is left out.

        A word stands between white space. In a text of more than 64 words it is runs of neighbouring ones, equally many
        in each, that are left out. What remains is judged as a batch: the work of at most 65 texts, each no longer
        than the one given. A lone word is compared with an empty text.

        Args:
            text: The text.
            label: The class to explain; default: the one that is decided for.

        Raises:
            UserError: The text is empty, or there is no such class.
        """
        if label is not None and label not in self.labels:
            raise UserError(f"there is no class {label!r}: name one of {', '.join(self.labels)}")
        message = _encode([text])
        occlusion = Occlusion(text, self.max_length, self.model.hparams["keep"])
        decision = self.model.decision
        logits = torch.empty(len(occlusion.remaining), len(self.labels), device=self.model.device)
        for rows, of_rows in self._judged(occlusion.remaining):
            logits[rows] = of_rows.float()
        (prediction,) = self.predictions(message, decision.probabilities(logits[:1]).cpu())
        label = prediction.label if label is None else label
        scores = decision.log_odds(logits, self.labels.index(label))
        return Explanation(prediction, label, occlusion.parts(scores.tolist()))

    def _judged(self, messages: EncodedMessages, number: int = 0, of: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows of messages, int64 [B], with their logits, float [B, classes]; the share as above."""
        model = self.model
        padded_length = model.fixed_length
        lengths = messages.lengths.clamp(min=padded_length or 1, max=max(padded_length or 1, self.max_length))
        batches = list(batches_by_length(lengths))[number::of]
        keep = model.hparams["keep"]
        gathered = (
            messages.batch(rows, self.max_length, padded_length, keep).to(model.device) for rows in batches
        )  # fmt: skip
        packed = int(lengths.sum()) >= WORTH_PACKING  # not for each share by itself: the numbers hang on it
        yield from zip(batches, model.logits_of(gathered, packed), strict=True)


def _encode(texts: Sequence[str]) -> EncodedMessages:
    if isinstance(texts, str):
        raise UserError("texts have to be a list, not one text: put it in brackets")
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise UserError(f"text {number} is empty: there is nothing to classify")
    return EncodedMessages.from_texts(texts)


def load_classifier(run: str | Path | None = None, device: str = "cpu") -> Classifier:
    """Load a trained classifier.

    Args:
        run: A run's directory, whose best checkpoint is taken, or a checkpoint; default: the newest run under
            ``lightning_logs`` here.
        device: Where to compute, as PyTorch names it.

    Raises:
        UserError: There is no such run, or the file is not a checkpoint of this classifier.
    """
    checkpoint = checkpoint_of(run)
    return Classifier(_restored(read_checkpoint(checkpoint)).to(device), checkpoint)


def _restored(checkpoint: dict[str, Any]) -> SpamClassifier:
    """The model of a checkpoint; Lightning would let the checkpoint name a function that makes it."""
    arguments = inspect.signature(SpamClassifier).parameters
    settings = {name: value for name, value in checkpoint["hyper_parameters"].items() if name in arguments}
    model = SpamClassifier(**settings)
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    return model
