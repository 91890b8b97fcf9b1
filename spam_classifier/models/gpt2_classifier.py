"""GPT-2 with a linear head: the one place that knows which token is read, and whether padding matters."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from spam_classifier.models.decision import Decision
from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape, without_weights
from spam_classifier.models.pretrained import RANDOM, load_weights
from spam_classifier.models.trainable import TARGETS, add_lora

TokenPosition = Literal["last", "first", "last_real", "mean"]
Attention = Literal["causal", "full"]
OF_THE_ROW = ("last", "mean")  # positions that depend on where the row ends, padding included
SIZES = ("layers", "width", "heads", "context")  # the settings that make up a GPT2Shape


def shape_in(settings: Mapping[str, Any]) -> GPT2Shape:
    """The backbone's shape; settings name the vocabulary's size only where it is not GPT-2's."""
    sizes = {name: settings[name] for name in (*SIZES, "vocabulary") if settings.get(name) is not None}
    return GPT2Shape(**sizes)


def reads_whole_row(settings: Mapping[str, Any]) -> bool:
    """Whether the logits depend on every token of the row, padding included."""
    return settings["token_position"] in OF_THE_ROW or settings["attention"] == "full"


class GPT2Classifier(nn.Module):
    """A GPT-2 backbone, a linear head on one token's hidden state, and a decision on the logits.

    The settings are the arguments of SpamClassifier and the fields of DataDescription, by name: plain types, which a
    checkpoint keeps as hyper-parameters.

    Attributes:
        fixed_length: Tokens that every row has to be padded to, as in training; None where padding does not matter.
    """

    def __init__(self, backbone: GPT2Backbone, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = dict(settings)
        self.label_names: list[str] = self.settings["label_names"]
        self.token_position: str = self.settings["token_position"]
        self.fixed_length: int | None = self.settings["padded_length"] if reads_whole_row(settings) else None
        self.padding_matters = self.fixed_length is not None
        self.backbone = backbone
        self.head = nn.Linear(backbone.shape.width, len(self.label_names))
        self.decision = Decision()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, to_be_restored: bool = False) -> "GPT2Classifier":
        """Build the network that settings describe, and load its pretrained weights.

        With ``to_be_restored``, a checkpoint is about to replace the weights, and none are drawn or loaded.
        """
        shape = shape_in(settings)
        if to_be_restored:
            return cls(backbone_structure(shape, settings).to_empty(device="cpu"), settings)
        return cls(build_backbone(shape, settings), settings)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits of each message, float [B, classes], from token ids, int64 [B, T], and real tokens, int64 [B]."""
        last = len(self.backbone.h) - 1
        return self.logits_from(self.backbone.before_block(input_ids, last), lengths, last)

    def logits_from(self, states: Tensor, lengths: Tensor, block: int) -> Tensor:
        """Logits, float [B, classes], from hidden states; the arguments are those of ``read_out``."""
        return self.classify(self.read_out(states, lengths, block))

    def classify(self, hidden: Tensor) -> Tensor:
        """The head, in float32 under autocast, too: float [B, width] to float [B, classes]."""
        with without_autocast(hidden.device):
            return self.head(hidden.to(self.head.weight.dtype))

    def read_out(self, states: Tensor, lengths: Tensor, block: int) -> Tensor:
        """Run the remaining blocks, and take the hidden state that the head reads, float [B, width].

        The head is linear, so its logits for the mean state are the mean of the logits of all tokens. ``states`` is
        what block number ``block`` reads, float [B, T, width]; after all blocks, their number. ``lengths`` are the real
        tokens of each message, int64 [B].
        """
        if self.token_position == "mean":
            if self.padding_matters:
                lengths = torch.full_like(lengths, states.shape[1])  # padding counts as tokens of the message
            after = self.backbone.after_block(states, block)  # (B, T, width)
            counts = torch.arange(after.shape[1], device=after.device) < lengths[:, None]  # (B, T)
            return (after * counts[..., None]).sum(dim=1) / lengths[:, None]  # (B, width)
        return self.backbone.at(states, self.position_read(lengths, states.shape[1]), block)

    def position_read(self, lengths: Tensor, row_length: int) -> Tensor:
        """Index of the token that the head reads, int64 [B], in rows of ``row_length`` tokens."""
        if self.token_position == "first":
            return torch.zeros_like(lengths)
        if self.token_position == "last" and self.padding_matters:  # padding counts as tokens of the message
            return torch.full_like(lengths, row_length - 1)
        return lengths - 1


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context without autocast on a device; one that an exported graph does not see where there is none."""
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def build_backbone(shape: GPT2Shape, settings: Mapping[str, Any]) -> GPT2Backbone:
    """The backbone that settings describe, with its pretrained weights, LoRA added."""
    is_random = settings["weights"] == RANDOM
    with nullcontext() if is_random else without_weights():  # every parameter is about to be loaded
        backbone = _without_lora(shape, settings)
    load_weights(backbone, settings["weights"])
    return _with_lora(backbone, settings)


def backbone_structure(shape: GPT2Shape, settings: Mapping[str, Any]) -> GPT2Backbone:
    """The backbone that settings describe, LoRA included, without weights."""
    with without_weights():
        return _with_lora(_without_lora(shape, settings), settings)


def _without_lora(shape: GPT2Shape, settings: Mapping[str, Any]) -> GPT2Backbone:
    options = {name: settings[name] for name in ("dropout", "gradient_checkpointing")}
    return GPT2Backbone(shape, **options, causal=settings["attention"] == "causal")


def _with_lora(backbone: GPT2Backbone, settings: Mapping[str, Any]) -> GPT2Backbone:
    if settings["trainable"] == "lora":
        rank, alpha, dropout = (settings[f"lora_{name}"] for name in ("rank", "alpha", "dropout"))
        add_lora(backbone, rank, alpha, dropout, settings["lora_targets"] or TARGETS)
    return backbone
