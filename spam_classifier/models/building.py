"""The backbone that a classifier's settings describe."""

from collections.abc import Mapping
from typing import Any

import torch

from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
from spam_classifier.models.lora import TARGETS, add_lora
from spam_classifier.models.pretrained import RANDOM, load_weights, refuse_misfit


def build_backbone(shape: GPT2Shape, settings: Mapping[str, Any], *, to_be_restored: bool) -> GPT2Backbone:
    """Build a backbone, load its pretrained weights, and give it low-rank updates where these are what learns.

    Args:
        shape: The sizes.
        settings: The arguments of SpamClassifier by name.
        to_be_restored: A checkpoint is about to replace the weights: neither draw nor load any.
    """
    if to_be_restored:
        return build_structure(shape, settings).to_empty(device="cpu")
    weights = settings["weights"]
    if weights == RANDOM:
        backbone = GPT2Backbone(shape, **_options(settings))
    else:
        with torch.device("meta"):  # every parameter is about to be loaded: draw no random ones
            backbone = GPT2Backbone(shape, **_options(settings))
        refuse_misfit(backbone, weights)
        backbone.to_empty(device="cpu")
    load_weights(backbone, weights)
    _adapt(backbone, settings)
    return backbone


def build_structure(shape: GPT2Shape, settings: Mapping[str, Any]) -> GPT2Backbone:
    """The backbone without any memory for its weights, which are on PyTorch's ``meta`` device; arguments as above."""
    with torch.device("meta"):
        backbone = GPT2Backbone(shape, **_options(settings))
        _adapt(backbone, settings)
    return backbone


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dropout": settings["dropout"],
        "causal": settings["attention"] == "causal",
        "gradient_checkpointing": settings["gradient_checkpointing"],
    }


def _adapt(backbone: GPT2Backbone, settings: Mapping[str, Any]) -> None:
    if settings["trainable"] == "lora":
        rank, alpha, dropout = (settings[f"lora_{name}"] for name in ("rank", "alpha", "dropout"))
        add_lora(backbone, rank, alpha, dropout, settings["lora_targets"] or TARGETS)
