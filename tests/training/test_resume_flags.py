"""Command lines that take up a run: what is put into them, and where."""

from pathlib import Path
from typing import Any

import jsonargparse
import pytest
import torch

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2_classifier import backbone_structure
from spam_classifier.training.module import SpamClassifier
from spam_classifier.training.resume_flags import with_run_settings

HYPER_PARAMETERS = {
    **dict(SpamClassifier("random", layers=1, width=1, heads=1).hparams),
    **{"label_names": ["ham", "spam"], "padded_length": 120, "keep": "head", "max_length": 120},
}


def tensors(classes: int) -> dict[str, torch.Tensor]:
    """Those of the smallest model there is."""
    model = SpamClassifier("random", layers=1, width=1, heads=1)
    backbone = backbone_structure(model.shape, model.hparams).state_dict()
    decision = {"temperature": 1.0, "threshold": 0.5, "fitted_step": -1}
    return {
        **{f"backbone.{name}": torch.zeros(tensor.shape) for name, tensor in backbone.items()},
        **{"head.weight": torch.arange(float(classes))[:, None], "head.bias": torch.zeros(classes)},
        **{f"decision.{name}": torch.tensor(value) for name, value in decision.items()},
    }


def put_run(root: Path, version: str = "version_0", **changes: object) -> Path:
    """A run with a config.yaml and one checkpoint; returns the checkpoint."""
    path = root / "lightning_logs" / version / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    settings: dict[str, Any] = {**HYPER_PARAMETERS, **changes}
    settings["class_weights"] = [1.0 for _ in settings["label_names"]]
    torch.save(
        {
            "state_dict": tensors(len(settings["label_names"])),
            "global_step": 42,
            "optimizer_states": [],
            "hyper_parameters": settings,
        },
        path,
    )
    (path.parent.parent / "config.yaml").write_text("seed_everything: 123\n")
    return path


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only run's checkpoint, in the current directory's lightning_logs."""
    path = put_run(tmp_path)
    monkeypatch.chdir(tmp_path)
    return path.relative_to(tmp_path)


def settings_of(checkpoint: Path, subcommand: str) -> list[str]:
    settings = [
        *("--config", "seed_everything: 123\n"),
        "--model.layers=1",
        "--model.width=1",
        "--model.heads=1",
        "--model.context=1024",
        '--data.labels=["ham", "spam"]',
        "--data.max_length=120",
    ]
    if subcommand != "fit":
        settings += [f"--trainer.limit_{stage}_batches=1.0" for stage in ("val", "test")]
    return settings


@pytest.mark.parametrize("subcommand", ["validate", "test"])
def test_evaluation_takes_up_the_newest_run(checkpoint: Path, subcommand: str) -> None:
    expanded, run = with_run_settings([subcommand])
    assert expanded == [subcommand, *settings_of(checkpoint, subcommand), f"--ckpt_path={checkpoint}"]
    assert run is not None
    assert (run.directory, run.step) == (checkpoint.resolve().parent.parent, 42)
    assert run.evaluates == (subcommand != "fit")


@pytest.mark.parametrize("subcommand", ["fit", "validate", "test"])
@pytest.mark.parametrize("value", ["last", "best", "{checkpoint}"])
@pytest.mark.parametrize("joined", [True, False])
def test_the_run_is_named_in_either_form_of_the_flag(
    checkpoint: Path, subcommand: str, value: str, joined: bool
) -> None:
    value = value.format(checkpoint=checkpoint)
    flag = [f"--ckpt_path={value}"] if joined else ["--ckpt_path", value]
    expanded, run = with_run_settings([subcommand, *flag])
    assert expanded == [subcommand, *settings_of(checkpoint, subcommand), *flag, f"--ckpt_path={checkpoint}"]
    assert run is not None
    assert (run.directory, run.step) == (checkpoint.resolve().parent.parent, 42)
    assert run.evaluates == (subcommand != "fit")


def test_settings_come_before_the_flags_and_after_the_subcommand(checkpoint: Path) -> None:
    before, after = ["--seed_everything", "7"], ["--config", "own.yaml", "--data.max_length=64"]
    expanded, _ = with_run_settings([*before, "test", *after])
    assert expanded == [*before, "test", *settings_of(checkpoint, "test"), *after, f"--ckpt_path={checkpoint}"]


def test_a_flag_wins_over_the_runs_setting(checkpoint: Path) -> None:
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--data.max_length", type=int)
    expanded, _ = with_run_settings(["test", "--data.max_length", "64"])
    parsed = parser.parse_args([word for word in expanded if "max_length" in word or word == "64"])
    assert parsed["data.max_length"] == 64


@pytest.mark.parametrize("form", ["--trainer.default_root_dir={root}", "--trainer.default_root_dir {root}"])
def test_runs_are_looked_for_under_the_root_directory(checkpoint: Path, tmp_path: Path, form: str) -> None:
    other = put_run(tmp_path / "other")
    expanded, run = with_run_settings(["test", *form.format(root=tmp_path / "other").split()])
    assert expanded[-1] == f"--ckpt_path={other}"
    assert run is not None
    assert run.directory == other.resolve().parent.parent


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fit"],
        ["fit", "--data.corpus", "sample", "--trainer.max_epochs=1"],
        ["fit", "--ckpt_path", "null"],
        ["fit", "--ckpt_path=null"],
        ["--help"],
        ["-h"],
        ["fit", "--ckpt_path", "last", "--help"],
        ["test", "--help"],
        ["test", "-h"],
        ["test", "--help=SpamDataModule"],
        ["test", "--ckpt_path=missing.ckpt", "--print_config"],
        ["--ckpt_path", "last"],
        ["unknown", "--ckpt_path", "last"],
    ],
    ids=" ".join,
)
def test_other_command_lines_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no run here: looking for one would fail
    before = list(arguments)
    assert with_run_settings(arguments) == (before, None)
    assert arguments == before


def test_printing_the_settings_in_part_needs_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_run_settings(["test", "--print_config=skip_null"]) == (["test", "--print_config=skip_null"], None)


@pytest.mark.parametrize("arguments", [["test"], ["validate", "--ckpt_path=best"], ["fit", "--ckpt_path", "last"]])
def test_no_run_to_take_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no run with a checkpoint under lightning_logs"):
        with_run_settings(arguments)


def test_a_checkpoint_that_is_not_there(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"--ckpt_path missing\.ckpt: no such file"):
        with_run_settings(["fit", "--ckpt_path", "missing.ckpt"])


def test_a_file_that_is_no_checkpoint(checkpoint: Path) -> None:
    checkpoint.write_bytes(b"garbage")
    with pytest.raises(UserError, match="is not a checkpoint of this classifier"):
        with_run_settings(["test"])


def test_training_goes_on_from_a_checkpoint_with_the_optimizer_only(checkpoint: Path) -> None:
    contents = torch.load(checkpoint, weights_only=True)
    del contents["optimizer_states"]
    torch.save(contents, checkpoint)
    with pytest.raises(UserError, match=r"keeps no state of the optimizer.*last\.ckpt"):
        with_run_settings(["fit", "--ckpt_path", str(checkpoint)])
    with_run_settings(["test", "--ckpt_path", str(checkpoint)])


def test_a_checkpoint_away_from_its_run(checkpoint: Path, tmp_path: Path) -> None:
    alone = checkpoint.rename(tmp_path / "alone.ckpt")
    with pytest.raises(UserError) as refusal:
        with_run_settings(["test", "--ckpt_path", str(alone)])
    assert str(refusal.value).startswith("the run's settings, ")
    assert "config.yaml, are missing" in str(refusal.value)


@pytest.mark.parametrize(
    "labels",
    [
        ["no", "yes"],
        ["0", "1"],
        ["null", "~"],
        ["a, b", 'say "hi"', "it's", "[c]", "# d", "e: f"],
        ["été", "вызов", "垃圾"],
        pytest.param(
            ["🙂", "🚫 spam"],
        ),
    ],
    ids=str,
)
def test_label_names_reach_the_parser_unchanged(tmp_path: Path, labels: list[str]) -> None:
    """The words are parsed again by jsonargparse, which reads YAML."""
    expanded, _ = with_run_settings(["test", "--ckpt_path", str(put_run(tmp_path, label_names=labels))])
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--data.labels", type=list[str])
    parsed = parser.parse_args([word for word in expanded if word.startswith("--data.labels=")])
    assert parsed["data.labels"] == labels
