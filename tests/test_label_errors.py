"""Labels that are probably wrong, found by the command in a run whose corpus has errors planted."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from spam_classifier import hints
from spam_classifier.comparing import out_of_fold
from spam_classifier.files import locked
from spam_classifier.label_errors import main

SMALL = [
    *("--model.weights", "random", "--model.layers", "1", "--model.width", "32", "--model.heads", "2"),
    *("--model.context", "64", "--model.token_position", "last_real", "--model.trainable", "all"),
    *("--model.learning_rate", "3e-3", "--data.padding", "batch", "--data.balance", "none", "--data.stratify", "true"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.max_epochs", "4"),
]
WORDS = {
    "ham": ["home", "late", "dinner", "park", "bus", "school", "rain", "tea"],
    "spam": ["win", "cash", "prize", "claim", "free", "call", "now"],
}
PLANTED = {("ham", 3), ("spam", 5)}


@pytest.fixture
def run(train: Callable, tmp_path: Path) -> Path:
    """A run on messages whose words give the class away, two of them with the wrong label; they hold a control code."""
    rows = []
    for label, words in WORDS.items():
        for number in range(40):
            text = " ".join(words[(number * step + number // 7) % len(words)] for step in (1, 2, 3)) + f" x{number:b}"
            text = text.replace("1", "i").replace("0", "o")
            is_planted = (label, number) in PLANTED
            other = "spam" if label == "ham" else "ham"
            rows.append((other, f"\x1b[1m {text}") if is_planted else (label, text))
    pd.DataFrame(rows, columns=["label", "text"]).to_csv(tmp_path / "corpus.csv", index=False)
    assert train("fit", *SMALL, "--data.corpus", "corpus.csv").code == 0
    return tmp_path / "lightning_logs/version_0"


@pytest.mark.slow
@pytest.mark.report
def test_planted_errors_are_found(run: Path, call: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    launch_fit = out_of_fold.launch_fit

    def interrupted(config: Path, seed: int, flags: list[object], root: Path, **options: object) -> Path:
        if root.name == "fold_1":
            raise KeyboardInterrupt
        return launch_fit(config, seed, flags, root, **options)

    with monkeypatch.context() as patch:
        patch.setattr(out_of_fold, "launch_fit", interrupted)
        assert call(main, "--folds", "2").code == 130
    assert [path.name for path in run.glob("label_errors_folds/*/*.csv")] == ["fold_0.csv"]
    done = call(main, "--folds", "2")
    assert done.code == 0, done.err
    assert "fold 2 of 2 is complete" in done.err
    assert "fold 1" not in done.err
    found = pd.read_csv(run / "label_errors.csv")
    assert found.columns.tolist() == ["place", "text", "given", "suggested", "score"]
    assert found["score"].is_monotonic_increasing
    assert (found["given"] != found["suggested"]).all()
    assert found["text"][:2].str.startswith("\x1b[1m").all()
    split, row = found["place"][0].split(", row ")
    assert pd.read_csv(run / split)["text"][int(row) - 1] == found["text"][0]
    assert "\x1b" not in done.out
    assert r"\x1b[1m" in done.out.splitlines()[3]

    figures = json.loads((run / "metrics.json").read_text())["label_errors"]
    assert (figures["messages"], figures["folds"], figures["seed"]) == (80, 2, 123)
    assert figures["candidates"] == len(found)
    assert 0.5 < figures["agreement"] <= 78 / 80
    low, high = figures["interval"]
    assert 0 <= low < figures["share"] < high
    page = (run / "report.html").read_text()
    assert "Which labels may be wrong?" in page
    assert found["place"][0] in page
    assert not list(run.glob("label_errors_folds*"))


@pytest.mark.slow
def test_what_can_be_refused_is_refused_first(run: Path, call: Callable, tmp_path: Path) -> None:
    done = call(main, "--folds", "50")
    assert done.err == ("error: class 'ham' has 40 distinct message(s), too few for 50 folds: lower --folds to 40\n")
    (run / "label_errors_folds").mkdir()
    lock = run / "label_errors_folds/.lock"
    with locked(lock, lock, ""):
        assert "another command looks for label errors" in call(main).err
    metrics = run / "metrics.json"
    metrics.write_text(
        json.dumps({name: value for name, value in json.loads(metrics.read_text()).items() if name != "run"})
    )
    assert f"is not a finished run: resume it with {hints.program('fit')} --ckpt_path last" in call(main).err
    assert f"train one first, in half a minute: {hints.program('fit')}" in call(main, "--root", tmp_path / "x").err
