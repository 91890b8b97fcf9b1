"""Fine-tune GPT-2 into a text classifier with PyTorch Lightning."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spam_classifier.data.datamodule import SpamDataModule
    from spam_classifier.inference.classifier import Classifier, Explanation, Prediction, load_classifier
    from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
    from spam_classifier.models.gpt2_classifier import GPT2Classifier
    from spam_classifier.training.module import SpamClassifier

__all__ = [
    "Classifier",
    "Explanation",
    "GPT2Backbone",
    "GPT2Classifier",
    "GPT2Shape",
    "Prediction",
    "SpamClassifier",
    "SpamDataModule",
    "load_classifier",
]

HOMES = {
    "Classifier": "inference.classifier",
    "Explanation": "inference.classifier",
    "GPT2Backbone": "models.gpt2",
    "GPT2Classifier": "models.gpt2_classifier",
    "GPT2Shape": "models.gpt2",
    "Prediction": "inference.classifier",
    "SpamClassifier": "training.module",
    "SpamDataModule": "data.datamodule",
    "load_classifier": "inference.classifier",
}


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562): the commands print their help before PyTorch is imported."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
