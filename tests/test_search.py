"""Searches of settings: found, pruned, failed, interrupted, killed and resumed."""

import itertools
import json
import math
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pandas as pd
import pytest
import yaml

from spam_classifier.comparing import trials
from spam_classifier.comparing.launch import RunFailed, RunStopped
from spam_classifier.comparing.trials import sentence_of
from spam_classifier.files import locked
from spam_classifier.search import main
from spam_classifier.train import main as train_main

DIRECTORY = Path("lightning_logs/search")
SPACE = "model.learning_rate: {low: 1.0e-5, high: 1.0e-2, log: true}\ndata.batch_size: [8, 16]\n"
CONFIG = "model: {weights: random, layers: 2, width: 16, heads: 2, context: 64, token_position: last_real}\n"
CONFIG += "data: {corpus: sample, train_fraction: 0.05, validation_fraction: 0.02, padding: batch}\n"
CONFIG += "trainer: {accelerator: cpu, max_epochs: 3, enable_model_summary: false}\n"


class Launched:
    """Replaces training: the loss falls with each validation, and is lowest at a learning rate of 0.001."""

    def __init__(self) -> None:
        self.configs: list[dict] = []
        self.fails: dict[int, BaseException] = {}  # by the number of the fit
        self.diverges_from = math.inf  # a learning rate

    def fit(
        self, config: Path, seed: None, flags: list[str], root: Path, *, states: Path, on_validation: Callable
    ) -> Path:
        settings = yaml.safe_load(config.read_text())
        self.configs.append(settings)
        states.mkdir(exist_ok=True)
        run = root / "lightning_logs/version_0"
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints/best-epoch0.ckpt").touch()
        for number in (1, 2, 3):
            loss = abs(math.log10(settings["model"]["learning_rate"]) + 3) + 1 / number
            is_hopeless = on_validation(number, loss)
            if error := self.fails.pop(len(self.configs), None):
                raise error
            if settings["model"]["learning_rate"] >= self.diverges_from:
                raise RunFailed("it has diverged")
            if is_hopeless:
                raise RunStopped
        (run / "metrics.json").write_text(json.dumps({"validation": {"acc": 0.9, "f1": 0.8}}))
        return run


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Launched:
    fake = Launched()
    monkeypatch.setattr(trials, "launch_fit", fake.fit)
    monkeypatch.setattr(trials, "draw_search", lambda *_: None)
    monkeypatch.setattr(trials, "save_png", lambda _, path: path.touch())
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(CONFIG)
    Path("space.yaml").write_text(SPACE)
    return fake


@pytest.fixture
def search(call: Callable) -> Callable:
    """Run the command on the config and the space; its exit code and output."""

    def search(*words: object, config: str = "config.yaml", trials: int = 6) -> tuple[int, str, str]:
        own = ["--space", "space.yaml", "--trials", trials, "--confirm", 0]
        return call(main, config, *own, *words)

    return search


def table() -> pd.DataFrame:
    return pd.read_csv(DIRECTORY / "search.csv").drop(columns="seconds")


def test_the_best_of_all_trials_becomes_a_config(launched: Launched, search: Callable) -> None:
    code, out, err = search("--", "--model.dropout", "0.2")
    assert code == 0, err
    found = table()
    assert list(found["trial"]) == [0, 1, 2, 3, 4, 5]
    assert set(found["state"]) == {"complete", "pruned"}
    assert found.loc[0, ["model.learning_rate", "data.batch_size"]].tolist() == [5e-5, 8]  # the config's own
    complete = found[found["state"] == "complete"]
    best = complete.loc[complete["validation loss"].idxmin()]
    assert set(complete["validations"]) == {3}
    assert 1 in set(found[found["state"] == "pruned"]["validations"]) <= {1, 3}
    assert f"The best of 6 trials is trial {best['trial']}" in out
    assert out.splitlines()[1].split()[:2] == ["0", "complete"]
    assert max(map(len, out.partition("\n\nThe best")[0].splitlines())) <= 120
    settings = yaml.safe_load((DIRECTORY / "best.yaml").read_text())
    assert settings == launched.configs[best["trial"]]
    assert settings["model"]["learning_rate"] == best["model.learning_rate"]
    assert (settings["model"]["dropout"], settings["data"]["split_seed"]) == (0.2, 123)
    assert {settings["data"]["split_seed"] for settings in launched.configs} == {123}
    assert [path.parts[3] for path in DIRECTORY.rglob("*.ckpt")] == [str(best["trial"])]
    assert not (DIRECTORY / "hidden_states").exists()
    assert re.search(r"trial 1: \w+, validation loss [\d.]+ after \d validation", err)


