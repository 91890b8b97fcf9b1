"""Products of bfloat16, in every command: near float32, said how near, and told where they would be slower."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from spam_classifier.errors import UserError
from spam_classifier.inference.classifier import BFLOAT16, Classifier, load_classifier
from spam_classifier.models import packed_blocks

SLOW = "slower than 32-true here: this CPU has neither AMX nor AVX-512 BF16"
TEXTS = ["You have won a prize, call now", "See you at seven?", "message " * 20, "ok"]


@pytest.fixture
def checkpoint(trained: Callable[..., Classifier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return trained().checkpoint


def test_probabilities_are_near_those_of_float32(checkpoint: Path) -> None:
    exact = load_classifier(checkpoint).probabilities(TEXTS)
    mixed = load_classifier(checkpoint, precision=BFLOAT16).probabilities(TEXTS)
    assert mixed.dtype == torch.float32
    assert 0 < float((mixed - exact).abs().max()) < 0.05
    with pytest.raises(UserError, match="precision 16-true: give 32-true or bf16-mixed"):
        load_classifier(checkpoint, precision="16-true")


def test_predict_takes_a_precision_and_does_not_mix_two(checkpoint: Path, call: Callable) -> None:
    from spam_classifier.predict import main

    predict = partial(call, main, "--ckpt_path", checkpoint, "--accelerator", "cpu", "--input", "in.csv")
    pd.DataFrame({"text": TEXTS}).to_csv("in.csv", index=False)
    for precision in ("32-true", BFLOAT16):
        assert predict("--output", f"{precision}.csv", "--precision", precision).code == 0
    exact, mixed = (pd.read_csv(f"{precision}.csv")["probability"] for precision in ("32-true", BFLOAT16))
    assert not exact.equals(mixed)
    assert exact.to_numpy() == pytest.approx(mixed.to_numpy(), abs=0.05)
    refused = predict("--precision", "16")
    assert refused.code == 2
    assert re.search("--precision: invalid choice: '16'", refused.err)


def test_fit_and_test_say_how_far_they_are_from_float32(train: Callable, quick: list[str]) -> None:
    assert train("fit", *quick, "--trainer.precision", BFLOAT16).code == 0
    tested = train("test")  # in the run's own precision
    metrics = Path("lightning_logs/version_0/metrics.json")
    known = json.loads(metrics.read_text())
    found = known["in_float32"]
    assert 0 < found["largest_change"] < 0.05
    assert found["messages"] == known["test"]["messages"]
    assert f"{found['hits']} of {found['messages']} labels differ from float32's" in tested.out
    exact = train("test", "--trainer.precision", "32-true")
    assert "differ from float32's" not in exact.out
    assert "in_float32" not in json.loads(metrics.read_text())


@pytest.fixture
def quick() -> list[str]:
    return [
        *("--config", "quickstart", "--model.layers", "2", "--model.width", "32", "--model.heads", "2"),
        *("--model.trainable", "last_block", "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu"),
    ]


def test_a_cpu_without_instructions_for_it_gets_a_note(
    checkpoint: Path,
    call: Callable,
    train: Callable,
    quick: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from spam_classifier.predict import main

    monkeypatch.setattr(packed_blocks, "multiplies_bfloat16", lambda: False)
    predict = partial(call, main, "hi", "--ckpt_path", checkpoint, "--accelerator", "cpu")
    done = predict("--precision", BFLOAT16)
    assert done.code == 0
    assert SLOW in done.err
    assert "slower" not in predict().err
    assert train("fit", *quick, "--trainer.precision", BFLOAT16, "--trainer.limit_train_batches", "2").code == 0
    assert SLOW in caplog.text
