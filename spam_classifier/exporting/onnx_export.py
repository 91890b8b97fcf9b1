"""A classifier as an ONNX graph: token ids and lengths in, calibrated probabilities out."""

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from typing_extensions import override

from spam_classifier import hints
from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.errors import UserError
from spam_classifier.exporting.model_card import model_card, threshold_notes
from spam_classifier.exporting.outputs import whole_files
from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.lora import merge_lora

try:
    import onnxruntime
    import onnxscript  # noqa: F401  # PyTorch writes its graphs with it
except ModuleNotFoundError as error:
    raise UserError(f"ONNX needs onnx, onnxscript and onnxruntime: {hints.install('export')}") from error

LARGEST_FILE = 2 * 1000**3  # bytes of weights; protobuf takes a little more
TOLERANCE = 1e-4
PROBES = ("You have won a prize, call now", "See you at seven?", "ok", "and so on, " * 100)


class ProbabilityGraph(nn.Module):
    """The network and its calibration as one function of the graph's inputs; LoRA is merged."""

    def __init__(self, model: GPT2Classifier) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).float()
        merge_lora(self.model.backbone)

    @override
    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Probabilities: int64 [B, T] and int64 [B] to float [B, classes]."""
        return self.model.decision.probabilities(self.model(input_ids, lengths))


def export_to_onnx(classifier: Classifier, file: Path, *, overwrite: bool = False) -> list[str]:
    """Write the graph and its model card, after running it once and comparing it with the classifier.

    Returns:
        What the caller has to take care of, a sentence each.

    Raises:
        UserError: The file can't have that name or place, or the graph has other probabilities than the classifier.
    """
    if file.suffix != ".onnx":
        raise UserError(f"{file}: an ONNX file's name ends in .onnx: name it {file.name}.onnx")
    notes = _notes(classifier)
    data, card = (file.with_name(f"{file.name}{suffix}") for suffix in (".data", ".md"))
    with whole_files(file, (data, card), overwrite=overwrite) as written:
        _write_graph(classifier, written / file.name)
        difference = _largest_difference(classifier, written / file.name)
        if not difference <= TOLERANCE:
            raise UserError(
                f"the graph's probabilities differ from the checkpoint's by {difference:.1e}: nothing was kept; "
                "constraints.txt names versions of torch and onnx that agree"
            )
        (written / card.name).write_text(model_card(classifier, "onnx", file.name, notes), encoding="utf-8")
    return [*notes, f"Run by onnxruntime, its probabilities differ from the checkpoint's by {difference:.1e} at most."]


def _write_graph(classifier: Classifier, path: Path) -> None:
    graph = ProbabilityGraph(classifier.model).cpu().eval()
    example = (torch.zeros(2, 3, dtype=torch.long), torch.tensor([3, 2]))
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens", max=classifier.model.settings["context"])
    axes = {"input_ids": {0: batch, 1: tokens}, "lengths": {0: batch}}
    with torch.no_grad(), _quiet():
        # traced strictly, the sizes of a batch stay variables; traced otherwise, len() fixes them
        traced = torch.export.export(graph, example, dynamic_shapes=axes, strict=True)
        program = torch.onnx.export(
            traced,
            input_names=["input_ids", "lengths"],
            output_names=["probabilities"],
            dynamic_shapes=axes,  # for their names
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(_metadata(classifier))
        size = sum(value.numel() * value.element_size() for value in graph.state_dict().values())
        program.save(path, external_data=size > LARGEST_FILE)


@contextmanager
def _quiet() -> Iterator[None]:
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
        "tokenizer": "gpt2",
    }
    return {name: "" if value is None else str(value) for name, value in facts.items()}


def _largest_difference(classifier: Classifier, path: Path) -> float:
    settings, rows = classifier.model.settings, torch.arange(len(PROBES))
    messages = EncodedMessages.from_texts(PROBES)
    batch = messages.batch(rows, classifier.max_length, classifier.model.fixed_length, settings["keep"])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {"input_ids": batch.input_ids.numpy(), "lengths": batch.lengths.numpy()}
    (found,) = session.run(["probabilities"], feed)
    return float((torch.from_numpy(found) - classifier.probabilities(PROBES)).abs().max())


def _notes(classifier: Classifier) -> list[str]:
    settings = classifier.model.settings
    kept = {"head": "the first ones", "tail": "the last ones", "both": "half of them from each end"}[settings["keep"]]
    notes = [f"The caller cuts longer texts to {classifier.max_length} tokens, {kept}, as in training."]
    if length := classifier.model.fixed_length:
        notes.append(
            f"The label depends on the padding: the caller pads every row to {length} tokens with id 50256, as in "
            "training."
        )
    return [*notes, *threshold_notes(classifier, "The graph")]
