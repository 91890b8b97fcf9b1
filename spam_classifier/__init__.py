"""Fine-tune GPT-2 into a text classifier with PyTorch Lightning."""

from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.inference.classifier import Classifier, Explanation, Prediction, load_classifier
from spam_classifier.models.classifier import SpamClassifier
from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape

__all__ = [
    "Classifier",
    "Explanation",
    "GPT2Backbone",
    "GPT2Shape",
    "Prediction",
    "SpamClassifier",
    "SpamDataModule",
    "load_classifier",
]
