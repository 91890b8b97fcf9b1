"""A classifier as a directory that transformers opens as ``GPT2ForSequenceClassification``."""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from spam_classifier.data.tokenizer import Tokenizer, tokenizer_of
from spam_classifier.errors import UserError
from spam_classifier.exporting.model_card import CARD_FILE, caller_notes, model_card
from spam_classifier.exporting.outputs import whole_directory
from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.lora import merge_lora
from spam_classifier.models.pretrained import TRANSPOSED, WEIGHTS_FILE

CONFIG_FILE = "config.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
TOKENIZER_FILE = "tokenizer.json"
ONNX_FILE = "onnx/model.onnx"  # where optimum and transformers.js look
WRITTEN = [WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, CARD_FILE]
INT8_FILE = "onnx/model_quantized.onnx"  # where transformers.js looks for dtype q8
WRITTEN += ["onnx", ONNX_FILE, f"{ONNX_FILE}.data", INT8_FILE]
TOLERANCE = 1e-6  # largest error of the folded bias, in logits


def export_to_transformers(
    classifier: Classifier, directory: Path, *, overwrite: bool = False, int8: bool = False
) -> list[str]:
    """Write weights, configuration, tokenizer and model card, without transformers itself.

    With the packages of the extra ``export``, an ONNX graph is written, too; with ``int8``, also one with weights of 8
    bits.

    Returns:
        How the pipeline differs from the classifier, and whether there is a graph, a sentence each.

    Raises:
        UserError: transformers has no such model, or the directory exists.
    """
    _refuse_what_transformers_lacks(classifier)
    model = without_bias(classifier.model)
    notes = _notes(classifier)
    with whole_directory(directory, WRITTEN, overwrite=overwrite) as written:
        notes += _write_onnx(classifier, model, written, int8=int8)
        try:
            save_file(transformers_weights(model), written / WEIGHTS_FILE, metadata={"format": "pt"})
        except SafetensorError as error:  # the disk is full or read-only
            raise UserError(
                f"cannot write {directory} ({error}): check its directory and the free space there"
            ) from error
        _write_json(written / CONFIG_FILE, _config(classifier))
        _write_json(written / TOKENIZER_CONFIG_FILE, _tokenizer_config(classifier))
        _write_json(written / TOKENIZER_FILE, _tokenizer(tokenizer_of(classifier.tokenizer)))
        (written / WEIGHTS_FILE).chmod((written / CONFIG_FILE).stat().st_mode)  # safetensors makes it private
        has_graph = (written / ONNX_FILE).exists()
        name = directory.resolve().name
        card = model_card(classifier, "transformers", name, notes, has_graph=has_graph)
        (written / CARD_FILE).write_text(card, encoding="utf-8")
    return notes


def without_bias(model: GPT2Classifier) -> GPT2Classifier:
    """A copy on the CPU in float32 with the same probabilities, whose head has neither bias nor temperature.

    Both go into the weights, as transformers has no place for them. LoRA is merged.

    Raises:
        UserError: The head's bias cannot be expressed.
    """
    copied = copy.deepcopy(model).cpu().float()
    merge_lora(copied.backbone)
    head, bias = copied.head.weight.detach().double(), copied.head.bias.detach().double()
    final = copied.backbone.ln_f
    with torch.no_grad():
        final.bias.copy_(final.bias.double() + bias_as_shift(head, bias))
        copied.head.weight.copy_(head / copied.decision.temperature.double())
        copied.head.bias.zero_()
        copied.decision.temperature.fill_(1)
    return copied


def transformers_weights(model: GPT2Classifier) -> dict[str, Tensor]:
    """The weights of ``GPT2ForSequenceClassification`` by their names there.

    Positions are kept up to the length that texts are cut to: a longer one then fails, rather than get probabilities
    that the run never gives.

    Args:
        model: What ``without_bias`` gives.
    """
    weights = {name: value.detach() for name, value in model.backbone.state_dict().items()}
    weights["wpe.weight"] = weights["wpe.weight"][: model.settings["max_length"]]
    named = {
        f"transformer.{name}": (value.T if TRANSPOSED.fullmatch(name) else value).contiguous()
        for name, value in weights.items()
    }
    return {**named, "score.weight": model.head.weight.detach()}


def _write_onnx(classifier: Classifier, model: GPT2Classifier, directory: Path, *, int8: bool) -> list[str]:
    """Write the graphs, and say in sentences whether there are any.

    Raises:
        UserError: There is no graph of 8 bits.
    """
    try:
        from spam_classifier.exporting.int8_graph import quantize_graph
        from spam_classifier.exporting.onnx_graph import write_graph
    except UserError as error:
        if int8:
            raise
        return [f"{ONNX_FILE} was not written, which optimum and transformers.js need. {error}"]
    graph = directory / ONNX_FILE
    graph.parent.mkdir()
    notes = [write_graph(classifier, model, graph)]
    if int8:
        of_int8 = quantize_graph(classifier, graph, directory / INT8_FILE)
        how = 'optimum opens it with file_name="model_quantized.onnx", transformers.js with dtype: "q8"'
        notes += [f"{INT8_FILE} has weights of 8 bits: {how}.", *of_int8]
    return notes


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
    if classifier.keep == "both":
        notes.append(
            f"Texts of more than {most} tokens get other probabilities in the pipeline: it keeps their head only, "
            "training kept head and tail."
        )
    if classifier.keep == "tail":
        notes.append(
            f"Texts of more than {most} tokens get other probabilities in transformers.js: it keeps their head, "
            "training kept their tail."
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


def _tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    """The tokenizer as the library tokenizers writes it, and transformers.js and other servers read it.

    ``<|endoftext|>`` is no added token, so that it is plain text there, too.
    """
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": tokenizer.vocabulary,
            "merges": [" ".join(pair) for pair in tokenizer.merges],
        },
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
