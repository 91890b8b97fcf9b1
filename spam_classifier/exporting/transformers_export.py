"""A classifier as a directory that transformers opens as ``GPT2ForSequenceClassification``."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from spam_classifier.data.encoding import ENDOFTEXT, PADDING_ID, vocabulary_directory
from spam_classifier.errors import UserError
from spam_classifier.exporting.model_card import CARD_FILE, model_card, threshold_notes
from spam_classifier.exporting.outputs import whole_directory
from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.lora import merge_lora
from spam_classifier.models.pretrained import TRANSPOSED, WEIGHTS_FILE

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer_config.json"
VOCABULARY_FILES = {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}  # installed name: transformers' name
WRITTEN = (WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FILE, CARD_FILE, *VOCABULARY_FILES.values())
TOLERANCE = 1e-6  # largest error of the folded bias, in logits


def export_to_transformers(classifier: Classifier, directory: Path, *, overwrite: bool = False) -> list[str]:
    """Write weights, configuration, tokenizer and model card, without transformers itself.

    Returns:
        How the pipeline differs from the classifier, a sentence each.

    Raises:
        UserError: transformers has no such model, or the directory exists.
    """
    _refuse_what_transformers_lacks(classifier)
    notes = _notes(classifier)
    with whole_directory(directory, WRITTEN, overwrite=overwrite) as written:
        try:
            save_file(transformers_weights(classifier), written / WEIGHTS_FILE, metadata={"format": "pt"})
        except SafetensorError as error:  # the disk is full or read-only
            raise UserError(
                f"cannot write {directory} ({error}): check its directory and the free space there"
            ) from error
        _write_json(written / CONFIG_FILE, _config(classifier))
        _write_json(written / TOKENIZER_FILE, _tokenizer_config(classifier))
        (written / WEIGHTS_FILE).chmod((written / CONFIG_FILE).stat().st_mode)  # safetensors makes it private
        for installed, name in VOCABULARY_FILES.items():
            shutil.copyfile(vocabulary_directory() / installed, written / name)
        card = model_card(classifier, "transformers", directory.resolve().name, notes)
        (written / CARD_FILE).write_text(card, encoding="utf-8")
    return notes


def transformers_weights(classifier: Classifier) -> dict[str, Tensor]:
    """The weights of ``GPT2ForSequenceClassification`` by their names there, float32.

    Its head has neither bias nor temperature, so both go into the weights.

    Raises:
        UserError: The head's bias cannot be expressed.
    """
    model = classifier.model
    assert model.backbone is not None
    assert model.head is not None
    backbone = copy.deepcopy(model.backbone).float()
    merge_lora(backbone)
    weights = {name: value.detach() for name, value in backbone.state_dict().items()}
    head, bias = model.head.weight.detach().double(), model.head.bias.detach().double()
    weights["ln_f.bias"] = (weights["ln_f.bias"].double() + bias_as_shift(head, bias)).float()
    named = {
        f"transformer.{name}": (value.T if TRANSPOSED.fullmatch(name) else value).float().contiguous()
        for name, value in weights.items()
    }
    named["score.weight"] = (head / model.decision.temperature.double()).float().contiguous()
    return named


def bias_as_shift(head: Tensor, bias: Tensor) -> Tensor:
    """The shortest shift of hidden states, [width], that changes the probabilities as the head's bias does.

    Args:
        head: Weight of the head, float64 [classes, width].
        bias: Its bias, float64 [classes].

    Raises:
        UserError: There is no such shift.
    """
    head, bias = head - head.mean(dim=0), bias - bias.mean()  # a softmax ignores what all logits have in common
    shift = torch.linalg.pinv(head) @ bias
    if not bool(((head @ shift - bias).abs() <= TOLERANCE).all()):
        raise UserError(
            "transformers' GPT-2 classifier has no bias in its head, and the weights cannot replace this one's: some "
            "classes differ by the bias alone; train longer, or export to onnx"
        )
    return shift


def _refuse_what_transformers_lacks(classifier: Classifier) -> None:
    settings = classifier.model.settings
    position, length = settings["token_position"], classifier.model.fixed_length
    remedy = "train with --config configs/recommended.yaml, or export to onnx"
    if settings["attention"] == "full":
        raise UserError(f"transformers' GPT-2 has no full attention: {remedy} (this run has --model.attention full)")
    if position in ("first", "mean") or length:
        padded = f" of rows padded to {length} tokens" if length else ""
        raise UserError(
            "transformers' GPT-2 classifier reads the last token that is not padding, and nothing else: "
            f"{remedy} (this run has --model.token_position {position}{padded})"
        )


def _notes(classifier: Classifier) -> list[str]:
    most = classifier.max_length
    notes = [f"Call the pipeline with truncation=True: it keeps {most} tokens, as in training, and else cuts no text."]
    if classifier.keep == "both":
        notes.append(
            f"Texts of more than {most} tokens get other probabilities in the pipeline: it keeps their head only, "
            "training kept head and tail."
        )
    return [*notes, *threshold_notes(classifier, "The pipeline")]


def _config(classifier: Classifier) -> dict[str, Any]:
    settings = classifier.model.settings
    labels = dict(enumerate(classifier.labels))
    config = {
        "architectures": ["GPT2ForSequenceClassification"],
        "model_type": "gpt2",
        "problem_type": "single_label_classification",
        "id2label": {str(number): label for number, label in labels.items()},
        "label2id": {label: number for number, label in labels.items()},
        "vocab_size": PADDING_ID + 1,
        "n_positions": settings["context"],
        "n_embd": settings["width"],
        "n_layer": settings["layers"],
        "n_head": settings["heads"],
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        **{f"{name}_pdrop": 0.0 for name in ("resid", "embd", "attn")},
        **{f"{name}_token_id": PADDING_ID for name in ("bos", "eos", "pad")},
        "dtype": "float32",
    }
    if classifier.threshold is not None:
        config["decision_threshold"] = classifier.threshold  # of the second class; for readers, transformers ignores it
    return config


def _tokenizer_config(classifier: Classifier) -> dict[str, Any]:
    return {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": classifier.max_length,
        "padding_side": "right",
        "truncation_side": "left" if classifier.keep == "tail" else "right",
        "add_prefix_space": False,
        "split_special_tokens": True,  # <|endoftext|> in a text is plain text
        "clean_up_tokenization_spaces": False,
        **{f"{name}_token": ENDOFTEXT for name in ("bos", "eos", "pad", "unk")},
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