def test_a_finished_search_goes_on_with_more_trials(launched: Launched, search: Callable) -> None:
    search(trials=4)
    first = table()
    assert search(trials=4)[0] == 0
    assert len(launched.configs) == 4
    assert search(trials=7)[0] == 0
    assert len(launched.configs) == 7
    pd.testing.assert_frame_equal(table()[:4], first)


def test_an_interrupted_search_tries_what_it_would_have(launched: Launched, search: Callable) -> None:
    search(trials=14)  # the last ones are not drawn at random
    undisturbed = table()
    shutil.rmtree(DIRECTORY)
    done = len(launched.configs)
    for stop in (1, 4, 5, 12):  # while which fit
        launched.fails[done + stop] = KeyboardInterrupt()
        done += 1
    codes = [search(trials=14)[0] for _ in range(5)]
    assert codes == [130] * 4 + [0]
    assert len(launched.configs) == 14 + 14 + 4
    pd.testing.assert_frame_equal(table(), undisturbed)


def stop_at(patch: pytest.MonkeyPatch, place: str, call: int) -> None:
    """Make the given call of a function of Optuna an interruption."""
    owner, _, name = f"optuna.{place}".rpartition(".")
    function, calls = getattr(resolve_name(owner), name), itertools.count(1)

    def until_then(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    patch.setattr(resolve_name(owner), name, until_then)


@pytest.mark.slow
@pytest.mark.parametrize(
    "places",
    [
        ["study.Study.enqueue_trial"],
        ["trial.Trial._suggest"],  # between a trial and its values
        ["trial.Trial.set_user_attr"],
        ["study.Study.tell"],  # once all about the trial is known
        ["trial.Trial.report", "study.Study.tell"],  # the second as the first is cleared up
        ["trial.Trial.report", "study.Study.enqueue_trial"],
    ],
)
def test_no_trial_is_lost_or_counted_twice(launched: Launched, search: Callable, places: list[str]) -> None:
    search(trials=4)
    launched.diverges_from = table()["model.learning_rate"].max()
    shutil.rmtree(DIRECTORY)
    search(trials=4)
    undisturbed = table()
    assert undisturbed["state"].tolist().count("failed") == 1
    for call in (1, 3):
        shutil.rmtree(DIRECTORY)
        for place in places:
            with pytest.MonkeyPatch.context() as patch:
                stop_at(patch, place, call if place == places[0] else 1)
                code = search(trials=4)[0]
            assert code == 130 or call == 3  # which may be one too many
        assert search(trials=4)[0] == 0
        pd.testing.assert_frame_equal(table(), undisturbed)


def test_a_trial_that_fails_is_named_and_the_search_goes_on(launched: Launched, search: Callable) -> None:
    launched.fails[2] = RunFailed("no room | none")
    code, out, err = search(trials=3)
    assert code == 0
    assert "trial 1: failed, no room | none" in err
    assert table()["state"].tolist()[:2] == ["complete", "failed"]
    assert len(table()) == 3
    assert "no room | none" in out
    assert "no room \\| none |" in (DIRECTORY / "search.md").read_text()
    assert search(trials=3)[0] == 0
    assert len(launched.configs) == 3


def test_a_config_that_fails_itself_ends_the_search(launched: Launched, search: Callable) -> None:
    launched.fails[1] = RunFailed("no room")
    code, _, err = search()
    assert (code, len(launched.configs)) == (1, 1)
    assert err == "error: config.yaml itself fails: no room\n"
    assert search()[0] == 0
    assert len(table()) == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda: Path("space.yaml").write_text(SPACE.replace("16", "32")),
        lambda: Path("config.yaml").write_text(CONFIG.replace("max_epochs: 3", "max_epochs: 4")),
        lambda: ["--seed", "7"],
        lambda: ["--", "--model.dropout", "0.1"],
    ],
)
def test_another_search_is_refused(launched: Launched, search: Callable, change: Callable) -> None:
    search(trials=2)
    before = (DIRECTORY / "search.md").read_text()
    words = change()
    code, _, err = search(*(words if isinstance(words, list) else []), trials=3)
    assert (code, len(launched.configs)) == (1, 2)
    assert "choose another --name" in err
    assert len(err.splitlines()) == 1
    assert (DIRECTORY / "search.md").read_text() == before


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["--name", "mine"], "{}/lightning_logs/mine holds other files than a search"),
        (["--trials", "0"], "--trials must be at least 1, not 0"),
        (["--seed", "-1"], "--seed must be at least 0, not -1"),
        (["--confirm", "-1"], "--confirm must be at least 0, not -1"),
        (["--space", "none.yaml"], "--space none.yaml: no such file"),
        (["--", "--model.learning_rate", "0.1"], "space.yaml searches model.learning_rate, so --model.learning_rate"),
        (["--", "--data.corpus", "x.csv"], "cannot read --data.corpus x.csv"),
        (["--", "--data.corpsu", "x"], "unrecognized arguments: --data.corpsu x; did you mean --data"),
        (["--", "--model.lora_rank", "4"], "--model.lora_rank has no effect"),
    ],
)
def test_mistakes_are_refused_before_any_trial(
    launched: Launched, search: Callable, words: list[str], refusal: str
) -> None:
    Path("lightning_logs/mine/thesis").mkdir(parents=True)
    code, _, err = search(*words)
    assert code in (1, 2)
    assert err.startswith(f"error: {refusal.format(Path.cwd())}")
    assert len(err.splitlines()) == 1
    assert not launched.configs
    assert not DIRECTORY.exists()


