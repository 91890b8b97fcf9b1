"""Whether the parts of a checkpoint are what they have to be, and go together.

What a checkpoint says of itself decides how much memory is taken for it. So nothing is built that the tensors in the
file would not fill.
"""

import inspect
import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from spam_classifier.data.encoding import Keep
from spam_classifier.data.rows import has_surrogate
from spam_classifier.models.backbone_source import PREFIX, SOURCE
from spam_classifier.models.building import build_structure
from spam_classifier.models.gpt2 import GPT2Shape
from spam_classifier.models.pretrained import PUBLISHED_SHAPES
from spam_classifier.models.refusals import refuse_bad_settings
from spam_classifier.training.module import SpamClassifier

LARGEST_NUMBER = 10**9
SHAPE = ("layers", "width", "heads", "context")
NEEDED = {*SHAPE, "trainable", "threshold", "token_position"}
OF_LORA = {"lora_rank", "lora_alpha", "lora_targets"}
OF_THE_DATA: dict[str, Any] = {
    "label_names": list[str],
    "class_weights": list[float],
    "max_length": int,
    "padded_length": int | None,
    "keep": Keep,
}


def is_sound(checkpoint: Any) -> bool:
    """Whether this is a checkpoint of a SpamClassifier, its settings such as work, its tensors those they describe.

    Raises:
        Exception: It is not; of whatever kind.
    """
    settings, state = checkpoint["hyper_parameters"], checkpoint["state_dict"]
    of_model = _arguments(settings)
    return (
        type(checkpoint["global_step"]) is int
        and type(checkpoint.get("pytorch-lightning_version", "")) is str
        and all(isinstance(name, str) for name in (*checkpoint, *settings, *state))
        and _are_metrics(checkpoint.get("metrics_of_the_epoch", {}))
        and _settings_work(settings, of_model)
        and _tensors_fit(of_model, len(settings["label_names"]), state, checkpoint.get(SOURCE))
    )


def _are_metrics(states: Any) -> bool:
    return set(states) <= {"train_loss", "train_acc"} and all(
        isinstance(value, Tensor) for state in states.values() for value in dict(state).values()
    )


def _arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of SpamClassifier; a checkpoint that is older than one of them has its default."""
    return {
        name: settings.get(name, argument.default)
        for name, argument in inspect.signature(SpamClassifier).parameters.items()
    }


def _settings_work(settings: Mapping[str, Any], of_model: Mapping[str, Any]) -> bool:
    kinds = get_type_hints(SpamClassifier.__init__)
    if not all(_is_of_kind(value, kinds[name]) for name, value in of_model.items()):
        return False
    if not all(_is_of_kind(settings[name], kind) for name, kind in OF_THE_DATA.items()):
        return False
    if not set(settings) >= NEEDED | (OF_LORA if of_model["trainable"] == "lora" else set()):
        return False
    refuse_bad_settings(of_model)
    labels, longest, padded = settings["label_names"], settings["max_length"], settings["padded_length"]
    return (
        len(set(labels)) == len(labels) == len(settings["class_weights"]) > 1
        and not any(map(has_surrogate, labels))
        and 1 <= longest <= settings["context"]
        and longest <= (longest if padded is None else padded) <= settings["context"]
    )


def _is_of_kind(value: Any, kind: Any) -> bool:
    """Whether a value is what an annotation says, and no number that is out of all proportion."""
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
        return type(value) in (int, float) and (value == math.inf or abs(value) <= LARGEST_NUMBER)
    return type(value) is kind and (kind is not int or abs(value) <= LARGEST_NUMBER)


def _tensors_fit(settings: Mapping[str, Any], classes: int, state: Mapping[str, Tensor], source: Any) -> bool:
    shape = GPT2Shape(*(settings[name] for name in SHAPE))
    if source is None:
        if shape.layers > len(state):
            return False
    elif shape != PUBLISHED_SHAPES[source["weights"]] or not isinstance(source["sha256"], str):
        return False
    backbone = build_structure(shape, settings)
    may_be_left_out = {f"{PREFIX}{name}" for name, _ in backbone.named_parameters() if ".update." not in name}
    expected = {f"{PREFIX}{name}": tuple(tensor.shape) for name, tensor in backbone.state_dict().items()}
    expected |= {"head.weight": (classes, shape.width), "head.bias": (classes,)}
    expected |= {f"decision.{name}": () for name in ("temperature", "threshold", "fitted_step")}
    missing = set(expected) - set(state)
    if set(state) - set(expected) or missing - (may_be_left_out if source else set()):
        return False
    storages = {tensor.untyped_storage().data_ptr() for tensor in state.values()}
    return (
        len(storages) == len(state)
        and all(_is_whole(tensor) and tuple(tensor.shape) == expected[name] for name, tensor in state.items())
        and 0 < float(state["decision.temperature"]) < math.inf
        and bool(torch.isfinite(state["decision.threshold"]))
    )


def _is_whole(tensor: Tensor) -> bool:
    """Whether each of its numbers stands in the file, rather than the same one for many."""
    return tensor.layout is torch.strided and tensor.is_contiguous() and tensor.device.type == "cpu"
