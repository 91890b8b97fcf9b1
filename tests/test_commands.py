"""The commands: their list, hints that can be typed, configs by name, and mistakes that end in one line."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from spam_classifier import __main__, experiments, hints, predict, serve
from spam_classifier.command_line import flags_behind_dashes
from spam_classifier.errors import UserError, did_you_mean
from spam_classifier.find_config import find_config, packaged_folder, packaged_names

CONFIGS = Path(__file__).parents[1] / "configs"
EXTRAS = {
    "metrics": "prometheus-client",
    "serve": "uvicorn",
    "export": "onnx",
    "parquet": "pyarrow",
    "baseline": "scikit-learn",
    "search": "optuna",
}


def test_the_package_lists_and_runs_its_commands(call: Callable) -> None:
    listed = call(__main__.main)
    assert listed.code == 0
    assert re.findall(r"^  (\w+) {2,}", listed.out, re.MULTILINE) == list(__main__.COMMANDS)
    assert f"usage: {hints.program('rerun')}" in call(__main__.main, "rerun", "--help").out
    assert f"usage: {hints.program('fit')} [options]" in call(__main__.main, "fit", "--help").out


@pytest.mark.parametrize(("typed", "meant"), [("trian", ": use one of fit, val"), ("predcit", "did you mean predict?")])
def test_a_misspelt_command(call: Callable, typed: str, meant: str) -> None:
    done = call(__main__.main, typed)
    assert done.code == 2
    assert done.err.startswith(f"error: there is no command '{typed}'")
    assert meant in done.err


# --- hints


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that this process was started from a virtual environment in the current directory."""
    own, other = tmp_path / ".venv/bin", tmp_path / "other"
    monkeypatch.chdir(tmp_path)
    for directory in (own, other):
        directory.mkdir(parents=True)
        for name in ("python", hints.CONSOLE_SCRIPT):
            (directory / name).touch(0o755)

    def started(*words: str, on_path: bool) -> None:
        monkeypatch.setattr(sys, "executable", str(own / "python"))
        monkeypatch.setattr(sys, "orig_argv", [sys.executable, *words])
        monkeypatch.setenv("PATH", str(own if on_path else other))

    return started


def test_hints_can_be_typed_where_they_are_printed(started: Callable, tmp_path: Path) -> None:
    script = str(tmp_path / ".venv/bin/spam-classifier")
    module = "python -m spam_classifier"
    for words, on_path, *expected in (
        ((script, "fit"), True, "spam-classifier test", "spam-classifier serve"),
        ((script, "fit"), False, ".venv/bin/spam-classifier test", ".venv/bin/spam-classifier serve"),
        (
            ("-m", "spam_classifier", "fit"),
            True,
            "python -m spam_classifier.train test",
            "python -m spam_classifier.serve",
        ),
        (("-m", "spam_classifier.train", "fit"), False, f".venv/bin/{module}.train test", f".venv/bin/{module}.serve"),
    ):
        started(*words, on_path=on_path)
        assert [hints.program("test"), hints.program("serve")] == expected


def test_hints_are_quoted(started: Callable) -> None:
    started("-m", "spam_classifier.train", on_path=True)
    line = hints.command_line("predict", "see you, at 7?", 'a "b"', "--root", "runs")
    assert line == """python -m spam_classifier.predict "see you, at 7?" 'a "b"' --root runs"""


def test_the_same_command_with_other_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["-m", "spam_classifier.predict", "--text_column", "3", "--input", "a b.csv", "--text_column=4"]
    monkeypatch.setattr(sys, "orig_argv", ["python", *words])
    typed = hints.same_command("--text_column", "was said")
    assert typed == f'{hints.python()} -m spam_classifier.predict --input "a b.csv" --text_column "was said"'
    monkeypatch.setattr(sys, "orig_argv", ["python", "notebook.py"])
    assert hints.same_command("--text_column", "was said") == '--text_column "was said"'


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_extra_is_installed_by_the_names_of_its_packages(extra: str) -> None:
    assert re.fullmatch(rf"\S+ -m pip install [\w. -]*\b{EXTRAS[extra]}\b[\w. -]*", hints.install(extra))


# --- configs


