"""A classifier as an ONNX graph with its model card: token ids and their mask in, logits and probabilities out."""

import json
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  # PyTorch's own abbreviation
from torch import Tensor, nn
from tqdm import tqdm
from typing_extensions import override

from spam_classifier import hints
from spam_classifier.data.tokenizer import tokenizer_of
from spam_classifier.errors import UserError
from spam_classifier.exporting.model_card import caller_notes, model_card
from spam_classifier.exporting.outputs import complete
from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.trainable import merge_lora
from spam_classifier.runs.check import load_network
from spam_classifier.runs.find import run_directory

try:
    import onnx
    import onnxruntime
    import onnxscript  # noqa: F401  # PyTorch writes its graphs with it
    from onnxruntime.quantization import quantize_dynamic
except ModuleNotFoundError as error:
    raise UserError(f"ONNX needs onnx, onnxscript and onnxruntime: {hints.install('export')}") from error

INPUTS = ["input_ids", "attention_mask"]
LARGEST_FILE = 2 * 1000**3  # bytes of weights; protobuf takes a little more
TOLERANCE = 1e-4
PROBES = ("You have won a prize, call now", "See you at seven?", "ok", "and so on, " * 100)
LEAST_EQUAL = 0.99  # share of the labels that weights of 8 bits must leave
MOST_COMPARED = 1000  # messages
BATCH_SIZE = 16


def export_to_onnx(classifier: Classifier, file: Path, *, int8: bool = False) -> list[str]:
    """Write the graph and next to it the card, after running the graph and comparing it with the classifier.

    With ``int8``, the graph has weights of 8 bits, if it then gives nearly the same labels. Returns what the caller has
    to take care of, a sentence each. Raises a UserError if the file can't have that name or place, or the graph has
    other probabilities than the classifier.
    """
    if file.suffix != ".onnx":
        raise UserError(f"{file}: an ONNX file's name ends in .onnx: name it {file.name}.onnx")
    notes = _notes(classifier)
    data, card = (file.with_name(f"{file.name}{suffix}") for suffix in (".data", ".md"))
    model = load_network(classifier.checkpoint)
    merge_lora(model.backbone)
    with complete(file, data, card) as written:
        graph = written / ("float32.onnx" if int8 else file.name)  # what has no target is removed
        difference = write_graph(classifier, model, graph)
        if int8:
            notes += _quantize(classifier, graph, written / file.name)
        (written / card.name).write_text(model_card(classifier, "onnx", file.name, notes), encoding="utf-8")
    return notes if int8 else [*notes, difference]


def _notes(classifier: Classifier) -> list[str]:
    kept = {"head": "the first ones", "tail": "the last ones", "both": "half of them from each end"}[classifier.keep]
    notes = [
        f"The caller cuts longer texts to {classifier.max_length} tokens, {kept}, as in training. Padding goes to the "
        "right. The graph fails on longer texts, other padding and unknown ids."
    ]
    if length := classifier.model.fixed_length:
        notes.append(
            f"The label depends on the padding: the caller pads every row to {length} tokens, as in training. The "
            "graph fails on other widths."
        )
    return [*notes, *caller_notes(classifier, "The graph")]


