"""Fine-tune GPT-2 into a text classifier with PyTorch Lightning."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spam_classifier.data.datamodule import SpamDataModule as SpamDataModule
    from spam_classifier.find_config import read_config as read_config
    from spam_classifier.inference.classifier import Classifier as Classifier
    from spam_classifier.inference.classifier import Explanation as Explanation
    from spam_classifier.inference.classifier import Prediction as Prediction
    from spam_classifier.inference.classifier import load_classifier as load_classifier
    from spam_classifier.models.gpt2 import GPT2Backbone as GPT2Backbone
    from spam_classifier.models.gpt2 import GPT2Shape as GPT2Shape
    from spam_classifier.models.gpt2_classifier import GPT2Classifier as GPT2Classifier
    from spam_classifier.training.module import SpamClassifier as SpamClassifier

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
    "read_config": "find_config",
}


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562): the commands print their help before PyTorch is imported."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})