@pytest.mark.parametrize("name", ["recommended", "recommended.yaml", "configs/recommended.yaml"])
def test_a_config_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == CONFIGS / "recommended.yaml"
    own = tmp_path / name
    own.parent.mkdir(exist_ok=True)
    own.touch()
    assert find_config(name) == Path(name)  # the user's own file first


def test_all_configs_have_names() -> None:
    assert packaged_folder() == CONFIGS
    assert {find_config(name) for name in packaged_names()} == set(CONFIGS.rglob("*.yaml"))
    assert find_config("experiments", folders=True) == CONFIGS / "experiments"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope", "no such file or packaged config; packaged are book, emails, from_scratch, quickstart, recommended, "),
        ("recomended", "did you mean recommended?"),
        ("experiments/03_head", "did you mean experiments/03_head_only?"),
        ("experiments", "is a folder: name a config in it, one of experiments/01"),
    ],
)
def test_an_unknown_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(said)):
        find_config(name)


# --- mistakes


def test_what_was_meant() -> None:
    flags = ["--model.learning_rate", "--data.corpus", "--root"]
    assert did_you_mean("--data.corpsu", flags) == "; did you mean --data.corpus?"
    assert did_you_mean("--learning_rate", flags) == "; did you mean --model.learning_rate?"
    assert did_you_mean("--something", flags) == ""


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("predict", "hi --device cpu", "--device cpu; did you mean --accelerator?"),
        ("predict", "hi --ckpt last", "--ckpt last; did you mean --ckpt_path?"),  # no abbreviations
        ("predict", "hi --text_column body", "--text_column has no effect without an --input"),
        ("predict", "hi --overwrite", "--overwrite has no effect without an --output"),
        ("serve", "--port x", "--port x: give a whole number"),
        ("serve", "lightning_logs/version_0", "a run is named by --ckpt_path"),
        ("export", "onnx x.onnx --int4", "did you mean --int8?"),
        ("baseline", "--rot x", "did you mean --root?"),
        ("robustness", "--window", "did you mean --windows?"),
        ("label_errors", "--folds 1", "--folds must be at least 2, not 1"),
        ("label_errors", "--seed -1", "--seed must be from 0 to 4294967295, not -1"),
        ("rerun", "lightning_logs/version_0", "a run is named by --ckpt_path"),
        ("rerun", "--seed_everything 1", "flags of fit follow after --, as in"),
        ("experiments", "01 --data.corpus x", "flags of fit follow after --, as in"),
        ("experiments", "--name a/b", "--name a/b: give a name"),
        ("search", "book --name a/b", "--name a/b: give a name"),
        ("search", "book --data.corpus x", "flags of fit follow after --, as in"),
        ("experiments", "--steps 7", "--steps has no effect without --sizes"),
    ],
)
def test_a_mistake_is_one_line(call: Callable, command: str, words: str, said: str) -> None:
    done = call(import_module(f"spam_classifier.{command}").main, *words.split())
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("error: ")
    assert said in done.err


@pytest.mark.parametrize("command", [name for name in __main__.COMMANDS if name not in hints.OF_TRAIN])
def test_the_shared_flags_are_in_every_command(call: Callable, command: str) -> None:
    words = ["onnx"] if command == "export" else []
    said = call(import_module(f"spam_classifier.{command}").main, *words, "--help").out
    assert "--root DIR" in said
    assert ("--ckpt_path RUN" in said) == (command not in ("experiments", "search"))
    with_accelerator = ("predict", "serve", "experiments", "search", "robustness", "rerun")
    assert ("--accelerator NAME" in said) == (command in with_accelerator)


def test_flags_of_fit_come_after_the_dashes() -> None:
    assert flags_behind_dashes(["1", "--test", "--", "--a", "--", "b"]) == (["1", "--test"], ["--a", "--", "b"])
    assert flags_behind_dashes(["1"]) == (["1"], [])


def test_the_device_of_experiments_is_that_of_fit() -> None:
    _, flags = experiments.parse(["01", "--accelerator", "gpu", "--devices", "2", "--", "--data.corpus", "sample"])
    assert flags == ["--trainer.accelerator=gpu", "--trainer.devices=2", "--data.corpus", "sample"]


def test_serve_and_predict_take_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (serve, predict):
        monkeypatch.setattr(sys, "argv", ["x", "--accelerator", "gpu"])
        assert command.parse().accelerator == "gpu"
