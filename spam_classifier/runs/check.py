"""Read a checkpoint, and check that its parts are what they have to be and fit together.

A checkpoint's settings decide how much memory is allocated for the network, so nothing is built before the tensors in
the file are known to have the shapes that the settings describe.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import torch
from torch import Tensor

from spam_classifier.data.encoding import Keep
from spam_classifier.data.rows import has_surrogate
from spam_classifier.data.tokenizer import VOCABULARY, tokenizer_of
from spam_classifier.errors import UserError
from spam_classifier.models.backbone_source import BACKBONE, SOURCE, put_back_frozen
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES
from spam_classifier.models.gpt2_classifier import (
    SIZES,
    Attention,
    GPT2Classifier,
    TokenPosition,
    backbone_structure,
    shape_in,
)
from spam_classifier.models.refusals import refuse_bad_settings
from spam_classifier.models.trainable import Policy
from spam_classifier.runs.find import how_to_train

LARGEST_NUMBER = 10**9
KINDS: dict[str, Any] = {  # of the settings that are read from a checkpoint
    **dict.fromkeys(SIZES, int),
    **dict.fromkeys(("lora_rank", "warmup_steps", "max_length"), int),
    **dict.fromkeys(("dropout", "lora_alpha", "lora_dropout", "learning_rate", "weight_decay"), float),
    "weights": str,
    "trainable": Policy,
    "token_position": TokenPosition,
    "attention": Attention,
    "lora_targets": list[str] | None,
    "gradient_checkpointing": bool,
    "threshold": float | Literal["best_f1", "max_fpr"],
    "max_false_positive_rate": float,
    "label_names": list[str],
    "class_weights": list[float],
    "padded_length": int | None,
    "keep": Keep,
    "vocabulary": int,
    "tokenizer": str | None,
}
DEFAULTS: dict[str, Any] = {  # settings that a checkpoint of an earlier version may lack
    **{"weights": "random", "dropout": 0.0, "attention": "causal", "gradient_checkpointing": False, "keep": "head"},
    **{"lora_rank": 16, "lora_alpha": 16.0, "lora_dropout": 0.0, "lora_targets": None},
    **{"learning_rate": 5e-5, "weight_decay": 0.1, "warmup_steps": 0, "max_false_positive_rate": 0.01},
    **{"vocabulary": VOCABULARY, "tokenizer": None},
}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without copying its tensors into memory; PyTorch's ``weights_only`` runs no code in it."""
    try:
        checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        checkpoint["hyper_parameters"] = {**DEFAULTS, **checkpoint["hyper_parameters"]}
        refuse_unsound(checkpoint)
    except Exception as error:  # damage surfaces as any kind of exception
        raise UserError(
            f"{path} is not a checkpoint of this classifier, or is damaged: train one with {how_to_train()}"
        ) from error
    return checkpoint


def load_network(path: Path) -> GPT2Classifier:
    """The network of a checkpoint, on the CPU."""
    checkpoint = read_checkpoint(path)
    network = GPT2Classifier.from_settings(checkpoint["hyper_parameters"], to_be_restored=True)
    put_back_frozen(checkpoint, network.backbone)
    network.load_state_dict(checkpoint["state_dict"])
    return network


def refuse_unsound(checkpoint: Any) -> None:
    """Raise any exception unless the settings of a SpamClassifier work, and the tensors are those they describe."""
    settings, state = checkpoint["hyper_parameters"], checkpoint["state_dict"]
    _require(type(checkpoint["global_step"]) is int, "the step is not an integer")
    _require(type(checkpoint.get("pytorch-lightning_version", "")) is str, "the version is not a string")
    _require(all(isinstance(name, str) for name in (*checkpoint, *settings, *state)), "a name is not a string")
    _refuse_other_metrics(checkpoint.get("metrics_of_the_epoch", {}))
    _refuse_bad_settings(settings)
    _refuse_other_tensors(settings, state, checkpoint.get(SOURCE))


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(problem)


def _refuse_other_metrics(states: Any) -> None:
    _require(set(states) <= {"train_loss", "train_acc"}, "the epoch has other metrics")
    tensors = [value for state in states.values() for value in dict(state).values()]
    _require(all(isinstance(value, Tensor) for value in tensors), "a metric is not a tensor")


def _refuse_bad_settings(settings: Mapping[str, Any]) -> None:
    for name, kind in KINDS.items():
        _require(_is_of_kind(settings[name], kind), f"{name} is not of type {kind}")
    refuse_bad_settings(settings)
    labels, longest, padded = settings["label_names"], settings["max_length"], settings["padded_length"]
    _require(len(set(labels)) == len(labels) == len(settings["class_weights"]) > 1, "the classes are not classes")
    _require(not any(map(has_surrogate, labels)), "a class name is not UTF-8")
    _require(1 <= longest <= (longest if padded is None else padded) <= settings["context"], "the lengths do not fit")
    largest = max(tokenizer_of(settings["tokenizer"]).vocabulary.values()) if settings["tokenizer"] else 0
    _require(largest < settings["vocabulary"], "the vocabulary does not fit")


def _is_of_kind(value: Any, kind: Any) -> bool:
    """Whether a value has the type of an annotation, and is no absurdly large number."""
    origin = get_origin(kind)
    if origin is Literal:
        return type(value) is str and value in get_args(kind)
    if origin in (Union, UnionType):
        return any(_is_of_kind(value, one) for one in get_args(kind))
    if origin is list:
        return type(value) is list and all(_is_of_kind(part, get_args(kind)[0]) for part in value)
    if kind is NoneType:
        return value is None
    if kind is float:
        return type(value) in (int, float) and abs(value) <= LARGEST_NUMBER
    return type(value) is kind and (kind is not int or abs(value) <= LARGEST_NUMBER)


def _refuse_other_tensors(settings: Mapping[str, Any], state: Mapping[str, Tensor], source: Any) -> None:
    shape = shape_in(settings)
    if source is None:
        _require(shape.layers <= len(state), "there are fewer tensors than layers")
    else:
        _require(shape == PUBLISHED_SHAPES[source["weights"]], "the shape is not that of the published weights")
        _require(isinstance(source["sha256"], str), "the SHA-256 is not a string")
    backbone = backbone_structure(shape, settings)
    may_be_left_out = {f"{BACKBONE}{name}" for name, _ in backbone.named_parameters() if ".update." not in name}
    expected = {f"{BACKBONE}{name}": tuple(tensor.shape) for name, tensor in backbone.state_dict().items()}
    classes = len(settings["label_names"])
    expected |= {"head.weight": (classes, shape.width), "head.bias": (classes,)}
    expected |= {f"decision.{name}": () for name in ("temperature", "threshold", "fitted_step")}
    missing = set(expected) - set(state)
    _require(not set(state) - set(expected), "there are other tensors")
    _require(not missing - (may_be_left_out if source else set()), "tensors are missing")
    storages = {tensor.untyped_storage().data_ptr() for tensor in state.values()}
    _require(len(storages) == len(state), "tensors share memory")
    for name, tensor in state.items():
        # every number has to be in the file, rather than one number repeated by its strides
        dense = tensor.layout is torch.strided and tensor.is_contiguous() and tensor.device.type == "cpu"
        _require(dense and tuple(tensor.shape) == expected[name], f"{name} has another shape")
    _require(0 < float(state["decision.temperature"]) < math.inf, "the temperature is not a positive number")
    _require(bool(torch.isfinite(state["decision.threshold"])), "the threshold is not finite")
