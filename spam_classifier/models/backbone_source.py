"""Checkpoints that leave out what they can have from elsewhere: the frozen part of a published backbone.

In their place a checkpoint says which file the parameters are from, so that the very same ones are put back.
"""

from typing import Any

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import GPT2Backbone
from spam_classifier.models.pretrained import HUB_REVISIONS, published_parameters, published_sha256

PREFIX = "backbone."
SOURCE = "backbone_source"  # where a checkpoint names the file


def leave_out_frozen(checkpoint: dict[str, Any], backbone: GPT2Backbone, weights: str, sha256: str) -> None:
    """Take the frozen parameters of a published backbone out of a checkpoint, and name their file.

    Args:
        checkpoint: The checkpoint about to be written.
        backbone: The backbone.
        weights: Hub name of its weights.
        sha256: SHA-256 of the file they were loaded from.
    """
    for name, parameter in backbone.named_parameters():
        if not parameter.requires_grad:
            del checkpoint["state_dict"][PREFIX + name]
    checkpoint[SOURCE] = {"weights": weights, "revision": HUB_REVISIONS[weights], "sha256": sha256}


def put_back_frozen(checkpoint: dict[str, Any], backbone: GPT2Backbone) -> None:
    """Put what ``leave_out_frozen`` took out back into a checkpoint, from the file it names; nothing if it names none.

    Args:
        checkpoint: The checkpoint that was read.
        backbone: The backbone it is for.

    Raises:
        UserError: The file is not the one of the training, or cannot be fetched or read.
    """
    source = checkpoint.get(SOURCE)
    if source is None:
        return
    weights = source["weights"]
    if weights not in HUB_REVISIONS or (found := published_sha256(weights)) != source["sha256"]:
        raise UserError(
            f"the checkpoint builds on the weights {weights} with SHA-256 {source['sha256']}, those here have "
            f"{found if weights in HUB_REVISIONS else 'no such name'}: its predictions would be others; get the file "
            "of the training"
        )
    left_out = [
        name for name, _ in backbone.named_parameters() if PREFIX + name not in checkpoint["state_dict"]
    ]  # fmt: skip
    stored = published_parameters(weights, backbone.shape, {_published_name(name) for name in left_out})
    for name in left_out:
        checkpoint["state_dict"][PREFIX + name] = stored[_published_name(name)]


def _published_name(name: str) -> str:
    """A parameter's name in the published file; low-rank updates stand around the frozen projections."""
    return name.replace(".base.", ".")
