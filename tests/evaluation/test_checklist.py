"""The report answers the checklist from what a run knows, and no more."""

import html
import json
import re
import shutil
from pathlib import Path

import yaml

from spam_classifier.evaluation.report import write_report

RUN = Path(__file__).parents[1] / "run_of_0_1_0"
ITEM = re.compile(r'<tr><td class="name">(\d[a-g]) [^<]*</td><td class="name">(.*?)</td></tr>')


def answers(run: Path) -> dict[str, str]:
    """The answers in a run's report by their number; "" where the run knows none."""
    write_report(run)
    found = ITEM.findall((run / "report.html").read_text())
    return {number: "" if "not known" in answer else html.unescape(answer) for number, answer in found}


def test_a_run_answers_from_its_files(tmp_path: Path) -> None:
    run = Path(shutil.copytree(RUN, tmp_path / "run"))
    metrics = json.loads((run / "metrics.json").read_text())
    found = answers(run)
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


def test_baselines_and_a_given_test_split_are_answers(tmp_path: Path) -> None:
    run = Path(shutil.copytree(RUN, tmp_path / "run"))
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["audit"]["given"] = {"--data.test_corpus": "later.csv"}
    metrics["baselines"] = {"test": {}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    found = answers(run)
    assert found["8a"].endswith("later.csv.")
    assert found["7c"].startswith("McNemar")
    assert found["5f"].startswith("TF-IDF")


def test_a_run_without_settings_or_figures_knows_little(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({}))
    found = answers(tmp_path)
    assert len(found) == 32
    assert found["2a"] == found["5a"] == found["5c"] == found["8b"] == ""


def test_settings_are_named(tmp_path: Path) -> None:
    run = Path(shutil.copytree(RUN, tmp_path / "run"))
    model = yaml.safe_load((run / "config.yaml").read_text())["model"]
    assert f"learning rate of {model['learning_rate']}" in answers(run)["5a"]
