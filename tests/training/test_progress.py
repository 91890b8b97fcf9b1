"""What a training shows: bars on a terminal, lines in a log, and nothing of Lightning's own."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from spam_classifier.training.progress import RunTime

SMALL = [
    *("fit", "--model.weights", "random", "--model.layers", "2", "--model.width", "32", "--model.heads", "2"),
    *("--model.context", "64", "--model.token_position", "last_real", "--data.padding", "batch"),
    *("--data.corpus", "sample", "--data.train_per_class", "16", "--trainer.accelerator", "cpu"),
]
CHATTER = (
    "Tip",
    "Seed set",
    "available",
    "Restoring",
    "Loaded",
    "was configured",
    "FLOPs",
    "Sanity",
    "v_num",
    "Trainer",
)
CHATTER += ("it/s", "DataLoader", "Testing", "Predicting", "deprecated")
METRICS = Path("lightning_logs/version_0/metrics.json")


def show_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.slow
def test_a_log_has_a_line_for_each_stage_and_no_chatter(train: Callable) -> None:
    fitted = train(*SMALL, "--trainer.max_epochs", 2)
    tested = train("test")
    assert (fitted.code, tested.code) == (0, 0), fitted.err + tested.err
    said = fitted.err + fitted.out + tested.err + tested.out
    assert len(said.splitlines()) < 60
    assert not [phrase for phrase in CHATTER if phrase in said]
    first, *lines = fitted.err.splitlines()
    assert first == "run lightning_logs/version_0 on cpu, seed 123"
    figures = r"train loss \d\.\d{4}, validation loss \d\.\d{4}, validation accuracy \d+\.\d\d%, \d+ s"
    for number, line in enumerate((line for line in lines if line.startswith("epoch")), 1):
        assert re.fullmatch(rf"epoch {number}/2, step {4 * number}/8: {figures}", line)
    assert [line.partition(",")[0] for line in lines[-2:]] == ["evaluating train", "evaluating validation"]
    assert [line.partition(",")[0] for line in tested.err.splitlines()[1:]] == ["test", "evaluating left-over"]

    result, counts, mistakes, rest = tested.out.strip().split("\n\n")
    assert [line.split()[0] for line in result.splitlines()] == ["split", "train", "validation", "test"]
    assert counts.splitlines()[0] == "label  predicted ham  predicted spam"
    assert len(mistakes.splitlines()) == 5
    assert "report" in rest
    assert "python -m spam_classifier.serve" in rest


@pytest.mark.slow
def test_a_terminal_has_bars(train: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    show_bars(monkeypatch)
    fitted = train(*SMALL, "--trainer.max_epochs", 2)
    assert fitted.code == 0, fitted.err
    names = {part.partition(":")[0] for part in re.split(r"[\r\n]", fitted.out) if "|" in part}
    assert {"epoch 1/2", "epoch 2/2", "Validation DataLoader 0", "Predicting DataLoader 0"} <= names
    assert "train/loss_step=" in fitted.out
    assert "v_num" not in fitted.out
    assert "frozen blocks" in fitted.err
    assert "epoch 2/2, step 8/8: train loss" in fitted.err


@pytest.mark.slow
def test_no_bar_where_it_is_switched_off_or_another_is_chosen(train: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    show_bars(monkeypatch)
    limits = ["--trainer.max_epochs", 1]
    off = train(*SMALL, *limits, "--trainer.enable_progress_bar", "false")
    assert (off.code, "|" in off.err + off.out) == (0, False), off.err
    other = train(*SMALL, *limits, "--trainer.callbacks", "TQDMProgressBar")
    assert other.code == 0, other.err
    assert "Epoch 0" in other.out
    assert "epoch 1/1" not in other.err


@pytest.mark.slow
def test_a_resumed_run_counts_its_whole_time(train: Callable) -> None:
    assert train(*SMALL, "--trainer.max_epochs", 1).code == 0
    first = json.loads(METRICS.read_text())["run"]["seconds"]
    checkpoint = torch.load("lightning_logs/version_0/checkpoints/last.ckpt", weights_only=True)
    kept = checkpoint["callbacks"]["RunTime"]["seconds"]
    assert 0 < kept <= first
    resumed = train("fit", "--ckpt_path", "last", "--trainer.max_epochs", 2)
    assert resumed.code == 0, resumed.err
    assert "run lightning_logs/version_0 resumed after step 4 on cpu" in resumed.err
    assert "epoch 2/2, step 8/8: " in resumed.err
    assert json.loads(METRICS.read_text())["run"]["seconds"] > kept
    assert re.search(r"time +.* \(.* of them in this session\), 2 epochs, 8 steps", resumed.out)


def test_the_time_of_earlier_sessions_is_in_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("spam_classifier.training.progress.time.monotonic", lambda: now)
    first = RunTime()
    now = 130.0
    kept = first.state_dict()
    now = 500.0
    second = RunTime()
    second.load_state_dict(kept)
    now = 505.0
    assert (second.session, second.total) == (5, 35)
