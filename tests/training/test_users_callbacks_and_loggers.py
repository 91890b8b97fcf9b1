"""Callbacks and loggers of the user's own: the run stays whole, and what can't work is refused before training."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from lightning.pytorch.loggers.logger import Logger
from lightning_utilities.core.imports import RequirementCache

from spam_classifier import hints
from spam_classifier.runs.metrics import read_metrics

RUN = Path("lightning_logs/version_0")
LAST = RUN / "checkpoints/last.ckpt"
CHECKPOINTS = "--trainer.callbacks+", "ModelCheckpoint"
STOPPING = "--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor"
WHOLE_RUN = {"config.yaml", "train.csv", "validation.csv", "test.csv", "metrics.json", "checkpoints"}
TINY = [
    *("--data.train_fraction", "0.02", "--data.validation_fraction", "0.02", "--data.padding", "batch"),
    *("--model.weights", "random", "--model.layers", "1", "--model.width", "16", "--model.heads", "1"),
    *("--model.token_position", "last_real", "--model.learning_rate", "0.05", "--trainer.log_every_n_steps", "1"),
    *("--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.enable_progress_bar", "false"),
]


@pytest.fixture
def fit(train: Callable) -> Callable:
    """Train a tiny model for some epochs of 12 batches."""
    return lambda epochs, *flags: train("fit", "--data.corpus", "sample", *TINY, "--trainer.max_epochs", epochs, *flags)


def step_of(checkpoint: Path | str) -> int:
    return torch.load(checkpoint, weights_only=True)["global_step"]


def named(text: str, row: str) -> str:
    """The rest of a line of a summary, or of what a command says."""
    return re.search(rf"^{row} +(\S+)", text, flags=re.MULTILINE)[1]  # type: ignore[index]


class Signal(pl.Callback):
    """Sends a signal to this process as a step ends."""

    def __init__(self, number: int, step: int) -> None:
        self.number, self.step = number, step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            self.step = -1
            os.kill(os.getpid(), self.number)


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Have a step send a signal."""

    def signalled(number: int, step: int) -> None:
        model = "spam_classifier.training.module.StopAtNaN"
        monkeypatch.setattr(model, lambda: Signal(number, step))

    return signalled


class Noting(Logger):
    """A logger elsewhere, as Weights & Biases and MLflow are."""

    def __init__(self) -> None:
        self.noted: dict[str, list[Any]] = {}
        MADE.append(self)

    @property
    def name(self) -> str:
        return "project"

    @property
    def version(self) -> str:
        return "run"

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            self.noted.setdefault(name, []).append(value)

    def log_hyperparams(self, params: Any, *_: object) -> None:
        self.noted["hyperparameters"] = params


class Failing(Noting):
    """A logger whose server can't be reached."""

    @property
    def experiment(self) -> None:
        raise ConnectionError("no server answers")


class LogsMine(pl.Callback):
    """Logs a figure of its own."""

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log("mine", 1.0)


def logger_flags(name: str, directory: str) -> list[str]:
    return ["--trainer.logger+", name, "--trainer.logger.save_dir", directory]


MADE: list[Noting] = []
NOTING = f"{__name__}.Noting"


@pytest.mark.parametrize(
    "flags",
    [
        ("every_n_train_steps", 5, "filename", "mine", "save_last", "true", "save_weights_only", "true"),
        ("monitor", "val/acc", "mode", "max", "filename", "best-epoch9", "save_top_k", 3),
        ("dirpath", "elsewhere", "every_n_train_steps", 5, "save_top_k", -1),
    ],
    ids=["the name last", "the name best", "another directory"],
)
def test_own_checkpoints_decide_nothing(fit: Callable, train: Callable, flags: tuple) -> None:
    own = [word for name, value in zip(flags[::2], flags[1::2], strict=True) for word in (name, value)]
    own = [f"--trainer.callbacks.{word}" if number % 2 == 0 else word for number, word in enumerate(own)]
    done = fit(2, *CHECKPOINTS, *own)
    assert done.code == 0, done.err
    best = named(done.out, "checkpoint")
    assert re.fullmatch(r".*version_0/checkpoints/best-epoch\d-val_loss[\d.]+\.ckpt", best)
    assert {path.name for path in LAST.parent.iterdir()} == {"last.ckpt", Path(best).name}
    assert list(Path("elsewhere" if "dirpath" in flags else RUN / "own_checkpoints").glob("*.ckpt"))
    metrics = read_metrics(RUN)
    assert metrics["validation"]["checkpoint"] == Path(best).name
    assert metrics["validation"]["step"] == metrics["validation"]["decision_step"] == step_of(best)
    assert "optimizer_states" in torch.load(LAST, weights_only=True)
    tested = train("test")
    assert tested.code == 0, tested.err
    assert named(tested.err, "checkpoint") == best


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("own", [[], [*CHECKPOINTS, "--trainer.callbacks.dirpath", "elsewhere"]])
def test_the_command_after_a_signal_works(
    fit: Callable, train: Callable, signalled: Callable, number: int, status: int, own: list[str]
) -> None:
    signalled(number, 17)
    stopped = fit(2, *own)
    assert stopped.code == status
    command = hints.command_line("fit", "--ckpt_path", "last")
    assert stopped.err.splitlines()[-1] == f"stopped; continue with: {command}"
    assert step_of(LAST) == 18
    resumed = train("fit", "--ckpt_path", "last")
    assert resumed.code == 0, resumed.err
    assert step_of(LAST) == 24


