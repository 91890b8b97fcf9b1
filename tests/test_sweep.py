"""Configs over seeds and sizes."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from spam_classifier.evaluation.markdown import to_markdown
from spam_classifier.sweep import FIGURES, main, paired_differences, summarise

SMALL = [
    *("--model.weights", "random", "--model.layers", "1", "--model.width", "16", "--model.heads", "1"),
    *("--model.context", "256", "--model.token_position", "last_real", "--data.corpus", "sample"),
    *("--trainer.accelerator", "cpu", "--trainer.limit_train_batches", "3", "--trainer.max_epochs", "1"),
]


def runs_of(first: list[float], second: list[float], *, same_splits: bool = True) -> pd.DataFrame:
    rows = []
    for config, values in (("one", first), ("two", second)):
        splits = "splits" if same_splits else config
        for seed, value in enumerate(values):
            what = {"config": config, "size": 0, "seed": seed, "split": "validation", "model": "GPT-2"}
            what |= {"messages": f"{splits} of seed {seed}", "evaluated": 10, "trained": 40}
            rows.append({**what, **dict.fromkeys(FIGURES, value)})
    return pd.DataFrame(rows)


def test_mean_and_spread_over_seeds() -> None:
    table = summarise(runs_of([0.9, 0.92, 0.94], [0.5, 0.5, 0.5]))
    assert table["F1"].tolist() == ["92.00 ± 2.00", "50.00 ± 0.00"]
    assert table["seeds"].tolist() == [3, 3]
    assert to_markdown(table).splitlines()[0].startswith("| split | config | size | model | seeds |")


def test_configs_are_compared_seed_by_seed() -> None:
    (row,) = paired_differences(runs_of([0.9, 0.8, 0.7, 0.6], [0.92, 0.82, 0.71, 0.63]), "f1").to_dict("records")
    assert (row["first"], row["second"]) == ("GPT-2, one", "GPT-2, two")
    assert row["difference"] == pytest.approx(2.0)
    # differences 2, 2, 1, 3: mean 2, variance 2/3 * (1/4 + 10/40), Student's t of three degrees 3.182
    assert (row["low"], row["high"]) == (pytest.approx(2 - 1.837, abs=1e-3), pytest.approx(2 + 1.837, abs=1e-3))
    assert 0.03 < row["p"] < 0.05


def test_equal_differences_say_nothing_of_chance() -> None:
    table = paired_differences(runs_of([0.9, 0.8, 0.7], [0.92, 0.82, 0.72]), "f1")
    assert to_markdown(table).splitlines()[-1].endswith("| 2 | - | - | - |")


def test_figures_of_other_messages_are_not_paired() -> None:
    assert paired_differences(runs_of([0.9, 0.8], [0.7, 0.6], same_splits=False), "f1").empty


@pytest.mark.parametrize(
    ("flags", "refusal"),
    [
        (["missing.yaml"], "missing.yaml"),
        (["plain.yaml", "plain.yaml"], "a config is given twice"),
        (["plain.yaml", "--seeds", "1", "1"], "a seed is given twice"),
        (["plain.yaml", "--sizes", "0"], "at least 1"),
    ],
)
def test_what_would_mislead_is_refused_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    refusal: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.yaml").touch()
    monkeypatch.setattr(sys, "argv", ["sweep", *flags])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert refusal in capsys.readouterr().err
    assert not (tmp_path / "lightning_logs").exists()


@pytest.mark.slow
def test_sweep_trains_compares_and_draws(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("data:\n  deduplicate: exact\n")
    command = [sys.executable, "-m", "spam_classifier.sweep", "plain.yaml", "--seeds", "1", "2", "--sizes", "4"]
    command += ["--steps", "2", "--baselines", "--", *SMALL]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    directory = tmp_path / "lightning_logs/sweep_0"
    runs = pd.read_csv(directory / "sweep.csv")
    assert len(runs) == 2 * 3
    assert set(runs["split"]) == {"validation"}  # the test split is looked at when asked for
    assert (directory / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert "| validation | plain | 4 | GPT-2 | 2 |" in done.stdout
    assert (directory / "sweep.md").read_text().strip() in done.stdout
    metrics = json.loads(next(directory.glob("plain/4_per_class/seed_1/lightning_logs/*/metrics.json")).read_text())
    assert metrics["train"]["messages"] == 8


@pytest.mark.slow
def test_a_run_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("model:\n  learning_rate: -1\n")
    command = [sys.executable, "-m", "spam_classifier.sweep", "plain.yaml", "--", *SMALL]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: a run failed: --model.learning_rate must be above 0" in done.stderr
    assert "Traceback" not in done.stderr
