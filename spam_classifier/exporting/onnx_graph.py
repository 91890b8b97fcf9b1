"""A classifier as an ONNX graph: token ids and their mask in, calibrated logits and probabilities out."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  # PyTorch's own abbreviation
from torch import Tensor, nn
from typing_extensions import override

from spam_classifier import hints
from spam_classifier.batch import Batch
from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.data.tokenizer import tokenizer_of
from spam_classifier.errors import UserError
from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.gpt2_classifier import GPT2Classifier

try:
    import onnxruntime
    import onnxscript  # noqa: F401  # PyTorch writes its graphs with it
except ModuleNotFoundError as error:
    raise UserError(f"ONNX needs onnx, onnxscript and onnxruntime: {hints.install('export')}") from error

INPUTS = ["input_ids", "attention_mask"]
LARGEST_FILE = 2 * 1000**3  # bytes of weights; protobuf takes a little more
TOLERANCE = 1e-4
PROBES = ("You have won a prize, call now", "See you at seven?", "ok", "and so on, " * 100)


class Graph(nn.Module):
    """The network and its calibration as one function of the graph's inputs.

    ONNX has no assertions. A Gather outside its table fails when it is run, and the runtime's message names the node.
    So a row whose mask is not allowed reads row 1 of a table with one row, and the node's name says what is allowed.

    Args:
        model: The network, LoRA merged.
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
    """Write a graph, run it once, and compare it with the classifier.

    Args:
        classifier: The classifier.
        model: Its network on the CPU in float32, LoRA merged.
        path: The file; weights above 2 GB go to another one, whose name ends in ``.data``.

    Returns:
        A sentence on the difference.

    Raises:
        UserError: The graph has other probabilities than the classifier.
    """
    _save(classifier, Graph(model.cpu().eval()), path)
    difference = _largest_difference(classifier, path)
    if not difference <= TOLERANCE:
        raise UserError(
            f"the graph's probabilities differ from the checkpoint's by {difference:.1e}: nothing was kept; "
            "constraints.txt names versions of torch and onnx that agree"
        )
    name = path.name
    return f"Run by onnxruntime, the probabilities of {name} differ from the checkpoint's by {difference:.1e} at most."


def _save(classifier: Classifier, graph: Graph, path: Path) -> None:
    model = graph.model
    width = model.fixed_length or 3
    example = (torch.zeros(2, width, dtype=torch.long), torch.ones(2, width, dtype=torch.long))
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens", max=model.settings["context"])
    # padding that matters has one width, and the runtime refuses others
    axes = {name: {0: batch} if model.fixed_length else {0: batch, 1: tokens} for name in INPUTS}
    with torch.no_grad(), quiet():
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


@contextmanager
def quiet() -> Iterator[None]:
    """Hide PyTorch's warnings of its own deprecations, and of packages that no classifier needs."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _metadata(classifier: Classifier) -> dict[str, str]:
    settings = classifier.model.settings
    facts = {
        "labels": json.dumps(classifier.labels, ensure_ascii=False),
        "threshold": classifier.threshold,
        "max_length": classifier.max_length,
        "padded_length": classifier.model.fixed_length,
        **{name: settings[name] for name in ("keep", "token_position", "attention")},
        "tokenizer": classifier.tokenizer or "gpt2",
    }
    return {name: "" if value is None else str(value) for name, value in facts.items()}


def _largest_difference(classifier: Classifier, path: Path) -> float:
    messages = classifier.encode(PROBES)
    found = run(open_graph(path), batch_of(classifier, messages, torch.arange(len(PROBES))))
    return float((found - classifier.probabilities(PROBES)).abs().max())


def batch_of(classifier: Classifier, messages: EncodedMessages, rows: Tensor) -> Batch:
    """Some messages as the graph takes them."""
    return messages.batch(rows, classifier.max_length, classifier.model.fixed_length, classifier.keep)


def open_graph(path: Path) -> onnxruntime.InferenceSession:
    """A graph that onnxruntime is ready to run."""
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run(graph: onnxruntime.InferenceSession, batch: Batch) -> Tensor:
    """The probabilities of a batch, float32 [B, classes]."""
    mask = torch.arange(batch.input_ids.shape[1]) < batch.lengths[:, None]
    feed = {"input_ids": batch.input_ids.numpy(), "attention_mask": mask.long().numpy()}
    (found,) = graph.run(["probabilities"], feed)
    return torch.from_numpy(found)
