"""Frozen blocks over many batches on a CPU: each block's weights are packed once and used for all batches.

oneDNN multiplies faster by weights in its own blocked layout, and applies bias, GELU and the residual addition while
the product is still in the cache. The operators are those that PyTorch's compiler emits (``torch.ops.mkldnn``). Results
differ from those of the plain block only in the rounding of float additions.
"""

import platform
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from spam_classifier.models.gpt2 import Block, GPT2Backbone

PACKED_ROWS = 1024  # the layout is chosen for products of this many rows; others work, too
WORTH_PACKING = 4096  # fewest tokens for which packing saves more time than it costs
GROUP_TOKENS = 32768  # most tokens whose hidden states are in memory at once


def states_before_block(
    backbone: GPT2Backbone,
    batches: Iterable[Tensor],
    number: int,
    on_block: Callable[[int], object] = lambda messages: None,
    *,
    packed: bool | None = None,
) -> Iterator[Tensor]:
    """The hidden states that a block reads, batch by batch, without gradients.

    Args:
        backbone: The backbone.
        batches: Token ids, each int64 [B, T]; read in groups of up to GROUP_TOKENS tokens.
        number: The block's number from 0.
        on_block: Called with the number of messages whenever a block has processed a batch.
        packed: Whether to pack weights if possible; None packs for groups of at least WORTH_PACKING tokens.

    Yields:
        The states of each batch, float [B, T, width].
    """
    for group in _groups(batches):
        worth = sum(input_ids.numel() for input_ids in group) >= WORTH_PACKING if packed is None else packed
        pack = worth and can_pack(backbone)
        with torch.no_grad():
            states = [backbone.embed(input_ids) for input_ids in group]
            for block in backbone.h[:number]:
                run = PackedBlock(block) if pack else block  # type: ignore[arg-type]
                for batch, before in enumerate(states):
                    states[batch] = run(before)
                    on_block(len(before))
        yield from states


def _groups(batches: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    group: list[Tensor] = []
    for input_ids in batches:
        if group and sum(other.numel() for other in [*group, input_ids]) > GROUP_TOKENS:
            yield group
            group = []
        group.append(input_ids)
    if group:
        yield group


def can_pack(backbone: GPT2Backbone) -> bool:
    """Whether packing gives the plain results here: float32 on an x86 CPU, no autocast, no active dropout.

    The operators are private to PyTorch; tried with 2.13.
    """
    weight = backbone.wte.weight
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not (backbone.training and backbone.drop.p)
        and platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class PackedBlock:
    """A block with packed copies of its weights: float [B, T, width] to the same.

    Args:
        block: The block. Later changes of its weights do not affect the copies.
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self.attention_in = _pack(block.attn.c_attn)
        self.attention_out = _pack(block.attn.c_proj)
        self.mlp_in = _pack(block.mlp.c_fc)
        self.mlp_out = _pack(block.mlp.c_proj)

    def __call__(self, x: Tensor) -> Tensor:
        """The same as ``Block.forward``."""
        block, linear = self.block, torch.ops.mkldnn._linear_pointwise
        projected = linear(block.ln_1(x), *self.attention_in, "none", [], "")
        x = linear.binary(block.attn.mix(projected), x, *self.attention_out, "add")
        widened = linear(block.ln_2(x), *self.mlp_in, "gelu", [], "tanh")
        return linear.binary(widened, x, *self.mlp_out, "add")


def _pack(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    return torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), PACKED_ROWS), linear.bias.detach()
