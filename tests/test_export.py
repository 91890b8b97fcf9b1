"""``python -m spam_classifier.export`` after a run of the command line."""

import json
import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from transformers import pipeline

from spam_classifier import load_classifier
from spam_classifier.export import main

SMALL = shlex.split(
    "--trainer.limit_train_batches 4 --trainer.max_epochs 1 --trainer.accelerator cpu --trainer.devices 1 "
    "--trainer.enable_progress_bar false --data.corpus sample --model.weights random --model.layers 1 "
    "--model.width 16 --model.heads 1 --model.context 512"
)
REAL_TOKEN = shlex.split("--model.token_position last_real --data.padding batch --model.threshold 0.7")


@pytest.fixture
def export(call: Callable) -> Callable[..., tuple[int, str, str]]:
    return partial(call, main)


@pytest.mark.slow
def test_from_training_to_another_tool(train: Callable, export: Callable) -> None:
    assert train("fit", *SMALL, *REAL_TOKEN).code == 0
    assert train("test").code == 0
    code, out, err = export("transformers", "exported")
    assert code == 0, err
    assert out == "written exported\n"
    assert err.splitlines()[0].startswith("checkpoint lightning_logs/version_0/checkpoints/best-")
    assert "decide for spam where its probability is at least 0.7," in err
    text = "You have won a prize, call now"
    (scores,) = pipeline("text-classification", model="exported")([text], truncation=True, top_k=None)
    expected = load_classifier().predict([text])[0].probabilities
    assert {score["label"]: score["score"] for score in scores} == pytest.approx(expected, abs=1e-5)
    metrics = json.loads(Path("lightning_logs/version_0/metrics.json").read_text())
    card = Path("exported/README.md").read_text()
    assert "All are of the exported checkpoint." in card
    low, high = metrics["test"]["acc_interval"]
    cells = [[cell.strip() for cell in line.split("|")[1:5]] for line in card.splitlines()]
    messages, accuracy = metrics["test"]["messages"], metrics["test"]["acc"]
    assert ["test", str(messages), f"{100 * accuracy:.2f}%", f"{100 * low:.2f}% to {100 * high:.2f}%"] in cells

    code, _, err = export("onnx", "smaller.onnx", "--int8")
    assert code == 0, err
    of_test = re.search(rf"Of {messages} messages of the run's test split, (\d+) get the checkpoint's label", err)
    assert of_test is not None
    assert of_test[0] in Path("smaller.onnx.md").read_text()

    assert "exported exists already" in export("transformers", "exported")[2]
    code, out, err = export("transformers", "other", "--ckpt_path", "last")
    assert code == 0, err
    assert "The exported checkpoint is `last.ckpt`" in Path("other/README.md").read_text()


@pytest.mark.slow
def test_book_model_is_refused_in_one_line_and_goes_to_onnx(train: Callable, export: Callable) -> None:
    assert train("fit", *SMALL).code == 0
    code, _, err = export("transformers", "exported")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "reads the last token that is not padding" in err
    assert "configs/recommended.yaml" in err
    assert not Path("exported").exists()
    code, _, err = export("onnx", "exported.onnx")
    assert code == 0, err
    (difference,) = re.findall(r"differ from the checkpoint's by (\S+) at most", err)
    assert float(difference) < 1e-4
    assert "pads every row to" in err
    assert {path.name for path in Path().iterdir() if path.name.startswith("exported")} == {
        "exported.onnx",
        "exported.onnx.md",
    }


@pytest.mark.parametrize(
    ("words", "taught"),
    [((), "DIRECTORY"), (("transformers",), "truncation=True"), (("onnx",), "attention_mask, both")],
)
def test_help_teaches(export: Callable, words: tuple[str, ...], taught: str) -> None:
    code, out, _ = export(*words, "--help")
    assert code == 0
    assert taught in out
