"""Weights of 8 bits: the file is smaller, and says truly how far it is from the classifier, or there is none."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from spam_classifier import Classifier, load_classifier
from spam_classifier.data.corpora import read_corpus
from spam_classifier.export import main
from spam_classifier.exporting import onnx_export
from spam_classifier.exporting.onnx_export import run_graph


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return read_corpus("sample").messages["text"].tolist()[:150]


@pytest.fixture
def checkpoint(trained: Callable[..., Classifier], texts: list[str], tmp_path: Path) -> Path:
    """A checkpoint in a run that keeps the 150 messages of its test split."""
    directory = tmp_path / "run"
    (directory / "checkpoints").mkdir(parents=True)
    shutil.copy(trained().checkpoint, directory / "checkpoints/model.ckpt")
    pd.DataFrame({"label": "ham", "text": texts}).to_csv(directory / "test.csv", index=False)
    return directory / "checkpoints/model.ckpt"


@pytest.fixture
def export(call: Callable, checkpoint: Path) -> Callable:
    """Run ``export onnx FILE --int8``."""
    return lambda file: call(main, "onnx", file, "--int8", "--ckpt_path", checkpoint)


@pytest.mark.slow
def test_what_is_printed_and_kept_is_true(
    export: Callable, checkpoint: Path, texts: list[str], tmp_path: Path, call: Callable
) -> None:
    done = export(tmp_path / "small.onnx")
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.iterdir()} == {"run", "small.onnx", "small.onnx.md"}
    assert call(main, "onnx", tmp_path / "large.onnx", "--ckpt_path", checkpoint).code == 0
    classifier = load_classifier(checkpoint)
    (found, _), expected = run_graph(classifier, texts, tmp_path / "small.onnx"), classifier.probabilities(texts)
    largest = float((found - expected).abs().max())
    assert 1e-6 < largest < 0.02
    decide = classifier.model.decision.decide
    equal = int((decide(found) == decide(expected)).sum())

    facts = onnxruntime.InferenceSession(tmp_path / "small.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(facts["labels"]) == classifier.labels
    sizes = [round((tmp_path / name).stat().st_size / 1e6, 1) for name in ("small.onnx", "large.onnx")]
    assert sizes[0] < sizes[1] / 3

    card = (tmp_path / "small.onnx.md").read_text().replace("\\", "")
    for said in (done.err, card):
        assert re.search(r"times as fast as in float32 \([\d,.]+ and [\d,.]+ texts a second", said)
        assert f"Weights of 8 bits: {sizes[0]} MB instead of " in said
        assert f"Of 150 messages of the run's test split, {equal} get the checkpoint's label" in said
        assert f"the largest change of a probability is {largest:.2g}." in said
        assert "change a little with the other texts of its batch" in said


@pytest.mark.ci
@pytest.mark.slow
def test_what_the_float32_graph_refuses_is_refused(export: Callable, tmp_path: Path) -> None:
    assert export(tmp_path / "m.onnx").code == 0
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
def test_other_labels_are_refused(export: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", 2.0)
    monkeypatch.setattr(onnx_export, "run_graph", lambda _, texts, __: (torch.eye(2).repeat(len(texts) // 2, 1), 1.0))
    done = export(tmp_path / "m.onnx")
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert "of 150 messages of the run's test split get another label, and at most 1% may" in line
    assert line.endswith("leave out --int8")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_a_run_without_messages_is_refused(trained: Callable, tmp_path: Path, call: Callable) -> None:
    done = call(main, "onnx", tmp_path / "m.onnx", "--int8", "--ckpt_path", trained().checkpoint)
    assert done.code == 1
    assert "there is no" in done.err
    assert "test.csv: leave out --int8" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ci
@pytest.mark.slow
def test_a_large_split_is_thinned(export: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "MOST_COMPARED", 75)
    assert "Of 75 messages of the run's test split, " in export(tmp_path / "m.onnx").err


@pytest.mark.ci
@pytest.mark.slow
def test_weights_in_a_file_of_their_own(export: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST_FILE", 1000)
    done = export(tmp_path / "m.onnx")
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.iterdir()} == {"run", "m.onnx", "m.onnx.md"}
    sizes = re.search(r"8 bits: ([\d.]+) MB instead of ([\d.]+),", done.err)
    assert float(sizes[1]) < float(sizes[2]) / 3
