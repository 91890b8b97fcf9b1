"""Start from a fine-tuned run: its backbone, and the head's rows of classes that have the same name."""

from pathlib import Path
from typing import Any

import torch

from spam_classifier.files import file_sha256
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.pretrained import weights_sha256
from spam_classifier.models.trainable import merge_lora
from spam_classifier.runs.check import load_network, read_checkpoint
from spam_classifier.runs.find import CHECKPOINTS_DIRECTORY, find_checkpoint

OF_READING = ("token_position", "attention", "normalise", "keep", "max_length")  # what the head has learned to expect


def run_to_start_from(weights: str) -> Path | None:
    """The checkpoint that ``--model.weights`` means if it is a run directory or a checkpoint of ours."""
    path = Path(weights).expanduser()
    is_run = path.is_dir() and (path / CHECKPOINTS_DIRECTORY).is_dir()
    return find_checkpoint(path, Path()) if is_run or (path.suffix == ".ckpt" and path.is_file()) else None


def settings_of(checkpoint: Path) -> dict[str, Any]:
    """The hyper-parameters in a checkpoint."""
    return read_checkpoint(checkpoint)["hyper_parameters"]


def digests_of(weights: str) -> dict[str, str]:
    """SHA-256 of each file of the weights, or of the run's checkpoint; empty for random ones."""
    start = run_to_start_from(weights)
    return {start.name: file_sha256(start)} if start else weights_sha256(weights)


def start_from(checkpoint: Path, network: GPT2Classifier) -> list[str]:
    """Copy a run's backbone, LoRA merged, and its head's rows for classes of the same name into a network.

    Returns notes for the user: which rows of the head were kept, and which settings of reading texts have changed.
    """
    earlier = load_network(checkpoint)
    merge_lora(earlier.backbone)
    ours = {name.replace(".base.", "."): own for name, own in network.backbone.named_parameters()}  # LoRA wraps some
    kept = [name for name in network.label_names if name in earlier.label_names]
    with torch.no_grad():
        for name, value in earlier.backbone.named_parameters():
            ours[name].copy_(value)
        for name in kept:
            row, own = earlier.label_names.index(name), network.label_names.index(name)
            network.head.weight[own], network.head.bias[own] = earlier.head.weight[row], earlier.head.bias[row]
    new = [name for name in network.label_names if name not in kept]
    of_head = f"the head keeps {', '.join(kept) or 'no class'}" + (f", new: {', '.join(new)}" if new else "")
    told = f"starts from {checkpoint}: its backbone and tokenizer; {of_head}"
    then, now = earlier.settings, network.settings
    changed = [name for name in OF_READING if then.get(name, now.get(name)) != now.get(name)]
    return [told, *(f"{name} was {then[name]} in that run and is {now[name]} in this one" for name in changed)]
