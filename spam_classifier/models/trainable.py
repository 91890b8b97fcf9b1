"""Which parameters are trained."""

from collections.abc import Iterator
from typing import Literal, get_args

from torch import nn

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import GPT2Backbone
from spam_classifier.models.lora import low_rank_updates

Policy = Literal["last_layer", "last_block", "last_two_blocks", "all", "lora"]
POLICIES: tuple[str, ...] = get_args(Policy)


def trainable_modules(backbone: GPT2Backbone, head: nn.Module, policy: str) -> Iterator[nn.Module]:
    """The modules that are trained under a policy.

    Args:
        backbone: The GPT-2 backbone.
        head: The classification head; always trained.
        policy: ``last_layer`` (the head only), ``last_block`` (also the final layer norm and the last block),
            ``last_two_blocks``, ``all``, or ``lora`` (the head and the low-rank updates).

    Raises:
        UserError: There is no such policy, or the backbone has fewer blocks than it names.
    """
    yield head
    if policy == "last_layer":
        return
    if policy == "all":
        yield backbone
        return
    if policy == "lora":
        yield from low_rank_updates(backbone)
        return
    blocks = {"last_block": 1, "last_two_blocks": 2}.get(policy)
    if blocks is None:
        raise UserError(f"--model.trainable {policy!r} is not one of {', '.join(POLICIES)}")
    if blocks > len(backbone.h):
        raise UserError(f"--model.trainable {policy} needs {blocks} blocks, the backbone has {len(backbone.h)}")
    yield backbone.ln_f
    yield from backbone.h[-blocks:]


def frozen_blocks(backbone: GPT2Backbone, policy: str) -> int:
    """Number of frozen blocks before the first trained one; 0 if the embeddings are trained, or blocks have LoRA."""
    trained = {"last_layer": 0, "last_block": 1, "last_two_blocks": 2}
    return len(backbone.h) - trained[policy] if policy in trained else 0


def freeze(backbone: GPT2Backbone, head: nn.Module, policy: str) -> None:
    """Set ``requires_grad`` for the policy's parameters only; calling it again changes nothing."""
    backbone.requires_grad_(False)
    for module in trainable_modules(backbone, head, policy):
        module.requires_grad_(True)
