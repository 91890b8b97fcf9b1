"""What is trained: the parameters of a policy, among them low-rank updates (Hu et al. 2021, "LoRA")."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import GPT2Backbone

TARGETS = ("c_attn", "c_proj", "c_fc")  # every projection of a block
Policy = Literal["last_layer", "last_block", "last_two_blocks", "all", "lora"]
TRAINED_BLOCKS = {"last_layer": 0, "last_block": 1, "last_two_blocks": 2}


def frozen_blocks(backbone: GPT2Backbone, policy: str) -> int:
    """Number of frozen blocks before the first trained one; 0 if the embeddings are trained, or blocks have LoRA."""
    return len(backbone.h) - TRAINED_BLOCKS[policy] if policy in TRAINED_BLOCKS else 0


def freeze(backbone: GPT2Backbone, head: nn.Module, policy: str) -> None:
    """Set ``requires_grad`` for the policy's parameters only; calling it again changes nothing."""
    if policy not in get_args(Policy):
        raise UserError(f"--model.trainable {policy!r} is not one of {', '.join(get_args(Policy))}")
    backbone.requires_grad_(policy == "all")
    head.requires_grad_(True)
    if policy == "lora":
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(".update." in name)
    if blocks := TRAINED_BLOCKS.get(policy, 0):
        if blocks > len(backbone.h):
            raise UserError(f"--model.trainable {policy} needs {blocks} blocks, the backbone has {len(backbone.h)}")
        backbone.ln_f.requires_grad_(True)
        backbone.h[-blocks:].requires_grad_(True)


class LowRankUpdate(nn.Module):
    """The trained update alpha / rank * B A x, with dropout of x; zero at the start, as B is zero."""

    def __init__(self, inputs: int, outputs: int, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.scale = alpha / rank
        self.dropout = nn.Dropout(dropout)
        self.A = nn.Parameter(torch.empty(rank, inputs))
        self.B = nn.Parameter(torch.zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))  # as nn.Linear does

    def forward(self, x: Tensor) -> Tensor:
        """Float [..., inputs] to [..., outputs]."""
        return self.dropout(x) @ self.A.T @ self.B.T * self.scale


class LoRALinear(nn.Module):
    """A linear map and its low-rank update."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.base = base
        self.update = LowRankUpdate(base.in_features, base.out_features, rank, alpha, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Float [..., in] to [..., out]."""
        return self.base(x) + self.update(x)

    @property
    def weight(self) -> Tensor:
        """The weight of the merged linear map, float [out, in]."""
        return self.base.weight + self.update.B @ self.update.A * self.update.scale

    @property
    def bias(self) -> Tensor:
        """The bias of the merged linear map, float [out]."""
        return self.base.bias


def add_lora(backbone: GPT2Backbone, rank: int, alpha: float, dropout: float, targets: Sequence[str]) -> None:
    """Add low-rank updates to projections of all blocks, in place, once the backbone's weights are loaded.

    Targets are names of projections: ``c_proj`` for both of that name, ``attn.c_proj`` for one of them.
    """
    for target in targets:
        named = {name: module for name, module in backbone.named_modules() if name.endswith(TARGETS)}
        adapted = {name: module for name, module in named.items() if name.endswith(f".{target}")}
        if not adapted:
            raise UserError(f"--model.lora_targets {target!r}: a block has {', '.join(TARGETS)}")
        for name, module in adapted.items():
            if isinstance(module, nn.Linear):  # else it was named twice
                backbone.set_submodule(name, LoRALinear(module, rank, alpha, dropout))


def merge_lora(backbone: GPT2Backbone) -> None:
    """Replace each adapted projection by one linear map with the same result, in place."""
    for name, module in list(backbone.named_modules()):
        if isinstance(module, LoRALinear):
            module.base.weight = nn.Parameter(module.weight.detach(), requires_grad=False)
            backbone.set_submodule(name, module.base)
