"""From the file and its metadata alone, onnxruntime gives the classifier's probabilities for any batch."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from spam_classifier import Classifier, SpamDataModule
from spam_classifier.data.tokenizer import gpt2_tokenizer
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

    def probabilities(self, texts: list[str], padding_id: int = 50256) -> np.ndarray:
        most, keep = int(self.facts["max_length"]), self.facts["keep"]
        rows = [gpt2_tokenizer().encode_ordinary(text) for text in texts]
        ends = {"head": (most, 0), "tail": (0, most), "both": ((most + 1) // 2, most // 2)}[keep]
        rows = [row if len(row) <= most else row[: ends[0]] + row[len(row) - ends[1] :] for row in rows]
        width = int(self.facts["padded_length"] or max(map(len, rows)))
        ids = [row + [padding_id] * (width - len(row)) for row in rows]
        return self.run(ids, [[1] * len(row) + [0] * (width - len(row)) for row in rows])[1]

    def run(self, ids: Sequence, mask: Sequence) -> list[np.ndarray]:
        """Logits and probabilities."""
        feed = {"input_ids": np.array(ids, np.int64), "attention_mask": np.array(mask, np.int64)}
        return self.session.run(["logits", "probabilities"], feed)


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
    for other in (7, -100, 10**9):
        assert abs(reader.probabilities(TEXTS, padding_id=other) - together).max() < 1e-6


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
    assert axes == {name: ["batch", model.fixed_length or "tokens"] for name in onnx_export.INPUTS}
    onnx.checker.check_model(file, full_check=True)
    padded = re.search(r"pads every row to (\d+) tokens", file.with_name(f"{file.name}.md").read_text())
    assert (padded.group(1) if padded else "") == facts["padded_length"]


@pytest.fixture(scope="module")
def reader(trained: Callable[..., Classifier], tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Of a graph that takes up to 24 tokens."""
    file = tmp_path_factory.mktemp("exports") / "exported.onnx"
    export_to_onnx(trained(), file)
    return Reader(file)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mask", [[0, 0, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1], [2, 1, 0], [3, 0, 0], [-1, 0, 0]], ids=str
)
def test_other_masks_are_refused(reader: Reader, mask: list[int]) -> None:
    rule = "each_row_of_attention_mask_must_be_1_to_24_ones_then_zeros"
    with pytest.raises(InvalidArgument, match=rule):
        reader.run([[5, 6, 7], [7, 6, 5]], [[1, 1, 1], mask])
    with pytest.raises(InvalidArgument, match=rule):
        reader.run([[7, 6, 5]], [mask])


@pytest.mark.slow
@pytest.mark.parametrize("token", [-1, -50257, 50257, 10**9])
def test_unknown_ids_are_refused(reader: Reader, token: int) -> None:
    with pytest.raises(InvalidArgument, match="out of data bounds"):
        reader.run([[5, token, 7]], [[1, 1, 0]])


@pytest.mark.slow
def test_texts_that_were_not_cut_are_refused(reader: Reader) -> None:
    assert reader.run([[5] * 40], [[1] * 24 + [0] * 16])[1].sum() == pytest.approx(1)
    with pytest.raises(InvalidArgument, match="1_to_24_ones"):
        reader.run([[5] * 25], [[1] * 25])


@pytest.mark.slow
def test_probabilities_are_those_of_the_logits(reader: Reader) -> None:
    logits, probabilities = reader.run([[5, 6, 7], [5, 6, 7]], [[1, 1, 1], [1, 0, 0]])
    assert logits.dtype == np.float32
    assert abs(torch.from_numpy(logits).softmax(-1).numpy() - probabilities).max() < 1e-6
    assert reader.run(np.zeros((0, 3)), np.zeros((0, 3)))[0].shape == (0, 2)


@pytest.mark.slow
def test_another_width_is_refused_where_padding_matters(exported: tuple[Classifier, Path]) -> None:
    reader, width = Reader(exported[1]), exported[0].model.fixed_length
    if width is None:
        assert reader.run([[5]], [[1]])[1].sum() == pytest.approx(1)
        return
    assert reader.run([[5] * width], [[1] + [0] * (width - 1)])[1].sum() == pytest.approx(1)
    for other in (width - 1, width + 1):
        with pytest.raises(InvalidArgument, match=f"Expected: {width}"):
            reader.run([[5] * other], [[1] * other])


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
    monkeypatch.setattr(onnx_export, "run_graph", lambda *_: (torch.full((4, 2), torch.nan), 1.0))
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
