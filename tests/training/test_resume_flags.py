"""The run's own settings are put before the flags of a command that resumes or evaluates it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from spam_classifier.errors import UserError
from spam_classifier.training.parser import settings_parser, with_run_settings


@pytest.fixture
def put_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smallest_checkpoint: Callable) -> Callable[..., Path]:
    """Make a run with a config.yaml and one checkpoint, under a root in the current directory; the checkpoint."""
    monkeypatch.chdir(tmp_path)

    def put_run(root: str = "", **settings: object) -> Path:
        path = Path(root, "lightning_logs/version_0/checkpoints/last.ckpt")
        path.parent.mkdir(parents=True)
        torch.save(smallest_checkpoint(**settings), path)
        (path.parents[1] / "config.yaml").write_text("seed_everything: 123\n")
        return path

    return put_run


@pytest.fixture
def checkpoint(put_run: Callable) -> Path:
    """The only run's checkpoint."""
    return put_run()


def settings_of() -> dict:
    model = {"layers": 1, "width": 1, "heads": 1, "context": 1024}
    data = {"labels": ["ham", "spam"], "max_length": 120}
    return {"seed_everything": 123, "model": model, "data": data}


@pytest.mark.parametrize("subcommand", ["fit", "validate", "test"])
@pytest.mark.parametrize(
    "flags", ["", *(f"--ckpt_path{by}{at}" for by in " =" for at in ("last", "best", "PATH", "RUN"))]
)
def test_the_run_is_found_by_either_form_of_the_flag(checkpoint: Path, subcommand: str, flags: str) -> None:
    if subcommand == "fit" and not flags:
        pytest.skip("a new training")
    given = flags.replace("PATH", str(checkpoint)).replace("RUN", str(checkpoint.parents[1])).split()
    expanded, run = with_run_settings([subcommand, *given])
    assert expanded[:2] + expanded[3:] == [subcommand, "--config", *given, f"--ckpt_path={checkpoint}"]
    assert yaml.safe_load(expanded[2]) == settings_of()
    assert run is not None
    assert (run.directory, run.step) == (checkpoint.resolve().parents[1], 42)
    assert run.evaluates == (subcommand != "fit")


def test_the_users_configs_and_flags_come_after_the_runs_settings(checkpoint: Path) -> None:
    flags = ["--config", "own.yaml", "--data.max_length=64"]
    expanded, _ = with_run_settings(["test", *flags])
    assert expanded[3:] == [*flags, f"--ckpt_path={checkpoint}"]


@pytest.mark.parametrize("flag", ["--trainer.default_root_dir=other", "--trainer.default_root_dir other"])
def test_runs_are_looked_for_under_the_root_directory(checkpoint: Path, put_run: Callable, flag: str) -> None:
    other = put_run("other")
    expanded, run = with_run_settings(["test", *flag.split()])
    assert expanded[-1] == f"--ckpt_path={other}"
    assert run is not None
    assert run.directory == other.resolve().parents[1]


@pytest.mark.parametrize(
    "arguments",
    [
        *("fit", "fit --data.corpus sample --trainer.max_epochs=1", "fit --ckpt_path null", "fit --ckpt_path=null"),
        *("test --ckpt_path=missing.ckpt --print_config", "test --print_config=skip_null"),
    ],
)
def test_other_command_lines_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    monkeypatch.chdir(tmp_path)  # no run here: looking for one would fail
    words = arguments.split()
    assert with_run_settings(words) == (arguments.split(), None)
    assert words == arguments.split()


@pytest.mark.parametrize("arguments", ["test", "validate --ckpt_path=best", "fit --ckpt_path last"])
def test_no_run_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no run with a checkpoint under lightning_logs"):
        with_run_settings(arguments.split())


def test_training_is_not_resumed_without_the_optimizers_state(checkpoint: Path) -> None:
    contents = torch.load(checkpoint, weights_only=True)
    del contents["optimizer_states"]
    torch.save(contents, checkpoint)
    with pytest.raises(UserError, match=r"keeps no state of the optimizer.*last\.ckpt"):
        with_run_settings(["fit", "--ckpt_path", str(checkpoint)])
    with_run_settings(["test", "--ckpt_path", str(checkpoint)])


def test_a_checkpoint_away_from_its_run_is_refused(checkpoint: Path) -> None:
    checkpoint.rename("alone.ckpt")
    with pytest.raises(UserError, match=r"^the run's settings, .*config.yaml, are missing"):
        with_run_settings(["test", "--ckpt_path", "alone.ckpt"])


@pytest.mark.parametrize(
    "labels",
    [
        *(["no", "yes"], ["0", "1"], ["null", "~"], ["été", "вызов", "垃圾"], ["🙂", "🚫 spam"]),
        ["a, b", 'say "hi"', "it's", "[c]", "# d", "e: f"],
    ],
    ids=str,
)
def test_label_names_reach_the_parser_unchanged(put_run: Callable, labels: list[str]) -> None:
    """The config is parsed again by jsonargparse, which reads YAML."""
    expanded, _ = with_run_settings(["test", "--ckpt_path", str(put_run(label_names=labels))])
    assert settings_parser().parse_args(expanded[1:3])["data"]["labels"] == labels