def test_an_unknown_config(launched: Launched, search: Callable) -> None:
    assert "CONFIG recomended: no such file" in search(config="recomended")[2]


def test_two_searches_can_not_share_a_directory(launched: Launched, search: Callable) -> None:
    DIRECTORY.parent.mkdir(parents=True)
    lock = DIRECTORY.with_name(".search.lock")
    with locked(lock, lock, "busy"):
        code, _, err = search()
    assert code == 1
    assert "another command is at work" in err


def test_the_conclusion_has_the_interval() -> None:
    line = {"split": "test", "difference": "+1.20", "95% interval": "-0.30 to 2.70"}
    said = sentence_of([{"split": "validation"}, line], [1, 2, 3])
    assert "is +1.20 percentage points (95% interval -0.30 to 2.70)" in said
    assert "no interval" in sentence_of([{"split": "test", "difference": "+1.20"}], [1, 2])
    assert "could not be compared" in sentence_of([], [1])


@pytest.mark.ci
@pytest.mark.slow
def test_a_search_is_killed_and_resumed_and_its_best_can_be_trained(
    forked: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable, wait_until: Callable
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(CONFIG)
    Path("space.yaml").write_text(SPACE.replace("1.0e-5", "1.0e-3"))
    words = ["config.yaml", "--space", "space.yaml", "--trials", "4", "--confirm", "2"]
    killed = forked("spam_classifier.search", *words, cwd=tmp_path, fresh=True)
    wait_until(lambda: (DIRECTORY / "trials/1/output.txt").is_file())
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert len(table()) == 1
    done = forked("spam_classifier.search", *words, cwd=tmp_path, fresh=True).outcome()
    assert done.code == 0, done.err
    found = table()
    assert list(found["trial"]) == [0, 1, 2, 3]
    complete = found[found["state"] == "complete"]
    best = complete.loc[complete["validation loss"].idxmin()]
    assert best["trial"] > 0  # the config's own learning rate is far too low
    assert (DIRECTORY / "search.png").read_bytes().startswith(b"\x89PNG")
    assert "F1 of the best minus F1 of the config is" in done.out
    assert set(pd.read_csv(DIRECTORY / f"confirm_{best['trial']}/experiments.csv")["seed"]) == {124, 125}
    again = call(train_main, "fit", "--config", DIRECTORY / "best.yaml", "--trainer.enable_progress_bar", "false")
    assert again.code == 0, again.err
    curves = json.loads(Path("lightning_logs/version_0/metrics.json").read_text())["curves"]
    assert min(loss for _, loss in curves["val/loss"]) == best["validation loss"]
