"""The report answers the checklist from what a run knows, and no more."""

import json
from pathlib import Path

import yaml

from spam_classifier.evaluation.checklist import ITEMS, checklist
from spam_classifier.runs.describe import RunDescription, describe_run

RUN = Path(__file__).parents[1] / "run_of_0_1_0"


def answers(metrics: dict, settings: dict, described: RunDescription) -> dict[str, str]:
    return {item.number: item.answer for items in checklist(metrics, settings, described).values() for item in items}


def test_a_run_answers_from_its_files() -> None:
    metrics = json.loads((RUN / "metrics.json").read_text())
    found = answers(metrics, yaml.safe_load((RUN / "config.yaml").read_text()), describe_run(RUN))
    assert metrics["provenance"]["corpus_sha256"]["--data.corpus"] in found["2a"]
    assert metrics["provenance"]["git"]["revision"] in found["2b"]
    assert "150 ham, 90 spam" in found["3d"]
    assert "train: 62 ham, 62 spam" in found["3e"]
    assert "60 messages left out to balance the classes" in found["4a"]
    assert "stratified by class, seed 123: 0.7 for training, 0.1 for validation" in found["5c"]
    assert "best_f1 on the validation split" in found["5d"]
    assert "0 word for word, 24 nearly" in found["6b"]
    assert "the command baseline adds linear models" in found["5f"]
    for yours in ("1a", "1b", "1c", "3b", "3c", "3g", "5b", "5e", "7c", "8a"):
        assert found[yours] == ""


def test_baselines_and_a_given_test_split_are_answers() -> None:
    audit = {"given": {"--data.test_corpus": "later.csv"}, "corpus": {"classes": {"a": 1}}, "splits": {}}
    found = answers({"baselines": {"test": {}}, "audit": audit}, {}, RunDescription(warning="Old messages."))
    assert found["8a"].endswith("later.csv.")
    assert found["8b"] == "Old messages."
    assert found["7c"].startswith("McNemar")
    assert found["5f"].startswith("TF-IDF")


def test_a_run_without_settings_or_figures_knows_little() -> None:
    found = answers({}, {}, RunDescription())
    assert len(found) == sum(map(len, ITEMS.values())) == 32
    assert found["2a"] == found["5a"] == found["5c"] == found["8b"] == ""
