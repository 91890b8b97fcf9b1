"""A trained classifier: texts in, labels and probabilities out."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from spam_classifier.batch import Batch, batches_by_length
from spam_classifier.data.encoding import EncodedMessages, Keep
from spam_classifier.data.normalise import normalise
from spam_classifier.errors import UserError
from spam_classifier.inference.word_influence import Part, Subsets
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.packed_blocks import PackedClassifier, packed_type
from spam_classifier.runs.check import load_network
from spam_classifier.runs.find import find_checkpoint

FLOAT32, BFLOAT16 = PRECISIONS = ("32-true", "bf16-mixed")  # Lightning's names


class Prediction(NamedTuple):
    """The prediction for a text; probabilities are calibrated."""

    label: str | None  # None if no label is given to what is less probable than ``abstain``
    probability: float  # of the second of two classes (spam), so that texts can be sorted by it; else of the label
    probabilities: dict[str, float]  # of each class, by its name
    threshold: float | None  # probability from which the second of two classes is predicted; None with more classes
    truncated: bool  # whether the model reads less than the text, or with ``windows`` its worst window decided


class Explanation(NamedTuple):
    """Which words of a text push the classifier towards a class."""

    prediction: Prediction
    label: str  # the class that is explained
    parts: list[Part]  # of the text, end to end, with the influence of each on that class
    log_odds: float  # of that class for the text: ``without_words`` and all influences together
    without_words: float  # log-odds of that class for the text without any words


class Classifier:
    """A trained network and what it needs to classify texts; several threads may use it at once.

    On an x86 CPU in float32, a text's probabilities have the same bits whatever it is classified with. Longer texts are
    cut to ``max_length`` tokens, as in training. The arguments are those of ``load_classifier``. Where weights are
    packed for the CPU, the blocks leave ``model``, so that memory holds them once.
    """

    def __init__(
        self,
        model: GPT2Classifier,
        checkpoint: Path,
        precision: str = FLOAT32,
        *,
        windows: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.precision = precision
        with self._autocast():
            dtype = packed_type(model.backbone)
        self._packed = PackedClassifier(model, dtype) if dtype else None
        self.checkpoint = checkpoint
        self.labels = model.label_names
        self.max_length: int = model.settings["max_length"]
        self.keep: Keep = model.settings["keep"]
        self.normalise: bool = model.settings.get("normalise", False)  # earlier versions did not
        self.tokenizer: str | None = model.settings.get("tokenizer")  # earlier versions had GPT-2's alone
        self.windows = windows
        if windows is not None and len(self.labels) != 2:
            raise UserError(f"windows need two classes, these are {', '.join(self.labels)}: leave them out")
        if windows is not None and windows < 1:
            raise UserError(f"windows of {windows} tokens hold nothing: give 1 or more, such as 64")

    @property
    def threshold(self) -> float | None:
        """Probability from which the second of two classes is predicted; None with more classes."""
        return float(self.model.decision.threshold) if len(self.labels) == 2 else None

    def predict(
        self, texts: Sequence[str], threshold: float | None = None, abstain: float | None = None
    ) -> list[Prediction]:
        """A prediction for each text.

        Args:
            texts: The texts.
            threshold: Probability from which the second of two classes is predicted; default: the model's own.
            abstain: Give no label that is less probable than this; default: label all.

        Raises:
            UserError: A text is empty, or a threshold is given and there are more than two classes.
        """
        self.check_threshold(threshold)
        messages = self.encode(texts)
        return self.predictions(messages, self.probabilities_of(messages), threshold, abstain)

    def check_threshold(self, threshold: float | None) -> None:
        """Refuse a threshold for more than two classes."""
        if threshold is not None and len(self.labels) != 2:
            raise UserError(f"a threshold divides two classes, these are {', '.join(self.labels)}: leave it out")

    def predictions(
        self,
        messages: EncodedMessages,
        probabilities: Tensor,
        threshold: float | None = None,
        abstain: float | None = None,
    ) -> list[Prediction]:
        """Predictions from the probabilities of messages, float [N, classes]; the rest as for ``predict``."""
        predicted = self.model.decision.decide(probabilities).tolist()
        truncated = (messages.lengths > self.max_length).tolist()
        rows = zip(probabilities.tolist(), predicted, truncated, strict=True)
        predictions = [
            Prediction(
                self.labels[index],
                row[1 if len(self.labels) == 2 else index],
                dict(zip(self.labels, row, strict=True)),
                self.threshold,
                was_truncated,
            )
            for row, index, was_truncated in rows
        ]
        return self.decide(predictions, threshold, abstain)

    def decide(
        self, predictions: Sequence[Prediction], threshold: float | None = None, abstain: float | None = None
    ) -> list[Prediction]:
        """The same predictions with the labels of another threshold, and without those that are improbable."""
        self.check_threshold(threshold)
        decided = list(predictions)
        if threshold is not None:
            first, second = self.labels
            scores = torch.tensor([prediction.probabilities[second] for prediction in predictions])
            labels = [second if above else first for above in (scores >= threshold).tolist()]
            pairs = zip(predictions, labels, strict=True)
            decided = [prediction._replace(label=label, threshold=threshold) for prediction, label in pairs]
        if abstain is None:
            return decided
        return [
            own._replace(label=None) if own.label is not None and own.probabilities[own.label] < abstain else own
            for own in decided
        ]

    def probabilities(self, texts: Sequence[str]) -> Tensor:
        """Calibrated probabilities of each class for each text, float [N, classes], in the order of the texts.

        If padding matters, every text is padded as in training, so that its probabilities depend on the text alone.
        """
        return self.probabilities_of(self.encode(texts))

    def probabilities_of(self, messages: EncodedMessages) -> Tensor:
        """Probabilities of encoded texts, float [N, classes] on the CPU."""
        probabilities = self._of_cut(messages)
        long = (messages.lengths > self.max_length).nonzero()[:, 0]
        if self.windows is not None and len(long):
            probabilities[long] = self._worst_windows(messages, long, self.windows)
        return probabilities

    def _of_cut(self, messages: EncodedMessages) -> Tensor:
        probabilities = torch.empty(len(messages), len(self.labels))
        for rows, logits in self._logits(messages):
            probabilities[rows] = self.model.decision.probabilities(logits).cpu()
        return probabilities

    def _worst_windows(self, messages: EncodedMessages, long: Tensor, length: int) -> Tensor:
        """Probabilities of the window in which the second class is most probable, float [N, classes]."""
        windows, owners = messages.windows(long, min(length, self.max_length))
        of_windows = self._of_cut(windows)
        worst = torch.empty(len(long), len(self.labels))
        order = of_windows[:, 1].argsort(stable=True)  # so the worst window of each message is written last
        for window in order.tolist():
            worst[owners[window]] = of_windows[window]
        return worst

    def explain(self, text: str, label: str | None = None) -> Explanation:
        """Which words push a text towards a class (by default the predicted one): Shapley values of the words.

        They add up to the text's log-odds. Words are separated by white space. In a text of more than 64 words, runs of
        neighbouring words count as one. With up to eight words the values are exact, with more they are estimates that
        have a standard error. An explanation costs at most as much as classifying 240 texts of this length.
        """
        if label is not None and label not in self.labels:
            raise UserError(f"there is no class {label!r}: name one of {', '.join(self.labels)}")
        message = self.encode([text])
        subsets = Subsets(self.as_read(text), self.max_length, self.keep, self.tokenizer)
        decision = self.model.decision
        logits = torch.empty(len(subsets.remaining), len(self.labels), device=self.model.head.weight.device)
        for rows, of_rows in self._logits(subsets.remaining):
            logits[rows] = of_rows.float()
        (prediction,) = self.predictions(message, decision.probabilities(logits[-1:]).cpu())
        explained = prediction.label if label is None else label
        assert explained is not None  # without ``abstain`` there is a label
        scores = decision.log_odds(logits, self.labels.index(explained)).tolist()
        return Explanation(prediction, explained, subsets.parts(scores), scores[-1], scores[0])

    def encode(self, texts: Sequence[str]) -> EncodedMessages:
        """Texts as token ids, normalised if those of the training were."""
        if isinstance(texts, str):
            raise UserError("texts have to be a list, not one text: put it in brackets")
        for number, text in enumerate(texts, start=1):
            if not text.strip():
                raise UserError(f"text {number} is empty: there is nothing to classify")
        return EncodedMessages.from_texts([self.as_read(text) for text in texts], tokenizer=self.tokenizer)

    def as_read(self, text: str) -> str:
        """The text that is encoded; a text of invisible characters alone stays as it is."""
        return (normalise(text) or text) if self.normalise else text

    def _logits(self, messages: EncodedMessages) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows of messages, int64 [B], with their logits, float [B, classes]."""
        net, fixed = self.model, self.model.fixed_length
        lengths = messages.lengths.clamp(min=fixed or 1, max=max(fixed or 1, self.max_length))
        device = net.head.weight.device
        batches = list(batches_by_length(lengths, device, bfloat16=self.precision == BFLOAT16))
        gathered = (messages.batch(rows, self.max_length, fixed, self.keep).to(device) for rows in batches)
        logits = self._packed.logits_of(gathered) if self._packed else self._plain_logits(gathered)
        yield from zip(batches, logits, strict=True)

    def _plain_logits(self, batches: Iterable[Batch]) -> Iterator[Tensor]:
        for batch in batches:
            with torch.no_grad(), self._autocast():
                logits = self.model(batch.input_ids, batch.lengths)
            yield logits

    def _autocast(self) -> torch.autocast:
        device = self.model.head.weight.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == BFLOAT16)