def test_own_checkpoints_among_those_of_the_run_are_refused(fit: Callable) -> None:
    refused = fit(1, *CHECKPOINTS, "--trainer.callbacks.dirpath", LAST.parent)
    assert (refused.code, refused.err.count("error: ")) == (1, 1)
    assert "would write among the run's own checkpoints: leave its dirpath out" in refused.err
    assert not RUN.exists()


LOGGERS = {
    "csv": logger_flags("CSVLogger", "logs"),
    "tensorboard": logger_flags("TensorBoardLogger", "logs"),
    "both": logger_flags("CSVLogger", "logs") + logger_flags("TensorBoardLogger", "logs/board"),
}


@pytest.mark.parametrize("kind", [*LOGGERS, "elsewhere", "none"])
def test_the_run_is_whole_whatever_logs(fit: Callable, train: Callable, kind: str) -> None:
    assert fit(1).code == 0  # an older run, which no command may take
    MADE.clear()
    flags = LOGGERS.get(kind, ["--trainer.logger", "false" if kind == "none" else NOTING])
    run = RUN.with_name("version_1")
    done = fit(1, *flags)
    assert done.code == 0, done.err
    assert {path.name for path in run.iterdir()} >= WHOLE_RUN
    assert named(done.out, "report") == str(run / "report.html")
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_epochs"] == 1
    assert bool(list(run.glob("events.out.tfevents.*"))) == ("tensorboard" in done.out) == (kind != "none")

    tested = train("test")
    assert tested.code == 0, tested.err
    assert named(tested.err, "checkpoint").startswith(str(run))
    assert "test" in read_metrics(run)
    assert train("fit", "--ckpt_path", "last", "--trainer.max_epochs", 2).code == 0
    assert step_of(run / "checkpoints/last.ckpt") == 24
    assert {path.name for path in RUN.parent.iterdir()} == {"version_0", "version_1"}
    assert "test" not in read_metrics(RUN)
    if kind == "elsewhere":
        first, second, third = MADE
        assert {"train/loss", "val/loss", "val/acc"} <= set(first.noted)
        assert "learning_rate" in first.noted["hyperparameters"]
        assert "test/acc" in second.noted
        assert len(third.noted["val/loss"]) == 1
    if kind in ("csv", "both"):
        assert len(list(Path("logs/lightning_logs").glob("*/metrics.csv"))) == 3


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ([*STOPPING, "val_loss"], "EarlyStopping watches val_loss, .*did you mean val/loss.*logged are .*val/f1"),
        ([*CHECKPOINTS, "--trainer.callbacks.monitor", "val_loss"], "ModelCheckpoint watches val_loss, .*logged are"),
        ([*STOPPING, "val/loss", "--trainer.limit_val_batches", "0"], "val/loss, .*logged are train/loss, train/acc"),
        (["--trainer.val_check_interval", "500"], "`val_check_interval` .500. must be less"),
        ([*STOPPING, "val/acc", "--trainer.callbacks.mode", "most"], "`mode` can be min, max, got most"),
        (["--trainer.logger", "false", "--trainer.callbacks+", "LearningRateMonitor"], "Trainer` that has no logger"),
        (["--trainer.logger", f"{__name__}.Failing"], "no server answers"),
        (["--trainer.devices", "0"], "not a valid input.*--trainer.devices auto take what this machine has"),
        (
            logger_flags("CSVLogger", "."),
            "would write among the runs: give another --trainer.logger.save_dir",
        ),
        (logger_flags("TensorBoardLogger", "."), "TensorBoardLogger would write among the runs"),
        ([*CHECKPOINTS, *CHECKPOINTS], "more than one stateful callback of type `ModelCheckpoint`"),
    ],
    ids=lambda value: "" if isinstance(value, list) else value[:30],
)
def test_what_cannot_work_is_one_line_before_the_first_step(fit: Callable, flags: list[str], problem: str) -> None:
    refused = fit(3, *flags)
    assert refused.code == 1
    assert "epoch 1" not in refused.err
    (line,) = [line for line in refused.err.splitlines() if line.startswith("error: ")]
    assert re.search(problem, line), line
    assert "Traceback" not in refused.err
    assert not RUN.exists()


def test_a_missing_logger_is_one_line(fit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = RequirementCache("a_package_that_is_missing")
    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", missing)
    refused = fit(1, "--trainer.logger", "WandbLogger")
    assert refused.code == 1
    (line,) = [line for line in refused.err.splitlines() if line.startswith("error: ")]
    assert re.search("the logger fails: .*pip install -U 'a_package_that_is_missing'.*--trainer.logger true", line)
    assert "Traceback" not in refused.err
    assert not Path("lightning_logs").exists()


@pytest.mark.parametrize(
    "flags",
    [
        [*STOPPING, "val/f1"],
        [*STOPPING, "train/loss"],
        [*CHECKPOINTS, "--trainer.callbacks.monitor", "step", "--trainer.callbacks.mode", "max"],
        [*STOPPING, "train/learning_rate", "--model.schedule", "cosine"],
        ["--trainer.check_val_every_n_epoch", "null", "--trainer.val_check_interval", "20"],
        ["--trainer.val_check_interval", "0.25"],
    ],
    ids=" ".join,
)
def test_what_works_is_not_refused(fit: Callable, flags: list[str]) -> None:
    done = fit(2, *flags)
    assert done.code == 0, done.err


def test_a_callback_of_the_user_may_log_what_is_watched(fit: Callable) -> None:
    done = fit(1, "--trainer.callbacks+", f"{__name__}.LogsMine", *STOPPING, "mine")
    assert done.code == 0, done.err
    assert "EarlyStopping watches mine, which is not logged by the model: one of your callbacks has to" in done.err
