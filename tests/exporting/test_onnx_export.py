"""From the file and its metadata alone, onnxruntime gives the classifier's probabilities for any batch."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from spam_classifier import Classifier, SpamDataModule
from spam_classifier.data.encoding import gpt2_tokenizer
from spam_classifier.errors import UserError
from spam_classifier.export import main
from spam_classifier.exporting import onnx_export
from spam_classifier.exporting.onnx_export import export_to_onnx

TEXTS = [
    "Win a free prize, call 09098790123 now!",
    "see you at home later",
    "plain text <|endoftext|>",
    "<|endoftext|>",
    "\U0001f600 h\u00e9llo \u4e2d\u6587 e\u0301\u200d",
    ".",
    "a prize and many words more " * 40 + "see you at home",
]
WAYS = {
    "last": {"token_position": "last", "padding": "longest"},
    "last_real": {"keep": "tail", "gradient_checkpointing": True},
    "first": {"token_position": "first", "trainable": "lora", "layers": 1},
    "mean": {"token_position": "mean", "padding": "context", "keep": "both", "corpus": "three_classes"},
    "full": {"attention": "full", "padding": "longest"},
}


class Reader:
    """Uses a file by its own metadata and GPT-2's tokenizer only."""

    def __init__(self, file: Path) -> None:
        self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        self.facts = self.session.get_modelmeta().custom_metadata_map

    def probabilities(self, texts: list[str], padding_id: int | None = None) -> np.ndarray:
        most, keep = int(self.facts["max_length"]), self.facts["keep"]
        rows = [gpt2_tokenizer().encode_ordinary(text) for text in texts]
        ends = {"head": (most, 0), "tail": (0, most), "both": ((most + 1) // 2, most // 2)}[keep]
        rows = [row if len(row) <= most else row[: ends[0]] + row[len(row) - ends[1] :] for row in rows]
        width = int(self.facts["padded_length"] or max(map(len, rows)))
        if padding_id is None or self.facts["padded_length"]:
            padding_id = 50256
        ids = np.array([row + [padding_id] * (width - len(row)) for row in rows], np.int64)
        lengths = np.array([len(row) for row in rows], np.int64)
        return self.session.run(["probabilities"], {"input_ids": ids, "lengths": lengths})[0]


@pytest.fixture(
    scope="module",
    params=[pytest.param(way, marks=[] if way in ("last_real", "mean") else pytest.mark.ci) for way in WAYS],
    ids=str,
)
def exported(
    request: pytest.FixtureRequest,
    trained: Callable[..., Classifier],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Classifier, Path]:
    """A classifier trained in one of the ways, and its file."""
    classifier = trained(**WAYS[request.param])
    file = tmp_path_factory.mktemp("exports") / "exported.onnx"
    export_to_onnx(classifier, file)
    return classifier, file


@pytest.mark.slow
def test_same_probabilities_in_any_batch(exported: tuple[Classifier, Path]) -> None:
    classifier, file = exported
    reader, expected = Reader(file), classifier.probabilities(TEXTS).numpy()
    assert (expected.max(axis=0) - expected.min(axis=0)).max() > 0.005  # not the same whatever the text
    together = reader.probabilities(TEXTS)
    assert abs(together - expected).max() < 1e-4
    alone = np.concatenate([reader.probabilities([text]) for text in TEXTS])
    assert abs(alone - together).max() < 1e-6
    if classifier.model.settings["attention"] == "causal":
        assert abs(reader.probabilities(TEXTS, padding_id=7) - together).max() < 1e-6


def test_the_metadata_is_complete(exported: tuple[Classifier, Path]) -> None:
    classifier, file = exported
    facts, model = Reader(file).facts, classifier.model
    assert json.loads(facts["labels"]) == classifier.labels
    assert facts["threshold"] == ("" if len(classifier.labels) > 2 else str(classifier.threshold))
    assert facts["padded_length"] == (str(model.fixed_length) if model.padding_matters else "")
    assert facts["token_position"] == model.settings["token_position"]
    assert facts["tokenizer"] == "gpt2"
    graph = onnx.load(file).graph
    axes = {x.name: [d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim] for x in graph.input}
    assert axes == {"input_ids": ["batch", "tokens"], "lengths": ["batch"]}
    onnx.checker.check_model(file, full_check=True)
    padded = re.search(r"pads every row to (\d+) tokens", file.with_name(f"{file.name}.md").read_text())
    assert (padded.group(1) if padded else "") == facts["padded_length"]


def test_the_code_on_the_card_works(
    exported: tuple[Classifier, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier, file = exported
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr("tiktoken.get_encoding", lambda _: gpt2_tokenizer())  # a download otherwise
    code = Path("exported.onnx.md").read_text().split("```python\n")[1].split("```")[0]
    for text in ("You have won a prize, call now", "A prize, " * 40):
        exec(compile(code.replace("You have won a prize, call now", text), "card", "exec"), {})
        shown = [float(number) for number in re.findall(r"[\d.e-]+", capsys.readouterr().out)]
        assert shown == pytest.approx(classifier.probabilities([text])[0].tolist(), abs=1e-4)


@pytest.mark.ci
@pytest.mark.slow
def test_large_weights_get_a_file_of_their_own(
    trained: Callable[..., Classifier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, file = trained(threshold=0.8), tmp_path / "some where" / "m.onnx"
    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "LARGEST_FILE", 1000)
        notes = export_to_onnx(classifier, file)
    assert any("decide for spam where its probability is at least 0.8," in note for note in notes)
    assert {path.name for path in file.parent.iterdir()} == {"m.onnx", "m.onnx.data", "m.onnx.md"}
    assert abs(Reader(file).probabilities(TEXTS) - classifier.probabilities(TEXTS).numpy()).max() < 1e-4


def test_a_graph_with_other_numbers_is_not_kept(
    trained: Callable[..., Classifier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "_write_graph", lambda _, path: path.touch())
    monkeypatch.setattr(onnx_export, "_largest_difference", lambda *_: float("nan"))
    with pytest.raises(UserError, match="nothing was kept"):
        export_to_onnx(trained(), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_refused(trained: Callable[..., Classifier], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"name it model.bin.onnx"):
        export_to_onnx(trained(), tmp_path / "model.bin")


def test_missing_extra_is_named(
    trained: Callable[..., Classifier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.delitem(sys.modules, "spam_classifier.exporting.onnx_export")
    done = call(main, "onnx", tmp_path / "m.onnx", "--ckpt_path", trained().checkpoint)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert "pip install onnx onnxruntime onnxscript" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ci
@pytest.mark.slow
def test_real_messages(trained: Callable[..., Classifier], uci_archive: Path, tmp_path: Path) -> None:
    """The 300 test messages of the book's split, by the position of the book."""
    data = SpamDataModule(str(uci_archive))
    data.setup("test")
    texts = data.splits["test"]["text"].tolist()
    assert len(texts) == 300
    settings = {"token_position": "last", "padding": "longest", "max_length": None, "context": 512}
    classifier = trained(corpus=str(uci_archive), **settings)
    middle = classifier.probabilities(texts)[:, 1].sort().values[149:151].mean()
    classifier.model.decision.threshold.copy_(middle)  # half of them on either side
    export_to_onnx(classifier, tmp_path / "m.onnx")
    reader = Reader(tmp_path / "m.onnx")
    found = torch.from_numpy(reader.probabilities(texts))
    assert (found - classifier.probabilities(texts)).abs().max() < 1e-4
    labels = [classifier.labels[int(row[1] >= float(reader.facts["threshold"]))] for row in found]
    assert labels == [prediction.label for prediction in classifier.predict(texts)]
    assert len(set(labels)) == 2
