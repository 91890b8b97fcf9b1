"""Fine-tune GPT-2 into a text classifier with PyTorch Lightning."""

from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.inference.classifier import Classifier, Explanation, Prediction, load_classifier
from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
from spam_classifier.training.module import SpamClassifier

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