class Graph(nn.Module):
    """The network, LoRA merged, and its calibration as one function of the graph's inputs.

    ONNX has no assertions. A Gather outside its table fails when it is run, and the runtime's message names the node.
    So a row whose mask is not allowed reads row 1 of a table with one row, and the node's name says what is allowed.
    """

    empty: Tensor

    def __init__(self, model: GPT2Classifier) -> None:
        super().__init__()
        self.model = model
        self.most: int = model.settings["max_length"]
        self.padding = tokenizer_of(model.settings.get("tokenizer")).padding
        self.rule = f"each_row_of_attention_mask_must_be_1_to_{self.most}_ones_then_zeros"
        self.register_buffer("empty", torch.zeros(1, 1))

    @override
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Calibrated logits and probabilities, both float [B, classes], of int64 [B, T] and int64 [B, T]."""
        lengths = attention_mask.sum(dim=1)  # (B)
        real = torch.arange(input_ids.shape[1]) < lengths[:, None]  # (B, T)
        broken = (attention_mask != real.long()).any(dim=1) | (lengths < 1) | (lengths > self.most)
        # Gather counts negative ids from the end
        input_ids = torch.where(input_ids < 0, self.model.backbone.shape.vocabulary, input_ids)
        input_ids = torch.where(real, input_ids, self.padding)
        logits = self.model(input_ids, lengths).float() / self.model.decision.temperature
        logits = logits + F.embedding(broken.long(), self.empty)  # (B, classes) + (B, 1)
        return logits, logits.softmax(dim=-1)


def write_graph(classifier: Classifier, model: GPT2Classifier, path: Path) -> str:
    """Write a graph of the network in float32, LoRA merged; a sentence on how far it is from the classifier.

    Weights above 2 GB go to another file, whose name ends in ``.data``.
    """
    graph = Graph(model.eval())
    width = model.fixed_length or 3
    example = (torch.zeros(2, width, dtype=torch.long), torch.ones(2, width, dtype=torch.long))
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens", max=model.settings["context"])
    # padding that matters has one width, and the runtime refuses others
    axes = {name: {0: batch} if model.fixed_length else {0: batch, 1: tokens} for name in INPUTS}
    with torch.no_grad(), _quiet():
        # traced strictly, the sizes of a batch stay variables; traced otherwise, len() fixes them
        traced = torch.export.export(graph, example, dynamic_shapes=axes, strict=True)
        program = torch.onnx.export(
            traced,
            input_names=INPUTS,
            output_names=["logits", "probabilities"],
            dynamic_shapes=axes,  # for their names
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(_metadata(classifier))
        (gather,) = program.model.graph.initializers["empty"].consumers()
        gather.name = graph.rule
        size = sum(value.numel() * value.element_size() for value in graph.state_dict().values())
        program.save(path, external_data=size > LARGEST_FILE)
    found, _ = run_graph(classifier, PROBES, path)
    difference = float((found - classifier.probabilities(PROBES)).abs().max())
    if not difference <= TOLERANCE:
        raise UserError(
            f"the graph's probabilities differ from the checkpoint's by {difference:.1e}: nothing was kept; "
            "constraints.txt names versions of torch and onnx that agree"
        )
    name = path.name
    return f"Run by onnxruntime, the probabilities of {name} differ from the checkpoint's by {difference:.1e} at most."


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide PyTorch's warnings of its own deprecations, and of packages that no classifier needs."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _metadata(classifier: Classifier) -> dict[str, str]:
    own = tokenizer_of(classifier.tokenizer).for_tokenizers() if classifier.tokenizer else None
    facts = {
        "labels": json.dumps(classifier.labels, ensure_ascii=False),
        "threshold": classifier.threshold,
        "max_length": classifier.max_length,
        "padded_length": classifier.model.fixed_length,
        **{name: classifier.model.settings[name] for name in ("keep", "token_position", "attention")},
        "tokenizer": json.dumps(own, ensure_ascii=False) if own else "gpt2",
    }
    return {name: "" if value is None else str(value) for name, value in facts.items()}


def run_graph(classifier: Classifier, texts: Sequence[str], path: Path) -> tuple[Tensor, float]:
    """The probabilities of texts by a graph, float32 [N, classes], and how many texts it took a second."""
    graph = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    messages = classifier.encode(texts)
    probabilities = torch.empty(len(texts), len(classifier.labels))
    seconds = 0.0
    by_length = messages.lengths.argsort(descending=True).split(BATCH_SIZE)
    # the longest run twice, as the first run also allocates memory
    for rows in tqdm([by_length[0], *by_length], desc=f"texts through {path.name}", leave=False, disable=None):
        batch = messages.batch(rows, classifier.max_length, classifier.model.fixed_length, classifier.keep)
        mask = torch.arange(batch.input_ids.shape[1]) < batch.lengths[:, None]
        feed = {"input_ids": batch.input_ids.numpy(), "attention_mask": mask.long().numpy()}
        start = time.perf_counter()
        (found,) = graph.run(["probabilities"], feed)
        seconds += time.perf_counter() - start
        probabilities[rows] = torch.from_numpy(found)
    return probabilities, round(len(texts) / seconds, 1)


def _quantize(classifier: Classifier, graph: Path, file: Path) -> list[str]:
    """Write a graph with weights of 8 bits; sentences on its size, rate, and agreement on the run's test split."""
    from spam_classifier.data.splits import TEST
    from spam_classifier.evaluation.predictions import read_messages

    split = run_directory(classifier.checkpoint) / f"{TEST}.csv"
    if not split.is_file():
        raise UserError(f"--int8 needs messages to compare on, and there is no {split}: leave out --int8")
    texts = read_messages(split)["text"].tolist()
    texts = texts[:: -(-len(texts) // MOST_COMPARED)]
    float32 = onnx.load(graph)
    float32.graph.ClearField("value_info")  # onnxruntime 1.22 transposes weights, and trips over their former shapes
    with _quiet():
        # Sums of two products of 8 by 8 bits do not fit into 16, in which CPUs without VNNI add them; with weights of 7
        # bits they do, so that labels are the same there.
        quantize_dynamic(float32, file, per_channel=True, reduce_range=True)
    _, former_rate = run_graph(classifier, texts, graph)
    found, rate = run_graph(classifier, texts, file)
    expected = classifier.probabilities(texts)
    decide = classifier.model.decision.decide
    equal = int((decide(found) == decide(expected)).sum())
    if equal < LEAST_EQUAL * len(texts):
        raise UserError(
            f"with --int8, {len(texts) - equal} of {len(texts)} messages of the run's test split get another label, "
            f"and at most {1 - LEAST_EQUAL:.0%} may: nothing was kept; leave out --int8"
        )
    return [
        f"Weights of 8 bits: {_megabytes(file)} MB instead of {_megabytes(graph)}, and {rate / former_rate:.1f} times "
        f"as fast as in float32 ({rate:,} and {former_rate:,} texts a second in batches of {BATCH_SIZE}, on the "
        "machine of the export).",
        f"Of {len(texts)} messages of the run's test split, {equal} get the checkpoint's label; the largest change of "
        f"a probability is {float((found - expected).abs().max()):.2g}.",
        "With weights of 8 bits, a text's probabilities change a little with the other texts of its batch.",
    ]


def _megabytes(path: Path) -> float:
    files = [path, path.with_name(f"{path.name}.data")]
    return round(sum(file.stat().st_size for file in files if file.exists()) / 1000**2, 1)
