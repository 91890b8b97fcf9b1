"""Load a trained classifier and classify texts with it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from spam_classifier.batch import batches_by_length
from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.errors import UserError
from spam_classifier.models.classifier import SpamClassifier
from spam_classifier.runs.checkpoints import read_checkpoint


def load_classifier(checkpoint: Path) -> SpamClassifier:
    """A trained classifier, ready to classify, on the CPU.

    Raises:
        UserError: The file is not a checkpoint of a SpamClassifier.
    """
    read_checkpoint(checkpoint)
    return SpamClassifier.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True).eval()


def classify(model: SpamClassifier, texts: Sequence[str]) -> Tensor:
    """Calibrated probabilities of each class for each text, float [N, classes], in the order of the texts.

    Texts are cut to the length the model was trained with. A model whose verdict hangs on the padding of the row gets
    every text padded as in training, so that a verdict depends on the text alone.

    Raises:
        UserError: A text is empty.
    """
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise UserError(f"text {number} is empty: there is nothing to classify")
    messages = EncodedMessages.from_texts(texts)
    padded_length = model.padded_length if model.sees_padding else None
    lengths = messages.lengths.clamp(min=padded_length or 1, max=model.max_length)
    batches = list(batches_by_length(lengths))
    keep = model.hparams["keep"]
    gathered = (messages.batch(rows, model.max_length, padded_length, keep) for rows in batches)
    probabilities = torch.empty(len(messages), len(model.label_names))
    for rows, logits in zip(batches, model.logits_of(gathered), strict=True):
        probabilities[rows] = model.decision.probabilities(logits)
    return probabilities
