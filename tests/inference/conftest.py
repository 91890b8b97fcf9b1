"""Small trained classifiers, through a checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch

from spam_classifier import Classifier, SpamClassifier, SpamDataModule, load_classifier

DATA_SETTINGS = ("corpus", "padding", "keep", "max_length", "batch_size")
MAX_LENGTH = 24
SIZES = {"layers": 2, "width": 32, "heads": 2, "context": 64}
TOPICS = {"sport | <b>": "goal", "arts: *éco*": "stage", '---\n"a"': "cells"}


@pytest.fixture(scope="session")
def three_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of three classes with names that are hostile to markup."""
    path = tmp_path_factory.mktemp("corpus") / "topics_[x](y).csv"
    rows = [
        (label, f"a {word} of {number} and {number * 7 % 13}") for number in range(20) for label, word in TOPICS.items()
    ]
    pd.DataFrame(rows, columns=["label", "text"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Classifier]:
    """Train a few steps, with settings of model and data by name; the same settings give the same classifier.

    The head's weights are made larger and its bias far from zero, so that probabilities differ from text to text and
    cannot be got right without the bias.
    """
    kept: dict[str, Classifier] = {}

    def train(**settings: Any) -> Classifier:
        key = repr(sorted(settings.items()))
        if key not in kept:
            of_data = {"corpus": "sample", "max_length": MAX_LENGTH, "padding": "batch"}
            of_data |= {name: value for name, value in settings.items() if name in DATA_SETTINGS}
            of_model = {"trainable": "all", "token_position": "last_real", "learning_rate": 3e-3, **SIZES}
            of_model |= {name: value for name, value in settings.items() if name not in DATA_SETTINGS}
            kept[key] = _train(tmp_path_factory.mktemp("run"), of_model, of_data)
        return kept[key]

    return train


def _train(directory: Path, of_model: dict[str, Any], of_data: dict[str, Any]) -> Classifier:
    pl.seed_everything(1)
    data = SpamDataModule(**of_data)
    data.context = SIZES["context"]
    model = SpamClassifier("random", **of_model)
    trainer = pl.Trainer(
        max_steps=8,
        limit_val_batches=4,
        num_sanity_val_steps=0,
        val_check_interval=4,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=directory,
    )
    trainer.fit(model, data)
    assert model.head is not None
    with torch.no_grad():
        model.head.weight.mul_(2)
        model.head.bias.copy_(torch.linspace(-0.7, 0.9, len(model.label_names)))
        model.decision.temperature.fill_(1.7)
    trainer.save_checkpoint(directory / "checkpoints/model.ckpt")
    return load_classifier(directory)
