"""A run in words."""

from pathlib import Path

import pytest
import yaml

from spam_classifier.runs.describe import OLD_SMS, SYNTHETIC, RunDescription, describe_run
from spam_classifier.runs.metrics import update_metrics


@pytest.mark.parametrize(
    ("model", "corpus", "words", "name", "warning"),
    [
        (
            {"weights": "random", "layers": 1},
            "sample",
            "GPT-2 of 1 layer, trained from scratch",
            "the built-in sample",
            SYNTHETIC,
        ),
        (
            {"weights": "gpt2-xl", "trainable": "lora"},
            "uci",
            "GPT-2 1.5B, trained with LoRA",
            "the SMS Spam Collection",
            OLD_SMS,
        ),
        (
            {"weights": "/a/own", "trainable": "all"},
            "/b/c.csv",
            "GPT-2 with the weights own, all of it trained",
            "c.csv",
            "",
        ),
    ],
)
def test_model_and_corpus(
    tmp_path: Path, model: dict[str, object], corpus: str, words: str, name: str, warning: str
) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": model, "data": {"corpus": corpus}}))
    update_metrics(tmp_path, {"provenance": {"date": "2026-03-01"}, "validation": {"acc": 0.5}})
    found = describe_run(tmp_path)
    assert (found.model, found.corpus, found.warning) == (words, name, warning)
    assert (found.day, found.split, found.tested) == ("1 March 2026", "validation", {"acc": 0.5})


def test_what_is_missing_or_damaged_is_left_out(tmp_path: Path) -> None:
    assert describe_run(tmp_path) == RunDescription()
    (tmp_path / "config.yaml").write_text("model: [")
    (tmp_path / "metrics.json").write_text("[]")
    assert describe_run(tmp_path) == RunDescription()
