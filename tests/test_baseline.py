"""The linear baselines on a run's own splits, beside its classifier."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from spam_classifier import hints
from spam_classifier.baseline import main
from spam_classifier.comparing.baselines import mcnemar, predict_baselines
from spam_classifier.errors import UserError
from spam_classifier.evaluation.metrics import Predictions

SMALL = [
    *("--model.weights", "random", "--model.layers", "1", "--model.width", "16", "--model.heads", "1"),
    *("--model.context", "256", "--model.token_position", "last_real", "--data.padding", "batch"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.max_epochs", "1"),
]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["baseline", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.slow
def test_comparison_grows_with_the_run(
    train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("spam", f"win prize {n} call") for n in range(30)] + [("ham", f"see you at {n} home") for n in range(90)]
    pd.DataFrame(rows, columns=["label", "text"]).to_csv(tmp_path / "corpus.csv", index=False)
    assert train("fit", *SMALL, "--data.corpus", "corpus.csv").code == 0
    assert run(monkeypatch) == 0
    directory = tmp_path / "lightning_logs/version_0"
    baselines = json.loads((directory / "metrics.json").read_text())["baselines"]
    assert set(baselines) == {"validation"}  # the test split has not been looked at
    for figures in baselines["validation"].values():
        assert figures["acc"] == 1  # the words give the class away
        assert "ece" not in figures

    assert train("test").code == 0
    assert run(monkeypatch) == 0
    assert "characters, linear SVM" in capsys.readouterr().out
    (directory / "test.csv").write_text((directory / "validation.csv").read_text())
    assert run(monkeypatch) == 1
    assert f"test.csv: run {hints.program('test')} again" in capsys.readouterr().err
    metrics = json.loads((directory / "metrics.json").read_text())
    assert set(metrics["baselines"]) == {"validation", "test", "natural"}
    assert metrics["natural"]["messages"] == metrics["baselines"]["natural"]["words, logistic regression"]["messages"]
    assert metrics["natural"]["shares"] == [0.75, 0.25]
    report = (directory / "report.html").read_text()
    assert "Against simpler models" in report
    assert "characters, linear SVM" in report


def test_messages_without_words_are_refused() -> None:
    rows = pd.DataFrame({"label": ["ham", "spam"] * 4, "text": [":-)", ":-("] * 4})
    with pytest.raises(UserError, match="words, logistic regression: empty vocabulary"):
        predict_baselines(dict.fromkeys(("train", "validation"), rows), ["ham", "spam"], balanced=False)


def test_mcnemar_counts_what_one_alone_gets_right() -> None:
    def predictions(predicted: list[int]) -> Predictions:
        found = torch.tensor(predicted)
        return Predictions(torch.arange(8), torch.zeros(8, dtype=torch.int64), found, found, found)

    compared = mcnemar(predictions([0, 0, 0, 0, 0, 1, 1, 1]), predictions([1, 1, 1, 1, 1, 0, 1, 1]))
    assert (compared["only_baseline"], compared["only_model"]) == (5, 1)
    assert compared["p"] == pytest.approx(2 * (1 + 6) / 2**6)  # of 6 coin tosses at least 5 alike
    assert mcnemar(predictions([0] * 8), predictions([0] * 8))["p"] == 1


@pytest.mark.slow
def test_real_corpus_as_the_book_splits_it(uci_archive: Path) -> None:
    from spam_classifier import SpamDataModule

    data = SpamDataModule(str(uci_archive))
    data.setup("fit")
    found = predict_baselines(data.splits, data.label_names, balanced=False)
    for by_split in found.values():
        accuracy = (by_split["test"].predicted == by_split["test"].labels).float().mean()
        assert 0.95 < accuracy < 0.99
