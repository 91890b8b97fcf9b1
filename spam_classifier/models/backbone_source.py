"""Checkpoints without the frozen parameters of a published backbone.

Instead, such a checkpoint names the published file, from which the parameters are read again.
"""

from typing import Any

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import GPT2Backbone
from spam_classifier.models.pretrained import HUB_REVISIONS, published_parameters, published_sha256

BACKBONE = "backbone."  # before its names in a state dict
SOURCE = "backbone_source"  # the key under which a checkpoint names the file


def leave_out_frozen(checkpoint: dict[str, Any], backbone: GPT2Backbone, weights: str, sha256: str) -> None:
    """Remove the frozen parameters of a published backbone from a checkpoint, and name their file in it.

    Args:
        checkpoint: The checkpoint that is about to be written, with the state dict of a GPT2Classifier.
        backbone: The backbone.
        weights: Hub name of its weights.
        sha256: SHA-256 of their file.
    """
    for name, parameter in backbone.named_parameters():
        if not parameter.requires_grad:
            del checkpoint["state_dict"][BACKBONE + name]
    checkpoint[SOURCE] = {"weights": weights, "revision": HUB_REVISIONS[weights], "sha256": sha256}


def put_back_frozen(checkpoint: dict[str, Any], backbone: GPT2Backbone) -> None:
    """Put back what ``leave_out_frozen`` removed, from the file that the checkpoint names, if it names one.

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
            f"the checkpoint needs the weights {weights} with SHA-256 {source['sha256']}, those here have "
            f"{found if weights in HUB_REVISIONS else 'no such name'} and would change its predictions: get the file "
            "that it was trained with"
        )
    left_out = [
        name for name, _ in backbone.named_parameters() if BACKBONE + name not in checkpoint["state_dict"]
    ]  # fmt: skip
    stored = published_parameters(weights, backbone.shape, {_published_name(name) for name in left_out})
    for name in left_out:
        checkpoint["state_dict"][BACKBONE + name] = stored[_published_name(name)]


def _published_name(name: str) -> str:
    """A parameter's name in the published file; LoRA wraps the frozen projections."""
    return name.replace(".base.", ".")
