"""The backbone that a classifier's settings describe."""

from collections.abc import Mapping
from typing import Any

import torch

from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
from spam_classifier.models.lora import TARGETS, add_lora
from spam_classifier.models.pretrained import RANDOM, load_weights


def build_backbone(shape: GPT2Shape, settings: Mapping[str, Any], *, to_be_restored: bool) -> GPT2Backbone:
    """Build a backbone, load its pretrained weights, and give it low-rank updates where these are what learns.

    Args:
        shape: The sizes.
        settings: The arguments of SpamClassifier by name.
        to_be_restored: A checkpoint is about to replace the weights: neither draw nor load any.
    """
    options = {
        "dropout": settings["dropout"],
        "causal": settings["attention"] == "causal",
        "gradient_checkpointing": settings["gradient_checkpointing"],
    }
    weights = settings["weights"]
    if weights == RANDOM and not to_be_restored:
        backbone = GPT2Backbone(shape, **options)
    else:
        with torch.device("meta"):  # every parameter is about to be loaded: draw no random ones
            backbone = GPT2Backbone(shape, **options)
        backbone.to_empty(device="cpu")
    if not to_be_restored:
        load_weights(backbone, weights)
    if settings["trainable"] == "lora":
        rank, alpha, dropout = (settings[f"lora_{name}"] for name in ("rank", "alpha", "dropout"))
        add_lora(backbone, rank, alpha, dropout, settings["lora_targets"] or TARGETS)
    return backbone
