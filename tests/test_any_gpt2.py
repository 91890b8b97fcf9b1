"""A GPT-2 with its own vocabulary, and a start from a run: from the training to the server."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from tokenizers import Tokenizer as Peer
from tokenizers import models, pre_tokenizers, trainers
from transformers import AutoTokenizer, GPT2Config, GPT2Model, pipeline

from spam_classifier import SpamClassifier, load_classifier
from spam_classifier.errors import UserError
from spam_classifier.export import main as export
from spam_classifier.models.gpt2 import GPT2Backbone
from spam_classifier.models.pretrained import load_weights, resolve_shape
from spam_classifier.predict import main as predict
from spam_classifier.serving.web_app import Service, web_app

RUN = "lightning_logs/version_0"
QUICK = ["--config", "recommended", "--data.corpus", "sample", "--trainer.max_epochs", "1", "--data.max_length", "30"]
QUICK += ["--trainer.accelerator", "cpu"]
TEXTS = ["You have won a prize, call now", "See you at seven? <|endoftext|> Grüße 🎉", "ok"]


def own_gpt2(directory: Path) -> Path:
    """A random small GPT-2 with a vocabulary of 400 tokens, and 8 more embeddings."""
    peer = Peer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=["<pad>", "<x>"], show_progress=False
    )
    peer.train_from_iterator(["Call now to win a prize, see you at the station at seven, thank you"] * 5, trainer)
    size = peer.get_vocab_size() + 8
    torch.manual_seed(0)
    GPT2Model(GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=64, vocab_size=size)).save_pretrained(directory)
    peer.save(str(directory / "tokenizer.json"))
    return directory


def test_from_training_to_server(train: Callable, call: Callable, tmp_path: Path) -> None:
    weights = own_gpt2(tmp_path / "own")
    peer = Peer.from_file(str(weights / "tokenizer.json"))
    assert train("fit", *QUICK, "--model.weights", weights).code == 0
    weights.rename(tmp_path / "gone")  # the checkpoint needs no other file
    tested = train("test")
    assert (tested.code, "test" in tested.out) == (0, True)
    classifier = load_classifier(RUN)
    peer.encode_special_tokens = True
    encoded = classifier.encode(TEXTS)
    assert encoded.tokens.tolist() == [number for text in TEXTS for number in peer.encode(text).ids]
    probabilities = classifier.probabilities(TEXTS)
    explanation = classifier.explain(TEXTS[0])
    influences = [part[1] for part in explanation.parts if part[1] is not None]
    assert sum(influences) == pytest.approx(explanation.log_odds - explanation.without_words, abs=1e-4)
    assert call(predict, TEXTS[0], "--output", "labels.jsonl").code == 0
    written = json.loads(Path("labels.jsonl").read_text())
    assert written["probability"] == pytest.approx(float(probabilities[0, 1]), abs=1e-6)
    with TestClient(web_app(Service(classifier=classifier))) as client:
        answer = client.post("/predict", json={"texts": TEXTS[:1]}).json()
    assert answer["predictions"][0]["probability"] == pytest.approx(float(probabilities[0, 1]), abs=1e-6)

    assert call(export, "onnx", "own.onnx").code == 0
    (example,) = re.findall(r"```python\n(.*?)```", Path("own.onnx.md").read_text(), flags=re.DOTALL)
    exec(compile(example.replace("print(", "found = ("), "card", "exec"), names := {})
    np.testing.assert_allclose(names["found"][0], probabilities[0], atol=1e-5)
    assert call(export, "transformers", "exported").code == 0
    tokenizer = AutoTokenizer.from_pretrained("exported")
    assert [number for text in TEXTS for number in tokenizer(text)["input_ids"]] == encoded.tokens.tolist()
    classify = pipeline("text-classification", "exported", top_k=None, truncation=True)
    for text, expected in zip(TEXTS, probabilities, strict=True):
        scores = {own["label"]: own["score"] for own in classify([text])[0]}
        np.testing.assert_allclose([scores["ham"], scores["spam"]], expected, atol=1e-5)


def test_distilgpt2s_shape(tmp_path: Path) -> None:
    torch.manual_seed(0)
    peer = GPT2Model(GPT2Config(n_layer=6)).eval()
    peer.save_pretrained(tmp_path)
    shape = resolve_shape(str(tmp_path))
    assert (shape.layers, shape.width, shape.heads, shape.vocabulary) == (6, 768, 12, 50257)
    backbone = GPT2Backbone(shape).eval()
    load_weights(backbone, str(tmp_path))
    ids = torch.randint(50257, (2, 20))
    with torch.no_grad():
        torch.testing.assert_close(backbone(ids), peer(ids).last_hidden_state, atol=1e-4, rtol=1e-4)
    assert SpamClassifier(str(tmp_path)).tokenizer is None


@pytest.mark.report
@pytest.mark.parametrize("policy", [pytest.param("last_block", marks=pytest.mark.ci), "lora"])
def test_start_from_a_run(train: Callable, tmp_path: Path, policy: str, caplog: pytest.LogCaptureFixture) -> None:
    weights = own_gpt2(tmp_path / "own")
    assert train("fit", *QUICK, "--model.weights", weights, "--model.trainable", policy).code == 0
    more = tmp_path / "more.csv"
    rows = [f"{label},{label} number {number} of many" for label in ("ham", "news", "spam") for number in range(30)]
    more.write_text("label,text\n" + "\n".join(rows))
    flags = [
        "--data.corpus",
        more,
        "--data.deduplicate",
        "none",
        "--trainer.max_steps",
        "1",
        "--model.learning_rate",
        "1e-9",
        "--model.token_position",
        "first",
    ]
    told = train("fit", *QUICK, *flags, "--model.weights", RUN, "--model.trainable", policy)
    assert told.code == 0
    assert "its backbone and tokenizer; the head keeps ham, spam, new: news" in caplog.text
    assert "token_position was last_real in that run and is first in this one" in caplog.text
    first, second = load_classifier(RUN), load_classifier("lightning_logs/version_1")
    assert first.tokenizer == second.tokenizer is not None
    for own, earlier in ((0, 0), (2, 1)):
        torch.testing.assert_close(second.model.head.weight[own], first.model.head.weight[earlier], atol=1e-6, rtol=0)
    assert json.loads(Path("lightning_logs/version_1/metrics.json").read_text())["provenance"]["weights_sha256"]
    assert train("test").code == 0
    assert "that goes on from the run" in Path("lightning_logs/version_1/report.html").read_text()


def test_the_shape_comes_from_the_run(train: Callable, tmp_path: Path) -> None:
    assert train("fit", *QUICK, "--model.weights", own_gpt2(tmp_path / "own")).code == 0
    with pytest.raises(UserError, match=r"--model.layers 3: .* has 2; leave the flag out"):
        SpamClassifier(RUN, layers=3)


def test_a_misspelt_run_is_not_looked_for_on_the_hub(train: Callable, tmp_path: Path) -> None:
    (tmp_path / "lightning_logs").mkdir()
    told = train("fit", *QUICK, "--model.weights", "lightning_logs/version_9")
    assert told.code == 1
    assert "lightning_logs/version_9: no such file or directory; give one of gpt2" in told.err


def test_a_run_without_a_checkpoint(train: Callable, tmp_path: Path) -> None:
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    told = train("fit", *QUICK, "--model.weights", "run")
    assert told.code == 1
    assert "run: this directory holds no checkpoint" in told.err
