"""A run directory that version 0.1.0 wrote: every later version predicts with it, tests it and resumes it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from spam_classifier import load_classifier

RUN = Path(__file__).with_name("run_of_0_1_0")
CORPUS = ["--data.corpus", str(RUN / "corpus.csv")]


@pytest.fixture
def kept_run(tmp_path: Path) -> Path:
    """A copy, with a setting that earlier versions had."""
    run = tmp_path / "lightning_logs/version_0"
    shutil.copytree(RUN, run)
    config = run / "config.yaml"
    config.write_text(
        config.read_text().replace("  frozen_prefix: auto", "  prefix_cache: null\n  frozen_prefix: auto")
    )
    return run


def test_it_predicts_as_it_did(kept_run: Path) -> None:
    classifier = load_classifier(kept_run)
    assert classifier.labels == ["ham", "spam"]
    table = pd.read_csv(kept_run / "predictions/test.csv")
    predictions = classifier.predict(table["text"].tolist())
    assert [own.label for own in predictions] == table["predicted"].tolist()
    spam = [own.probabilities["spam"] for own in predictions]
    assert spam == pytest.approx(table["probability_spam"].tolist(), abs=1e-5)


def test_it_is_tested_and_resumed(kept_run: Path, train: Callable) -> None:
    before = json.loads((kept_run / "metrics.json").read_text())
    assert train("test", "--ckpt_path", "last", *CORPUS).code == 0
    after = json.loads((kept_run / "metrics.json").read_text())
    assert after["test"]["confusion"] == before["test"]["confusion"]
    assert after["test"]["loss"] == pytest.approx(before["test"]["loss"], abs=1e-5)
    resumed = train("fit", "--ckpt_path", "last", "--trainer.max_epochs", 4, *CORPUS)
    assert resumed.code == 0, resumed.err
    assert json.loads((kept_run / "metrics.json").read_text())["run"]["epochs"] == 4
