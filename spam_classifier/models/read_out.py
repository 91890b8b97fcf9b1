"""From the hidden states of a row to the one vector that the head reads."""

from typing import Literal

import torch
from torch import Tensor

from spam_classifier.models.gpt2 import GPT2Backbone

TokenPosition = Literal["last", "first", "last_real", "mean"]
OF_THE_ROW = ("last", "mean")  # decided by where the row ends, padding included


def read_out(backbone: GPT2Backbone, states: Tensor, lengths: Tensor, first_block: int, token_position: str) -> Tensor:
    """Run the blocks that are left, and take one token's state after the final layer norm, or the mean of all.

    The head is linear, so that its logits for the mean state are the mean of the logits for all tokens.

    Args:
        backbone: The backbone.
        states: What block ``first_block`` reads, float [B, T, width].
        lengths: Tokens of each row that count, int64 [B]; the last of them is the last token.
        first_block: The first block to run; the number of blocks if all have run.
        token_position: ``first``, ``mean``, or any other for the last.

    Returns:
        float [B, width].
    """
    if token_position == "mean":
        after = backbone.after_block(states, first_block)  # (B, T, width)
        counts = torch.arange(after.shape[1], device=after.device) < lengths[:, None]  # (B, T)
        return (after * counts[..., None]).sum(dim=1) / lengths[:, None]
    position = torch.zeros_like(lengths) if token_position == "first" else lengths - 1
    return backbone.at(states, position, first_block)
