"""An ONNX graph with weights of 8 bits: smaller and faster, and kept only if it gives nearly all the same labels."""

import json
import time
from pathlib import Path
from typing import NamedTuple

import onnx
import torch
from onnxruntime.quantization import quantize_dynamic
from torch import Tensor
from tqdm import tqdm

from spam_classifier.data.splits import TEST, TRAIN, VALIDATION
from spam_classifier.errors import UserError
from spam_classifier.evaluation.predictions import read_messages
from spam_classifier.exporting.onnx_graph import batch_of, open_graph, quiet, run
from spam_classifier.inference.classifier import Classifier
from spam_classifier.runs.find import run_directory

LEAST_EQUAL = 0.99  # share of the labels
FEWEST, MOST = 100, 1000  # messages to compare on, where the run has them
BATCH_SIZE = 16


class Compared(NamedTuple):
    """How a graph with weights of 8 bits compares with the classifier, and with the float32 graph; kept in its file."""

    messages: int
    of: str
    equal_labels: int
    largest_change: float
    megabytes: float
    megabytes_float32: float
    texts_per_second: float
    texts_per_second_float32: float


def quantize_graph(classifier: Classifier, graph: Path, file: Path) -> list[str]:
    """Write a graph with weights of 8 bits, and compare it with the classifier on messages of the run.

    Args:
        classifier: The classifier.
        graph: What ``write_graph`` wrote for it.
        file: Where to write.

    Returns:
        Sentences on its size, rate and agreement.

    Raises:
        UserError: Too few labels are equal, or the run keeps no messages.
    """
    texts, of = _messages(run_directory(classifier.checkpoint))
    float32 = onnx.load(graph)
    float32.graph.ClearField("value_info")  # onnxruntime 1.22 transposes weights, and trips over their former shapes
    with quiet():
        # Sums of two products of 8 by 8 bits do not fit into 16, in which CPUs without VNNI add them; with weights of 7
        # bits they do, so that labels are the same there.
        quantize_dynamic(float32, file, per_channel=True, reduce_range=True)
    _, rate_of_float32 = _run_on(classifier, texts, graph)
    found, rate = _run_on(classifier, texts, file)
    expected = classifier.probabilities(texts)
    decide = classifier.model.decision.decide
    equal = int((decide(found) == decide(expected)).sum())
    if equal < LEAST_EQUAL * len(texts):
        raise UserError(
            f"with --int8, {len(texts) - equal} of {len(texts)} messages {of} get another label, and at most "
            f"{1 - LEAST_EQUAL:.0%} may: nothing was kept; leave out --int8"
        )
    compared = Compared(
        len(texts),
        of,
        equal,
        float((found - expected).abs().max()),
        _megabytes(file),
        _megabytes(graph),
        rate,
        rate_of_float32,
    )
    _add_metadata(file, compared)
    return _sentences(compared)


def _messages(run: Path) -> tuple[list[str], str]:
    """Texts of a run that stand for all, and what they are."""
    texts: list[str] = []
    used = []
    for split in (TEST, VALIDATION, TRAIN):
        path = run / f"{split}.csv"
        if len(texts) < FEWEST and path.is_file():
            texts += read_messages(path)["text"].tolist()
            used.append(split)
    if not texts:
        raise UserError(f"--int8 needs messages to compare on, and there is no {run / TEST}.csv: leave out --int8")
    of = f"of the run's {' and '.join(used)} split{'s' if len(used) > 1 else ''}"
    step = -(-len(texts) // MOST)
    return texts[::step], of if step == 1 else f"spread evenly over the {len(texts)} {of}"


def _run_on(classifier: Classifier, texts: list[str], path: Path) -> tuple[Tensor, float]:
    """The probabilities by a graph, float32 [N, classes], and how many texts it took a second."""
    graph, messages = open_graph(path), classifier.encode(texts)
    by_length = messages.lengths.argsort(descending=True).split(BATCH_SIZE)
    batches = [batch_of(classifier, messages, rows) for rows in by_length]
    probabilities = torch.empty(len(texts), len(classifier.labels))
    run(graph, batches[0])  # the first run also allocates memory
    start = time.perf_counter()
    for batch in tqdm(batches, desc=f"texts through {path.name}", leave=False, disable=None):
        probabilities[batch.index] = run(graph, batch)
    return probabilities, round(len(texts) / (time.perf_counter() - start), 1)


def _megabytes(path: Path) -> float:
    files = [path, path.with_name(f"{path.name}.data")]
    return round(sum(file.stat().st_size for file in files if file.exists()) / 1000**2, 1)


def _add_metadata(file: Path, compared: Compared) -> None:
    graph = onnx.load(file)
    graph.metadata_props.add(key="int8", value=json.dumps(compared._asdict()))
    onnx.save(graph, file)


def _sentences(compared: Compared) -> list[str]:
    ratio = compared.texts_per_second / compared.texts_per_second_float32
    return [
        f"Weights of 8 bits: {compared.megabytes} MB instead of {compared.megabytes_float32}, and {ratio:.1f} times as "
        f"fast as in float32 ({compared.texts_per_second:,} and {compared.texts_per_second_float32:,} texts a second "
        f"in batches of {BATCH_SIZE}, on the machine of the export).",
        f"Of {compared.messages} messages {compared.of}, {compared.equal_labels} get the checkpoint's label; the "
        f"largest change of a probability is {compared.largest_change:.2g}.",
        "With weights of 8 bits, a text's probabilities change a little with the other texts of its batch.",
    ]
