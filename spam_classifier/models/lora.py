"""Low-rank adaptation: frozen projections plus learnt ones of low rank (Hu et al. 2021, "LoRA")."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import GPT2Backbone

TARGETS = ("c_attn", "c_proj", "c_fc")  # every projection of a block


class LowRankUpdate(nn.Module):
    """The trained update alpha / rank * B A x; zero at the start, as B is zero.

    Args:
        inputs: Size of x.
        outputs: Size of the result.
        rank: Rows of A, columns of B.
        alpha: Scale, divided by the rank.
        dropout: Probability of dropping an element of x while training.
    """

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

    def matrix(self) -> Tensor:
        """The update as one matrix, without dropout: float [outputs, inputs]."""
        return self.B @ self.A * self.scale


class LoRALinear(nn.Module):
    """A linear map and its low-rank update.

    Args:
        base: The map to adapt.
        rank: Rank of the update.
        alpha: Scale of the update, divided by the rank.
        dropout: Probability of dropping an element of the update's input while training.
    """

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
        return self.base.weight + self.update.matrix()

    @property
    def bias(self) -> Tensor:
        """The bias of the merged linear map, float [out]."""
        return self.base.bias


def add_lora(backbone: GPT2Backbone, rank: int, alpha: float, dropout: float, targets: Sequence[str]) -> None:
    """Add low-rank updates to projections of all blocks, in place.

    Args:
        backbone: The backbone, its weights loaded.
        rank: Rank of the updates.
        alpha: Their scale, divided by the rank.
        dropout: Probability of dropping an element of their input while training.
        targets: Names of projections: ``c_proj`` for both of that name, ``attn.c_proj`` for one of them.

    Raises:
        UserError: A block has no such projection.
    """
    for target in targets:
        adapted = [name for name, _ in _projections(backbone) if name.endswith(f".{target}")]
        if not adapted:
            raise UserError(f"--model.lora_targets {target!r}: a block has {', '.join(TARGETS)}")
        for name in adapted:
            parent, _, own = name.rpartition(".")
            module = backbone.get_submodule(name)
            if isinstance(module, nn.Linear):  # else it was named twice
                setattr(backbone.get_submodule(parent), own, LoRALinear(module, rank, alpha, dropout))


def merge_lora(backbone: GPT2Backbone) -> None:
    """Replace each adapted projection by one linear map with the same result, in place."""
    for name, module in list(_projections(backbone)):
        if isinstance(module, LoRALinear):
            merged = module.base
            merged.weight = nn.Parameter(module.weight.detach(), requires_grad=False)
            parent, _, own = name.rpartition(".")
            setattr(backbone.get_submodule(parent), own, merged)


def low_rank_updates(backbone: GPT2Backbone) -> Iterator[LowRankUpdate]:
    """All low-rank updates of a backbone."""
    return (module for module in backbone.modules() if isinstance(module, LowRankUpdate))


def _projections(backbone: GPT2Backbone) -> Iterator[tuple[str, nn.Module]]:
    for number, block in enumerate(backbone.h):
        for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
            yield f"h.{number}.{name}", block.get_submodule(name)
