"""Checkpoints without the frozen parameters of a published backbone.

Instead, such a checkpoint names the published file, from which the parameters are read again.
"""

from typing import Any

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import GPT2Backbone, without_weights
from spam_classifier.models.pretrained import HUB_REVISIONS, checked_reader, weights_sha256

BACKBONE = "backbone."  # before its names in a state dict
SOURCE = "backbone_source"  # the key under which a checkpoint names the file


def leave_out_frozen(checkpoint: dict[str, Any], backbone: GPT2Backbone, weights: str, sha256: str) -> None:
    """Remove the frozen parameters from a checkpoint that is about to be written, and name their file in it."""
    for name, parameter in backbone.named_parameters():
        if not parameter.requires_grad:
            del checkpoint["state_dict"][BACKBONE + name]
    checkpoint[SOURCE] = {"weights": weights, "revision": HUB_REVISIONS[weights], "sha256": sha256}


def put_back_frozen(checkpoint: dict[str, Any], backbone: GPT2Backbone) -> None:
    """Put back what ``leave_out_frozen`` removed, from the file that the checkpoint names, if it names one.

    Raises a UserError if the file is not the one of the training, or can't be fetched or read.
    """
    source = checkpoint.get(SOURCE)
    if source is None:
        return
    weights, state = source["weights"], checkpoint["state_dict"]
    found = [*weights_sha256(weights).values()] if weights in HUB_REVISIONS else ["no such name"]
    if found != [source["sha256"]]:
        raise UserError(
            f"the checkpoint needs the weights {weights} with SHA-256 {source['sha256']}, those here have "
            f"{', '.join(found)} and would change its predictions: get the file that it was trained with"
        )
    with without_weights():
        expected = GPT2Backbone(backbone.shape).state_dict()
    read = checked_reader(weights, expected, heads=backbone.shape.heads)
    for name, _ in backbone.named_parameters():
        if BACKBONE + name not in state:
            state[BACKBONE + name] = read(name.replace(".base.", ".")).contiguous()  # LoRA wraps frozen projections
