"""Lightning's weight averaging, through the command line and a Trainer of the user's own."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, WeightAveraging
from torch import Tensor

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.errors import UserError
from spam_classifier.rerun import main as rerun
from spam_classifier.runs.metrics import read_metrics

RUN = Path("lightning_logs/version_0")
STEPS = 12
FIT = [
    *("fit", "--data.corpus", "sample", "--model.weights", "random", "--model.layers", "3", "--model.width", "16"),
    *("--model.heads", "2", "--model.context", "128", "--model.token_position", "last_real", "--data.padding", "batch"),
    *("--model.learning_rate", "0.01", "--trainer.accelerator", "cpu", "--trainer.devices", "1"),
    *("--trainer.enable_progress_bar", "false", "--trainer.max_epochs", "2"),
    *("--trainer.limit_train_batches", str(STEPS), "--trainer.val_check_interval", "6"),
]
EMA = ["--trainer.callbacks+", "EMAWeightAveraging", "--trainer.callbacks.decay", "0.8"]


class ByHand(pl.Callback):
    """Averages the parameters that learn, and keeps the average of each validation by its step."""

    def __init__(self, decay: float | None) -> None:
        self.decay = decay
        self.average: dict[str, Tensor] = {}
        self.at_validation: dict[int, dict[str, Tensor]] = {}
        self.losses: dict[int, float] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        for name, value in pl_module.named_parameters():
            if value.requires_grad:
                name, value = name.removeprefix("net."), value.detach().clone()
                before = self.average.get(name, value)
                share = 1 / trainer.global_step if self.decay is None else 1 - self.decay
                self.average[name] = before + share * (value - before)

    def on_validation_end(self, trainer: pl.Trainer, *_: object) -> None:
        self.at_validation[trainer.global_step] = dict(self.average)
        self.losses[trainer.global_step] = float(trainer.callback_metrics["val/loss"])


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def assert_holds(checkpoint: dict[str, Any], average: dict[str, Tensor], start: dict[str, Tensor]) -> None:
    """The checkpoint's weights are the average; frozen ones are those of the start, bit for bit."""
    for name, value in checkpoint["state_dict"].items():
        if name in average:
            torch.testing.assert_close(value, average[name], rtol=1e-5, atol=1e-7)
        elif name.startswith("backbone."):
            assert torch.equal(value, start[name]), name


@pytest.mark.parametrize(
    ("flags", "decay"),
    [
        pytest.param(EMA, 0.8, id="EMA"),
        pytest.param(["--trainer.callbacks+", "WeightAveraging"], None, id="all steps", marks=pytest.mark.ci),
    ],
)
@pytest.mark.slow
def test_figures_and_checkpoints_are_of_the_average(
    train: Callable, monkeypatch: pytest.MonkeyPatch, flags: list[str], decay: float | None
) -> None:
    plain = train(*FIT, "--trainer.default_root_dir", "plain")
    assert plain.code == 0, plain.err
    by_hand = ByHand(decay)
    monkeypatch.setattr("spam_classifier.training.module.StopAtNaN", lambda: by_hand)
    done = train(*FIT, *flags)
    assert done.code == 0, done.err

    start = load(next(Path("plain").rglob("last.ckpt")))["state_dict"]
    last, (best,) = load(RUN / "checkpoints/last.ckpt"), map(load, RUN.glob("checkpoints/best-*"))
    assert len(by_hand.average) == 16  # a block, a layer norm, the head
    assert_holds(last, by_hand.average, start)
    assert_holds(best, by_hand.at_validation[best["global_step"]], start)
    current = last["weight_averaging"]["current"]["net.head.weight"]
    assert torch.equal(current, start["head.weight"])  # averaging does not change the training
    assert not torch.equal(current, last["state_dict"]["head.weight"])

    figures = read_metrics(RUN)["validation"]
    assert figures["loss"] == pytest.approx(by_hand.losses[best["global_step"]], abs=1e-6)
    assert figures["loss"] == pytest.approx(min(by_hand.losses.values()), abs=1e-6)
    assert figures["decision_step"] == figures["step"] == best["global_step"]
    assert train("test").code == 0
    assert read_metrics(RUN)["test"]["step"] == best["global_step"]


