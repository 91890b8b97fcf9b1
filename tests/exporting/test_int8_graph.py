"""Weights of 8 bits: the file is smaller, and says truly how far it is from the classifier, or there is none."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from torch import Tensor
from transformers import AutoTokenizer

from spam_classifier import Classifier, load_classifier
from spam_classifier.data.corpora import read_corpus
from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.export import main
from spam_classifier.exporting import int8_graph, onnx_graph
from spam_classifier.exporting.onnx_graph import batch_of, open_graph, run


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return read_corpus("sample").messages["text"].tolist()[:150]


@pytest.fixture
def checkpoint(trained: Callable[..., Classifier], texts: list[str], tmp_path: Path) -> Path:
    """A checkpoint in a run that keeps its splits: 90 messages of the test split, 60 of the validation split."""
    directory = tmp_path / "run"
    (directory / "checkpoints").mkdir(parents=True)
    shutil.copy(trained().checkpoint, directory / "checkpoints/model.ckpt")
    for split, rows in (("test", texts[:90]), ("validation", texts[90:])):
        pd.DataFrame({"label": "ham", "text": rows}).to_csv(directory / f"{split}.csv", index=False)
    return directory / "checkpoints/model.ckpt"


@pytest.fixture
def export(call: Callable, checkpoint: Path) -> Callable:
    """Run ``export KIND TARGET --int8``."""
    return lambda kind, target: call(main, kind, target, "--int8", "--ckpt_path", checkpoint)


def probabilities(classifier: Classifier, file: Path, texts: list[str]) -> Tensor:
    """By the file, in batches as the export compares them."""
    messages, graph = EncodedMessages.from_texts(texts), open_graph(file)
    found = torch.empty(len(texts), len(classifier.labels))
    for rows in messages.lengths.argsort(descending=True).split(int8_graph.BATCH_SIZE):
        found[rows] = run(graph, batch_of(classifier, messages, rows))
    return found


@pytest.mark.slow
def test_what_is_printed_and_kept_is_true(
    export: Callable, checkpoint: Path, texts: list[str], tmp_path: Path, call: Callable
) -> None:
    done = export("onnx", tmp_path / "small.onnx")
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.iterdir()} == {"run", "small.onnx", "small.onnx.md"}
    assert call(main, "onnx", tmp_path / "large.onnx", "--ckpt_path", checkpoint).code == 0
    classifier = load_classifier(checkpoint)
    found, expected = probabilities(classifier, tmp_path / "small.onnx", texts), classifier.probabilities(texts)
    largest = float((found - expected).abs().max())
    assert 1e-6 < largest < 0.02
    decide = classifier.model.decision.decide
    equal = int((decide(found) == decide(expected)).sum())

    facts = onnxruntime.InferenceSession(tmp_path / "small.onnx").get_modelmeta().custom_metadata_map
    kept = json.loads(facts["int8"])
    sizes = [(tmp_path / name).stat().st_size / 1e6 for name in ("small.onnx", "large.onnx")]
    assert sizes[0] < sizes[1] / 3
    assert [kept["megabytes"], kept["megabytes_float32"]] == pytest.approx(sizes, abs=0.1)
    assert (kept["messages"], kept["equal_labels"], kept["largest_change"]) == (150, equal, pytest.approx(largest))
    assert json.loads(facts["labels"]) == classifier.labels

    card = (tmp_path / "small.onnx.md").read_text().replace("\\", "")
    for said in (done.err, card):
        assert f"Weights of 8 bits: {kept['megabytes']} MB instead of {kept['megabytes_float32']}" in said
        assert f"({kept['texts_per_second']:,} and {kept['texts_per_second_float32']:,} texts a second" in said
        assert f"Of 150 messages of the run's test and validation splits, {equal} get the checkpoint's label" in said
        assert f"the largest change of a probability is {largest:.2g}." in said
        assert "change a little with the other texts of its batch" in said


@pytest.mark.slow
def test_what_the_float32_graph_refuses_is_refused(export: Callable, tmp_path: Path) -> None:
    assert export("onnx", tmp_path / "m.onnx").code == 0
    onnx.checker.check_model(tmp_path / "m.onnx")
    graph = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    for ids, mask, why in (
        ([5, 6], [0, 1], "each_row_of_attention_mask_must_be_1_to_24_ones_then_zeros"),
        ([5, 50257], [1, 1], "out of data bounds"),
    ):
        feed = {"input_ids": np.array([ids], np.int64), "attention_mask": np.array([mask], np.int64)}
        with pytest.raises(InvalidArgument, match=why):
            graph.run(["logits"], feed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "transformers"])
def test_other_labels_are_refused(export: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(int8_graph, "_run_on", lambda *_: (torch.eye(2).repeat(75, 1), 1.0))
    done = export(kind, tmp_path / "m.onnx")
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert "of 150 messages of the run's test and validation splits get another label, and at most 1% may" in line
    assert line.endswith("leave out --int8")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_a_run_without_messages_is_refused(trained: Callable, tmp_path: Path, call: Callable) -> None:
    done = call(main, "onnx", tmp_path / "m.onnx", "--int8", "--ckpt_path", trained().checkpoint)
    assert done.code == 1
    assert "there is no" in done.err
    assert "test.csv: leave out --int8" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_large_split_is_thinned(checkpoint: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_graph, "FEWEST", 90)
    monkeypatch.setattr(int8_graph, "MOST", 45)
    taken, of = int8_graph._messages(checkpoint.parents[1])
    assert taken == texts[:90:2]
    assert of == "spread evenly over the 90 of the run's test split"


@pytest.mark.slow
def test_both_graphs_in_a_directory_for_transformers(
    export: Callable, checkpoint: Path, texts: list[str], tmp_path: Path, call: Callable
) -> None:
    directory = tmp_path / "exported"
    done = export("transformers", directory)
    assert done.code == 0, done.err
    for said in (done.err, (directory / "README.md").read_text().replace("\\", "")):
        assert 'file_name="model_quantized.onnx"' in said
        assert 'dtype: "q8"' in said
        assert "get the checkpoint's label" in said
    classifier = load_classifier(checkpoint)
    batch = AutoTokenizer.from_pretrained(directory)(texts, truncation=True, padding=True, return_tensors="np")
    expected = classifier.probabilities(texts)
    for name, most in (("model", 1e-5), ("model_quantized", 0.02)):
        graph = onnxruntime.InferenceSession(directory / f"onnx/{name}.onnx")
        (found,) = graph.run(["probabilities"], {put.name: batch[put.name] for put in graph.get_inputs()})
        assert (torch.from_numpy(found) - expected).abs().max() < most
    again = partial(call, main, "transformers", directory, "--ckpt_path", checkpoint)
    assert again("--overwrite").code == 0
    assert not (directory / "onnx/model_quantized.onnx").exists()


@pytest.mark.slow
def test_transformers_js_opens_the_smaller_graph(export: Callable, checkpoint: Path, tmp_path: Path) -> None:
    installed = os.environ.get("SPAM_CLASSIFIER_NODE")
    if not installed:
        pytest.skip("SPAM_CLASSIFIER_NODE names none")
    assert export("transformers", tmp_path / "exported").code == 0
    code = (tmp_path / "exported/README.md").read_text().split("```javascript\n")[1].split("```")[0]
    code = code.replace("{ config }", "{ config, dtype: 'q8' }").replace("console.log(", "console.log(JSON.stringify(")
    code = code.replace("}));", "})));").replace(str(tmp_path / "exported"), "exported")
    (tmp_path / "node_modules").symlink_to(Path(installed, "node_modules"))
    command = ["node", "--input-type=module"]
    done = subprocess.run(command, input=code, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    expected = load_classifier(checkpoint).predict(["You have won a prize, call now", "See you at seven?"])
    for row, prediction in zip(json.loads(done.stdout), expected, strict=True):
        found = {score["label"]: score["score"] for score in row}
        assert found == pytest.approx(prediction.probabilities, abs=0.02)
        assert found != pytest.approx(prediction.probabilities, abs=1e-6)


@pytest.mark.ci
@pytest.mark.slow
def test_weights_in_a_file_of_their_own(export: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "LARGEST_FILE", 1000)
    done = export("onnx", tmp_path / "m.onnx")
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.iterdir()} == {"run", "m.onnx", "m.onnx.md"}
    facts = json.loads(open_graph(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map["int8"])
    assert facts["megabytes"] < facts["megabytes_float32"] / 3
