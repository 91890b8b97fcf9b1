"""transformers opens the export and gives any text the classifier's probabilities, as do optimum and transformers.js.

The last two are tried where environment variables name them: SPAM_CLASSIFIER_OPTIMUM, a Python interpreter with
optimum-onnx, and SPAM_CLASSIFIER_NODE, a directory in which npm installed @huggingface/transformers.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from spam_classifier import Classifier, load_classifier
from spam_classifier.data.tokenizer import gpt2_tokenizer
from spam_classifier.errors import UserError
from spam_classifier.export import main
from spam_classifier.exporting import transformers_export
from spam_classifier.exporting.transformers_export import bias_as_shift, export_to_transformers

TEXTS = [
    *("Win a free prize, call 09098790123 now!", "see you at home later", ".", "\n\n x \t"),
    *("plain text <|endoftext|>", "<|endoftext|>", "a <|endoftext|> b <|endoftext|><|endoftext|>"),
    *("\U0001f600 h\u00e9llo \u4e2d\u6587 e\u0301\u200d", "zwölf Boxkämpfer " * 9),
    "a prize and many words more " * 40,
]
WAYS = {
    "head": {},
    "tail": {"keep": "tail", "padding": "longest"},
    "lora": {"trainable": "lora"},
    "unpadded": {"token_position": "last", "padding": "none", "batch_size": 1},
    "three classes": {"corpus": "three_classes"},
}


def scores_of(directory: Path, texts: list[str], **options: object) -> Tensor:
    """Probabilities that the pipeline gives, float [N, classes]."""
    classify = pipeline("text-classification", model=str(directory), device="cpu")
    indices = classify.model.config.label2id
    found = classify(texts, truncation=True, top_k=None, **options)
    rows = [{indices[score["label"]]: score["score"] for score in scores} for scores in found]
    return torch.tensor([[row[index] for index in range(len(row))] for row in rows])


@pytest.fixture(scope="module", autouse=True)
def no_graph() -> Iterator[Callable]:
    """Leave out the ONNX graph, which takes longer than the rest. Give the function that writes it."""
    write = transformers_export.write_graph
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformers_export, "write_graph", lambda *_: "No graph.")
        yield write


@pytest.fixture(scope="module", params=WAYS, ids=str)
def exported(
    request: pytest.FixtureRequest,
    trained: Callable[..., Classifier],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Classifier, Path]:
    classifier = trained(**WAYS[request.param])
    directory = tmp_path_factory.mktemp("exports") / "exported"
    export_to_transformers(classifier, directory)
    return classifier, directory


@pytest.fixture(scope="module", params=["lora", pytest.param("three classes", marks=pytest.mark.ci)])
def with_graph(
    request: pytest.FixtureRequest,
    trained: Callable[..., Classifier],
    tmp_path_factory: pytest.TempPathFactory,
    no_graph: Callable,
) -> tuple[Classifier, Path]:
    classifier = trained(**WAYS[request.param])
    directory = tmp_path_factory.mktemp("exports") / "exported"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformers_export, "write_graph", no_graph)
        export_to_transformers(classifier, directory)
    return classifier, directory


@pytest.mark.slow
def test_the_graph_is_the_model(with_graph: tuple[Classifier, Path]) -> None:
    """It takes what the tokenizer gives, in the names and types that optimum and transformers.js hand on."""
    classifier, directory = with_graph
    session = onnxruntime.InferenceSession(directory / "onnx/model.onnx", providers=["CPUExecutionProvider"])
    inputs = {put.name: put.type for put in session.get_inputs()}
    assert inputs == dict.fromkeys(("input_ids", "attention_mask"), "tensor(int64)")
    batch = AutoTokenizer.from_pretrained(directory)(TEXTS, truncation=True, padding=True, return_tensors="pt")
    (found,) = session.run(["logits"], {name: batch[name].numpy() for name in inputs})
    with torch.no_grad():
        logits = AutoModelForSequenceClassification.from_pretrained(directory)(**batch).logits
    assert (torch.from_numpy(found) - logits).abs().max() < 1e-5
    assert (torch.from_numpy(found).softmax(-1) - classifier.probabilities(TEXTS)).abs().max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["optimum", "node"])
def test_the_code_on_the_card_works_in_other_tools(with_graph: tuple[Classifier, Path], tool: str) -> None:
    classifier, directory = with_graph
    installed = os.environ.get(f"SPAM_CLASSIFIER_{tool.upper()}")
    if not installed:
        pytest.skip(f"SPAM_CLASSIFIER_{tool.upper()} names none")
    card = (directory / "README.md").read_text()
    texts = [text for text in TEXTS if text.strip()]
    written = {"optimum": "```python\n", "node": "```javascript\n"}[tool]
    code = card.split(written)[-1].split("```")[0].replace("'", '"')
    code = code.replace(
        '["You have won a prize, call now", "See you at seven?"]', json.dumps(texts, ensure_ascii=False)
    )
    command = [installed, "-"]
    if tool == "node":
        code = "const log = console.log; console.log = (shown) => log(JSON.stringify(shown));\n" + code
        command = ["node", "--input-type=module"]
        (directory.parent / "node_modules").symlink_to(Path(installed, "node_modules"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, input=code, cwd=directory.parent, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [{score["label"]: score["score"] for score in row} for row in ast.literal_eval(done.stdout)]
    found = torch.tensor([[row[label] for label in classifier.labels] for row in rows])
    assert (found - classifier.probabilities(texts)).abs().max() < 1e-5


def test_missing_extra_is_named(
    trained: Callable[..., Classifier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    for name in ("onnx_export", "transformers_export"):
        monkeypatch.delitem(sys.modules, f"spam_classifier.exporting.{name}")
    done = call(main, "transformers", tmp_path / "exported", "--ckpt_path", trained().checkpoint)
    assert done.code == 1
    assert "pip install onnx onnxruntime onnxscript" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_pipeline_gives_the_calibrated_probabilities(exported: tuple[Classifier, Path], batch_size: int) -> None:
    classifier, directory = exported
    expected = classifier.probabilities(TEXTS)
    assert (expected.amax(dim=0) - expected.amin(dim=0)).max() > 0.02  # not the same whatever the text
    assert (scores_of(directory, TEXTS, batch_size=batch_size) - expected).abs().max() < 1e-5


def test_model_and_tokenizer_open_by_themselves(exported: tuple[Classifier, Path]) -> None:
    classifier, directory = exported
    model, report = AutoModelForSequenceClassification.from_pretrained(directory, output_loading_info=True)
    assert not any(report.values())  # nothing missing, nothing left over
    assert type(model).__name__ == "GPT2ForSequenceClassification"
    assert list(model.config.id2label.values()) == classifier.labels
    assert (model.config.resid_pdrop, model.config.embd_pdrop, model.config.attn_pdrop) == (0, 0, 0)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    batch = tokenizer(TEXTS, truncation=True, padding=True, return_tensors="pt")
    assert batch["input_ids"].shape[1] == classifier.max_length
    with torch.no_grad():
        found = model(**batch).logits.softmax(-1)
    assert (found - classifier.probabilities(TEXTS)).abs().max() < 1e-5


@pytest.fixture(scope="module")
def tokenizer(trained: Callable[..., Classifier], tmp_path_factory: pytest.TempPathFactory) -> object:
    directory = tmp_path_factory.mktemp("tokenizer") / "exported"
    export_to_transformers(trained(), directory)
    return AutoTokenizer.from_pretrained(directory)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.lists(st.sampled_from(TEXTS)).map("".join))
def test_tokens_are_ours(tokenizer: Callable, text: str) -> None:
    assert tokenizer(text)["input_ids"] == gpt2_tokenizer().encode_ordinary(text)


def test_the_tokenizer_file_alone_gives_our_tokens(exported: tuple[Classifier, Path]) -> None:
    alone = Tokenizer.from_file(str(exported[1] / "tokenizer.json"))
    for text in TEXTS:
        assert alone.encode(text).ids == gpt2_tokenizer().encode_ordinary(text)
        assert alone.decode(alone.encode(text).ids) == text


def test_a_text_that_was_not_cut_fails(exported: tuple[Classifier, Path]) -> None:
    classifier, directory = exported
    classify = pipeline("text-classification", model=str(directory), device="cpu")
    assert classify.tokenizer.model_max_length == classifier.max_length
    with pytest.raises(IndexError):
        classify([TEXTS[-1]])


def test_padding_on_the_left_changes_probabilities_as_the_card_says(
    trained: Callable[..., Classifier], tmp_path: Path
) -> None:
    notes = export_to_transformers(trained(), tmp_path / "exported")
    assert any("truncation=True, max_length=24:" in note for note in notes)
    for said in (" ".join(notes), (tmp_path / "exported/README.md").read_text()):
        assert "Padding on the left changes the probabilities" in said
    classify = pipeline("text-classification", model=str(tmp_path / "exported"), device="cpu")
    assert classify.tokenizer.padding_side == "right"
    alone = classify(TEXTS[:2], truncation=True)
    assert [row["score"] for row in classify(TEXTS[:2], truncation=True, batch_size=2)] == pytest.approx(
        [row["score"] for row in alone], abs=1e-5
    )
    classify.tokenizer.padding_side = "left"
    changed = classify(TEXTS[:2], truncation=True, batch_size=2)
    assert max(abs(one["score"] - other["score"]) for one, other in zip(changed, alone, strict=True)) > 1e-4


@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_a_shift_replaces_any_bias(classes: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    head = torch.randn(classes, 16, generator=draw, dtype=torch.float64)
    bias = 10 * torch.randn(classes, generator=draw, dtype=torch.float64)
    state = torch.randn(16, generator=draw, dtype=torch.float64)
    shifted = head @ (state + bias_as_shift(head, bias))
    assert torch.allclose(shifted.softmax(-1), (head @ state + bias).softmax(-1), atol=1e-9)


def test_a_bias_that_no_shift_replaces_is_refused() -> None:
    head = torch.ones(3, 4, dtype=torch.float64)
    with pytest.raises(UserError, match="no bias in its head"):
        bias_as_shift(head, torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"token_position": "last", "padding": "longest"}, "last of rows padded to 24 tokens"),
        ({"token_position": "last", "padding": "context"}, "last of rows padded to 64 tokens"),
        ({"token_position": "mean", "padding": "longest"}, "--model.token_position mean"),
        ({"token_position": "mean", "padding": "none", "batch_size": 1}, "--model.token_position mean"),
        ({"token_position": "first"}, "--model.token_position first"),
        ({"attention": "full", "padding": "longest"}, "no full attention"),
    ],
)
def test_settings_that_transformers_lacks_are_refused(
    trained: Callable[..., Classifier], tmp_path: Path, settings: dict, why: str
) -> None:
    with pytest.raises(UserError, match=why) as refusal:
        export_to_transformers(trained(**settings), tmp_path / "exported")
    assert "configs/recommended.yaml" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_pipeline_keeps_the_head_only(trained: Callable[..., Classifier], tmp_path: Path) -> None:
    classifier = trained(keep="both")
    notes = export_to_transformers(classifier, tmp_path / "exported")
    assert any("keeps their head only" in note for note in notes)
    assert "keeps their head only" in (tmp_path / "exported/README.md").read_text()
    long = "a prize " * classifier.max_length + "see you at home later"
    found, expected = scores_of(tmp_path / "exported", [TEXTS[0], long]), classifier.probabilities([TEXTS[0], long])
    assert (found[0] - expected[0]).abs().max() < 1e-5
    assert (found[1] - expected[1]).abs().max() > 1e-4


def test_threshold_is_noted_but_not_applied(trained: Callable[..., Classifier], tmp_path: Path) -> None:
    classifier = trained(threshold=0.8)
    notes = export_to_transformers(classifier, tmp_path / "exported")
    (note,) = (note for note in notes if "threshold" in note)
    assert "decide for spam where its probability is at least 0.8," in note
    assert json.loads((tmp_path / "exported/config.json").read_text())["decision_threshold"] == classifier.threshold
    assert "does not apply the threshold" in (tmp_path / "exported/README.md").read_text()
    assert len(export_to_transformers(trained(), tmp_path / "other")) == len(notes) - 1


def test_the_checkpoint_stays_as_it_was(trained: Callable[..., Classifier], tmp_path: Path) -> None:
    classifier = load_classifier(trained(trainable="lora").checkpoint)
    expected, checkpoint = classifier.probabilities(TEXTS), classifier.checkpoint.read_bytes()
    export_to_transformers(classifier, tmp_path / "exported")
    assert torch.equal(classifier.probabilities(TEXTS), expected)
    assert classifier.checkpoint.read_bytes() == checkpoint
