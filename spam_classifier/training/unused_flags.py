"""Flags that can have no effect are refused: whoever types one expects it to do something."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from spam_classifier.data.corpora import SAMPLE, UCI
from spam_classifier.errors import UserError

WITHOUT_FROZEN_BLOCKS = ("all", "lora")
OF_TRAINING = {
    "model": ("learning_rate", "weight_decay", "schedule", "warmup_steps", "dropout", "lora_dropout"),
    "trainer": ("max_epochs", "max_steps", "accumulate_grad_batches", "gradient_clip_val", "limit_train_batches"),
}


def refuse_unused(typed: Collection[str], settings: Mapping[str, Any], *, trains: bool = True) -> None:
    """Raise a UserError if a typed flag has no effect with the other settings.

    Args:
        typed: Names of flags, as in ``data.corpus``. Settings in a config are not looked at: it may be used with
            other flags.
        settings: All settings, by group and name.
        trains: Whether the command trains.
    """
    if settings.get("trainer", {}).get("barebones"):
        raise UserError(
            "--trainer.barebones trains without logs and checkpoints, which are what this command keeps: leave it out, "
            "or give barebones=True to a Trainer of your own"
        )
    unused = [*_unused(settings["model"], settings["data"])]
    if not trains:
        unused += [(group, names, "this command does not train") for group, names in OF_TRAINING.items()]
    for group, names, reason in unused:
        for name in names:
            if f"{group}.{name}" in typed:
                raise UserError(f"--{group}.{name} has no effect: {reason}; leave it out")


def _unused(model: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Groups, names of their flags, and why these have no effect."""
    sources = [data[name] for name in ("corpus", "validation_corpus", "test_corpus") if data[name] is not None]
    own = [Path(corpus) for corpus in sources if corpus not in (UCI, SAMPLE) and Path(corpus).suffix.lower() != ".zip"]
    if all(path.is_dir() for path in own):
        yield "data", ("text_column", "label_column", "encoding"), f"--data.corpus {data['corpus']} is no table"
    if not own:
        yield "data", ("bad_rows", "merge_labels"), f"--data.corpus {data['corpus']} is known to be without faults"
    if UCI not in sources:
        yield "data", ("cache_dir",), f"--data.corpus {data['corpus']} is not downloaded"
    if data["validation_corpus"] is not None and data["test_corpus"] is not None:
        names = ("train_fraction", "validation_fraction", "stratify")
        yield "data", names, "validation and test split are given, so the corpus is not split"
    if model["trainable"] != "lora":
        yield "model", ("lora_rank", "lora_alpha", "lora_dropout"), "only --model.trainable lora has such updates"
    if model["threshold"] != "max_fpr":
        yield "model", ("max_false_positive_rate",), "only --model.threshold max_fpr reads it"
    if model["frozen_prefix"] == "off" or model["trainable"] in WITHOUT_FROZEN_BLOCKS:
        because = "with --model.frozen_prefix off" if model["frozen_prefix"] == "off" else "as no block is frozen"
        yield "model", ("prefix_memory", "prefix_disk"), f"no hidden states are kept {because}"
