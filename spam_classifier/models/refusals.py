"""Settings of the model that cannot work, refused before any computation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spam_classifier.batch import DataDescription
from spam_classifier.errors import UserError
from spam_classifier.models.gpt2_classifier import OF_THE_ROW, reads_whole_row

RANGES: list[tuple[str, str, Callable[[float], bool]]] = [
    ("dropout lora_dropout", "at least 0 and below 1", lambda value: 0 <= value < 1),
    ("learning_rate lora_alpha", "above 0", lambda value: value > 0),
    ("weight_decay warmup_steps", "at least 0", lambda value: value >= 0),
    ("lora_rank", "at least 1", lambda value: value >= 1),
    ("threshold", "above 0 and below 1", lambda value: 0 < value < 1),
    ("max_false_positive_rate", "from 0 to 1", lambda value: 0 <= value <= 1),
]


def refuse_bad_settings(settings: Mapping[str, Any]) -> None:
    """Raise a UserError if a number among the arguments of SpamClassifier is out of range."""
    for names, allowed, is_allowed in RANGES:
        for name in names.split():
            if not isinstance(settings[name], str) and not is_allowed(settings[name]):
                raise UserError(f"--model.{name} must be {allowed}, not {settings[name]}")
    if settings["lora_targets"] is not None and (settings["trainable"] != "lora" or not settings["lora_targets"]):
        raise UserError(
            "--model.lora_targets names the projections for --model.trainable lora: name some, or leave it out"
        )


def refuse_misfit_data(settings: Mapping[str, Any], data: DataDescription, padding: str) -> None:
    """Refuse data that the model can't be trained on, or reads otherwise than in its training.

    The settings are the arguments of SpamClassifier, and the fields of the data it was trained on, if it was.
    """
    if data.max_length > settings["context"]:
        raise UserError(
            f"messages of up to {data.max_length} tokens exceed the backbone's context of {settings['context']}: set "
            f"--data.max_length {settings['context']} or less"
        )
    position = settings["token_position"]
    if settings["attention"] == "full" and padding not in ("longest", "context"):
        raise UserError(
            f"--model.attention full needs --data.padding longest or context, not {padding}: it sees the padding, and "
            "a label would depend on the other messages of the batch"
        )
    if position in OF_THE_ROW and padding == "batch":
        raise UserError(
            f"--model.token_position {position} cannot go with --data.padding batch: a message's label would depend "
            "on the other messages of its batch; use --model.token_position last_real"
        )
    labels = settings.get("label_names")
    if labels and labels != data.label_names:
        raise UserError(f"the model tells {labels} apart, the corpus {data.label_names}")
    padded = settings.get("padded_length")
    if padded is not None and reads_whole_row(settings) and padded != data.padded_length:
        raise UserError(
            f"the model reads rows padded to {padded} tokens, these have {data.padded_length}: set "
            f"--data.max_length {padded} and the padding of its training"
        )
    if len(data.label_names) > 2 and settings["threshold"] != 0.5:
        raise UserError(
            f"--model.threshold {settings['threshold']} divides two classes, these are {data.label_names}: leave it out"
        )


def refuse_other_checkpoint(settings: Mapping[str, Any], label_names: Sequence[str], saved: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another model, by its hyper-parameters; ``label_names`` are empty if not known yet."""
    if label_names and list(label_names) != saved["label_names"]:
        raise UserError(f"the checkpoint's classes are {saved['label_names']}, the corpus has {label_names}")
    names = ["layers", "width", "heads", "context", "trainable"]
    if saved["trainable"] == "lora":
        names += ["lora_rank", "lora_alpha", "lora_targets"]
    for name in names:
        if saved[name] != settings[name]:
            raise UserError(
                f"--model.{name} {settings[name]}: the checkpoint's model has {saved[name]}; leave the flag out"
            )
    rule = settings["threshold"]
    if isinstance(rule, str) and rule != saved["threshold"]:
        raise UserError(f"--model.threshold {rule} is fitted in training: give a number, or train a new run with it")
