"""What a flag of the Trainer or a callback of Lightning promises takes effect, or is refused in one line."""

import re
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import pytest

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
        ("LearningRateFinder", [], r"and give it as --model\.learning_rate"),
        ("BatchSizeFinder", [], r"and give it as --data\.batch_size"),
        (
            "StochasticWeightAveraging",
            ["--trainer.callbacks.swa_lrs", "0.001"],
            "use WeightAveraging .* or EMAWeightAveraging",
        ),
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


def test_the_schedule_knows_how_accumulation_changes(train: Callable) -> None:
    flags = ["--trainer.callbacks+", "GradientAccumulationScheduler", "--trainer.callbacks.scheduling", '{"0":1,"1":3}']
    flags += ["--model.schedule", "cosine", "--trainer.limit_train_batches", "12", "--trainer.max_epochs", "3"]
    done = train(*SMALL, *flags)
    assert done.code == 0
    assert "epoch 3/3, step 20/20: " in done.err
    rates = [rate for _, rate in read_metrics(RUN)["curves"]["learning_rate"]]
    assert len(rates) == 20
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