def load_classifier(
    run: str | Path | None = None,
    device: str = "cpu",
    precision: str = FLOAT32,
    *,
    windows: int | None = None,
) -> Classifier:
    """Load a trained classifier.

    Args:
        run: A run directory, for its best checkpoint, or a checkpoint; default: the newest run under
            ``lightning_logs`` here.
        device: Where to compute, as PyTorch names it.
        precision: ``32-true``, or ``bf16-mixed`` for products of bfloat16, which are faster and change probabilities a
            little.
        windows: Judge a text that is longer than the model reads by overlapping windows of so many tokens, at most as
            many as the model reads: its probabilities are those of the window in which the second of two classes is
            most probable. Default: it is cut.

    Raises:
        UserError: There is no such run or precision, or windows are asked for and there are more than two classes.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision}: give {' or '.join(PRECISIONS)}")
    path = find_checkpoint(run, Path())
    return Classifier(load_network(path).to(device), path, precision, windows=windows)


def chosen_device(name: str) -> str:
    """The device that ``--accelerator`` names: ``auto`` and ``gpu`` are a GPU, ``auto`` the CPU if there is none."""
    if name in ("auto", "gpu"):
        gpu = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
        name = gpu or ("cpu" if name == "auto" else "cuda")
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"--accelerator {name}: PyTorch can't compute there; give cpu, or leave it out") from error
    return name
