"""What a flag of the Trainer or a callback of Lightning promises takes effect, or is refused in one line."""

import re
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.tuner import Tuner

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.errors import UserError
from spam_classifier.runs.metrics import read_metrics

RUN = Path("lightning_logs/version_0")
SMALL = [
    *("fit", "--data.corpus", "sample", "--model.weights", "random", "--model.layers", "2", "--model.width", "16"),
    *("--model.heads", "2", "--model.context", "128", "--model.token_position", "last_real", "--data.padding", "batch"),
    *("--model.learning_rate", "0.01", "--trainer.accelerator", "cpu", "--trainer.devices", "1"),
    *("--trainer.enable_progress_bar", "false", "--trainer.log_every_n_steps", "1"),
]


@pytest.fixture
def done(train: Callable) -> Callable[..., str]:
    """Run ``train`` with arguments that must work; its standard output."""

    def done(*arguments: object) -> str:
        outcome = train(*arguments)
        assert outcome.code == 0, outcome.err
        return outcome.out

    return done


class Seen(pl.Callback):
    """The rows of each batch, by epoch, and the losses."""

    def __init__(self) -> None:
        self.rows: dict[int, list[list[int]]] = {}
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.rows.setdefault(trainer.current_epoch, []).append(batch.index.tolist())
        self.losses.append(float(outputs["loss"]))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Takes the place of a callback of the model."""
    seen = Seen()
    monkeypatch.setattr("spam_classifier.training.module.StopAtNaN", lambda: seen)
    return seen


@pytest.mark.parametrize("by_length", ["false", "true"])
def test_overfit_batches_are_the_same_in_each_epoch(done: Callable, seen: Seen, by_length: str) -> None:
    flags = ["--model.trainable", "all", "--data.batch_by_length", by_length, "--trainer.max_epochs", 30]
    done(*SMALL, *flags, "--trainer.overfit_batches", 2)
    assert len(seen.rows) == 30
    assert len(seen.rows[0]) == 2
    assert all(rows == seen.rows[0] for rows in seen.rows.values())
    assert max(seen.losses[-2:]) < 0.01 < min(seen.losses[:2])


@pytest.mark.parametrize(
    ("callback", "options", "instead"),
    [
        ("LearningRateFinder", [], "find it in Python, see docs/training"),
        ("BatchSizeFinder", [], "find it in Python, see docs/training"),
        (
            "StochasticWeightAveraging",
            ["--trainer.callbacks.swa_lrs", "0.001"],
            "use WeightAveraging .* or EMAWeightAveraging",
        ),
        (
            "GradientAccumulationScheduler",
            ["--trainer.callbacks.scheduling", '{"0":1,"1":3}'],
            r"use --trainer\.accumulate_grad_batches",
        ),
        ("ModelPruning", ["--trainer.callbacks.pruning_fn", "l1_unstructured"], "leave it out"),
        ("BackboneFinetuning", [], r"choose the layers with --model\.trainable"),
    ],
)
def test_callbacks_that_can_not_keep_their_promise_are_refused(
    train: Callable, callback: str, options: list[str], instead: str
) -> None:
    refused = train(*SMALL, "--trainer.callbacks+", callback, *options)
    assert refused.code == 1
    (line,) = refused.err.splitlines()
    assert re.match(rf"error: {callback} .*{instead}", line)
    assert not Path(RUN).exists()


def test_a_callback_that_config_yaml_can_not_hold_is_refused(train: Callable) -> None:
    refused = train(*SMALL, "--trainer.callbacks+", "Timer", "--trainer.callbacks.duration", "00:00:01:00")
    assert refused.code == 1
    assert "--trainer.max_time does what Timer does" in refused.err.splitlines()[-1]
    assert not Path(RUN).exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--trainer.barebones", "true"], "barebones .* leave it out"),
        (["--trainer.min_epochs", "4"], r"min_epochs 4 can't be reached: training ends after 3 epochs; raise"),
        (["--trainer.min_steps", "50"], r"min_steps 50 can't be reached: training ends after 36 steps; raise"),
    ],
)
def test_flags_that_can_not_be_kept_are_refused(train: Callable, flags: list[str], said: str) -> None:
    refused = train(*SMALL, "--trainer.limit_train_batches", "12", "--trainer.max_epochs", "3", *flags)
    assert refused.code == 1
    assert re.match(f"error: .*{said}", refused.err.splitlines()[-1])
    assert not RUN.exists()


def test_minimum_epochs_keep_early_stopping_away(train: Callable) -> None:
    stops = ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"]
    stops += ["--trainer.callbacks.min_delta", "100", "--trainer.callbacks.patience", "1"]
    flags = ["--trainer.limit_train_batches", "3", "--trainer.max_epochs", "5", "--trainer.min_epochs", "4", *stops]
    assert train(*SMALL, *flags).code == 0
    assert read_metrics(RUN)["run"]["epochs"] == 4


TINY = {"layers": 2, "width": 16, "context": 128, "learning_rate": 0.01, "token_position": "last_real"}


def small() -> tuple[SpamClassifier, SpamDataModule]:
    pl.seed_everything(3)
    return SpamClassifier("random", **TINY), SpamDataModule("sample", padding="batch")


def test_trainings_of_one_process_do_not_touch_each_other(trainer: Callable) -> None:
    """With a Trainer each, or one after the other with the same Trainer."""
    options = {"max_steps": 4, "max_epochs": -1, "limit_val_batches": 2, "val_check_interval": 2}
    models = []
    for run in (trainer(**options), trainer(**options)):
        model, data = small()
        run.fit(model, data)
        models.append(model)
    other, data = small()
    run.fit_loop.epoch_loop.max_steps = 8  # the Trainer counts on
    run.fit(other, data)
    assert other.reuse in run.callbacks
    assert models[-1].reuse not in run.callbacks
    assert run.global_step == 8
    for name, value in models[0].state_dict().items():
        assert torch.equal(value, models[1].state_dict()[name]), name


def test_a_compiled_module_is_refused(trainer: Callable) -> None:
    model, data = small()
    with pytest.raises(UserError, match="give the Trainer the module itself"):
        trainer(max_steps=1).fit(torch.compile(model, backend="eager"), data)


def test_a_barebones_trainer_of_the_users_own_trains(tmp_path: Path) -> None:
    model, data = small()
    run = pl.Trainer(barebones=True, max_steps=3, accelerator="cpu", default_root_dir=tmp_path)
    run.fit(model, data)
    assert run.global_step == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("profiler", ["simple", "pytorch"])
def test_a_profiler_sees_the_training_and_no_more(
    train: Callable, caplog: pytest.LogCaptureFixture, profiler: str
) -> None:
    flags = ["--trainer.limit_train_batches", "3", "--trainer.max_epochs", "1", "--trainer.profiler", profiler]
    with caplog.at_level("INFO"):
        done = train(*SMALL, *flags)
    assert done.code == 0, done.err
    assert "FIT Profiler Report" in caplog.text
    assert "PREDICT Profiler Report" not in caplog.text


def test_rate_and_batch_size_are_found_in_python(tmp_path: Path) -> None:
    """As docs/training.md says."""
    model, data = small()
    tuner = Tuner(pl.Trainer(max_epochs=1, logger=False, enable_checkpointing=False, default_root_dir=tmp_path))
    rate = tuner.lr_find(model, datamodule=data, num_training=20).suggestion()
    assert 1e-8 <= rate <= 1
    assert tuner.scale_batch_size(model, datamodule=data, max_trials=3) == data.batch_size == 8
    assert not list(tmp_path.iterdir())
