"""A classifier as a directory that transformers opens as ``GPT2ForSequenceClassification``."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from spam_classifier.data.tokenizer import tokenizer_of
from spam_classifier.errors import UserError
from spam_classifier.exporting.model_card import caller_notes, model_card
from spam_classifier.exporting.onnx_export import write_graph
from spam_classifier.exporting.outputs import complete
from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.pretrained import TRANSPOSED, WEIGHTS_FILE
from spam_classifier.models.trainable import merge_lora
from spam_classifier.runs.check import load_network

ONNX_FILE = "onnx/model.onnx"  # where optimum and transformers.js look
TOLERANCE = 1e-6  # largest error of the folded bias, in logits


def export_to_transformers(classifier: Classifier, directory: Path) -> list[str]:
    """Write weights, configuration, tokenizer, ONNX graph and model card, without transformers itself.

    Returns how the pipeline and the graph differ from the classifier, a sentence each. Raises a UserError if
    transformers has no such model, or the directory exists.
    """
    _refuse_what_transformers_lacks(classifier)
    model = without_bias(load_network(classifier.checkpoint))
    notes = _notes(classifier)
    name = directory.resolve().name
    with complete(directory) as parent:
        written = parent / name
        written.mkdir()
        graph = written / ONNX_FILE
        graph.parent.mkdir()
        notes.append(write_graph(classifier, model, graph))
        try:
            save_file(transformers_weights(model), written / WEIGHTS_FILE, metadata={"format": "pt"})
        except SafetensorError as error:  # the disk is full or read-only
            raise OSError(str(error)) from error
        files = {
            "config": _config(classifier),
            "tokenizer_config": _tokenizer_config(classifier),
            "tokenizer": tokenizer_of(classifier.tokenizer).for_tokenizers(),
        }
        for stem, content in files.items():
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            (written / f"{stem}.json").write_text(text, encoding="utf-8")
        (written / WEIGHTS_FILE).chmod((written / "config.json").stat().st_mode)  # safetensors makes it private
        (written / "README.md").write_text(model_card(classifier, "transformers", name, notes), encoding="utf-8")
    return notes


def without_bias(model: GPT2Classifier) -> GPT2Classifier:
    """The network with the same probabilities, changed so that its head has neither bias nor temperature.

    Both go into the weights, as transformers has no place for them. LoRA is merged.
    """
    merge_lora(model.backbone)
    head, bias = model.head.weight.detach().double(), model.head.bias.detach().double()
    final = model.backbone.ln_f
    with torch.no_grad():
        final.bias.copy_(final.bias.double() + bias_as_shift(head, bias))
        model.head.weight.copy_(head / model.decision.temperature.double())
        model.head.bias.zero_()
        model.decision.temperature.fill_(1)
    return model


def transformers_weights(model: GPT2Classifier) -> dict[str, Tensor]:
    """The weights of ``GPT2ForSequenceClassification`` by their names there, from what ``without_bias`` gives.

    Positions are kept up to the length that texts are cut to: a longer one then fails, rather than get probabilities
    that the run never gives.
    """
    weights = {name: value.detach() for name, value in model.backbone.state_dict().items()}
    weights["wpe.weight"] = weights["wpe.weight"][: model.settings["max_length"]]
    named = {
        f"transformer.{name}": (value.T if TRANSPOSED.fullmatch(name) else value).contiguous()
        for name, value in weights.items()
    }
    return {**named, "score.weight": model.head.weight.detach()}


def bias_as_shift(head: Tensor, bias: Tensor) -> Tensor:
    """The shortest shift of hidden states, [width], that changes the probabilities as the head's bias does.

    The head's weight is float64 [classes, width], its bias float64 [classes].
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
    if tokenizer_of(classifier.tokenizer).text_makes_padding:
        raise UserError(
            "transformers' GPT-2 classifier needs a padding token that texts don't contain, and the vocabulary has no "
            "special token: export to onnx"
        )
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
    notes = [
        f"Call the pipeline with truncation=True, and a tokenizer with truncation=True, max_length={most}: longer "
        "texts are cut as in training, and fail otherwise.",
        "Pad on the right, as the tokenizer does by itself. Padding on the left changes the probabilities in "
        "transformers without a warning; the ONNX graph refuses it.",
    ]
    if classifier.keep != "head":
        where, kept = {
            "both": ("the pipeline", "head and tail"),
            "tail": ("transformers.js", "their tail"),
        }[classifier.keep]
        notes.append(
            f"Texts of more than {most} tokens get other probabilities in {where}: it keeps their head only, training "
            f"kept {kept}."
        )
    return [*notes, *caller_notes(classifier, "The pipeline")]


def _config(classifier: Classifier) -> dict[str, Any]:
    settings = classifier.model.settings
    labels = dict(enumerate(classifier.labels))
    config = {
        "architectures": ["GPT2ForSequenceClassification"],
        "model_type": "gpt2",
        "problem_type": "single_label_classification",
        "id2label": {str(number): label for number, label in labels.items()},
        "label2id": {label: number for number, label in labels.items()},
        "vocab_size": classifier.model.backbone.shape.vocabulary,
        "n_positions": classifier.max_length,
        "n_embd": settings["width"],
        "n_layer": settings["layers"],
        "n_head": settings["heads"],
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        **{f"{name}_pdrop": 0.0 for name in ("resid", "embd", "attn")},
        **{f"{name}_token_id": tokenizer_of(classifier.tokenizer).padding for name in ("bos", "eos", "pad")},
        "dtype": "float32",
        "transformers.js_config": {"dtype": "fp32"},  # in browsers it looks for a quantized graph otherwise
    }
    if classifier.threshold is not None:
        config["decision_threshold"] = classifier.threshold  # of the second class; for readers, transformers ignores it
    return config


def _tokenizer_config(classifier: Classifier) -> dict[str, Any]:
    tokenizer = tokenizer_of(classifier.tokenizer)
    padding = next(token for token, number in tokenizer.vocabulary.items() if number == tokenizer.padding)
    return {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": classifier.max_length,
        "padding_side": "right",
        "truncation_side": "left" if classifier.keep == "tail" else "right",
        "add_prefix_space": False,
        "split_special_tokens": True,  # <|endoftext|> in a text is plain text
        "clean_up_tokenization_spaces": False,
        **{f"{name}_token": padding for name in ("bos", "eos", "pad", "unk")},
    }