@pytest.mark.slow
def test_an_averaged_run_is_trained_again_bit_for_bit(
    train: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*FIT, *EMA).code == 0
    monkeypatch.setattr(sys, "argv", ["rerun.py"])
    with pytest.raises(SystemExit) as end:
        rerun()
    assert "the same weights, bit for bit" in capsys.readouterr().out
    assert end.value.code == 0


@pytest.mark.slow
def test_a_training_that_averages_goes_on_averaging(train: Callable) -> None:
    assert train(*FIT, *EMA, "--trainer.default_root_dir", "whole").code == 0
    assert train(*FIT, *EMA, "--trainer.max_epochs", 1).code == 0
    without = train("fit", "--ckpt_path", "last", "--trainer.max_epochs", 2, "--trainer.callbacks", "ModelSummary")
    assert without.code == 1
    assert "the training averages weights, and can't go on without" in without.err
    assert train("fit", "--ckpt_path", "last", "--trainer.max_epochs", 2).code == 0
    found, expected = (load(root / RUN / "checkpoints/last.ckpt") for root in (Path(), Path("whole")))
    for name in ("state_dict", "weight_averaging"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)


def fitted(trainer: Callable, callback: pl.Callback, **options: Any) -> tuple[pl.Trainer, SpamClassifier]:
    pl.seed_everything(3)
    model = SpamClassifier("random", layers=1, width=16, context=128, learning_rate=0.01, token_position="last_real")
    run = trainer(**{"max_steps": 6, "max_epochs": -1, "callbacks": [callback], "limit_val_batches": 4, **options})
    run.fit(model, SpamDataModule("sample", padding="batch"))
    return run, model


def test_a_trainer_of_the_users_own_averages(trainer: Callable) -> None:
    by_hand = ByHand(0.5)
    model = fitted(trainer, EMAWeightAveraging(decay=0.5), val_check_interval=3)[1]
    pl.seed_everything(3)
    fitted(trainer, by_hand, val_check_interval=3)
    assert_holds({"state_dict": model.net.state_dict()}, by_hand.average, model.net.state_dict())


def test_the_average_counts_from_where_it_begins(trainer: Callable) -> None:
    """Until then the weights of the training are validated, not those of the start."""

    class Late(WeightAveraging):
        def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
            return step_idx is not None and step_idx >= 4

    losses = []
    for callback in (Late(), pl.Callback()):
        run, _ = fitted(trainer, callback, val_check_interval=6)
        losses.append(float(run.callback_metrics["val/loss"]))
    run, model = fitted(trainer, Late(), val_check_interval=2, limit_train_batches=4, max_steps=4)
    plain, other = fitted(trainer, pl.Callback(), val_check_interval=2, limit_train_batches=4, max_steps=4)
    assert torch.equal(model.net.head.weight, other.net.head.weight)
    assert run.callback_metrics["val/loss"] == plain.callback_metrics["val/loss"]
    assert losses[0] != losses[1]


def test_a_failed_validation_leaves_the_training_its_weights(
    trainer: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Tensor] = []

    class Keep(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_) -> None:
            kept.append(pl_module.net.head.weight.detach().clone())

        def on_validation_batch_end(self, trainer, pl_module, *_) -> None:
            assert not torch.equal(pl_module.net.head.weight, kept[-1])
            raise UserError("no more")

        def on_exception(self, trainer, pl_module, exception) -> None:
            assert torch.equal(pl_module.net.head.weight, kept[-1])
            kept.clear()

    callbacks = [EMAWeightAveraging(decay=0.5), Keep()]
    with pytest.raises(UserError, match="no more"):
        fitted(trainer, callbacks[0], callbacks=callbacks, val_check_interval=3)
    assert kept == []
