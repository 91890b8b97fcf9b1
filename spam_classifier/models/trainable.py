"""Which parameters are trained."""

from typing import Literal, get_args

from torch import nn

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import GPT2Backbone
from spam_classifier.models.lora import low_rank_updates

Policy = Literal["last_layer", "last_block", "last_two_blocks", "all", "lora"]
TRAINED_BLOCKS = {"last_layer": 0, "last_block": 1, "last_two_blocks": 2}


def frozen_blocks(backbone: GPT2Backbone, policy: str) -> int:
    """Number of frozen blocks before the first trained one; 0 if the embeddings are trained, or blocks have LoRA."""
    return len(backbone.h) - TRAINED_BLOCKS[policy] if policy in TRAINED_BLOCKS else 0


def freeze(backbone: GPT2Backbone, head: nn.Module, policy: str) -> None:
    """Set ``requires_grad`` for the policy's parameters only; calling it again changes nothing.

    Raises:
        UserError: There is no such policy, or the backbone has fewer blocks than it names.
    """
    if policy not in get_args(Policy):
        raise UserError(f"--model.trainable {policy!r} is not one of {', '.join(get_args(Policy))}")
    backbone.requires_grad_(policy == "all")
    head.requires_grad_(True)
    if policy == "lora":
        for update in low_rank_updates(backbone):
            update.requires_grad_(True)
    if blocks := TRAINED_BLOCKS.get(policy, 0):
        if blocks > len(backbone.h):
            raise UserError(f"--model.trainable {policy} needs {blocks} blocks, the backbone has {len(backbone.h)}")
        backbone.ln_f.requires_grad_(True)
        backbone.h[-blocks:].requires_grad_(True)
