"""What a flag of the Trainer or a callback of Lightning promises takes effect, or is refused in one line."""

from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import pytest

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
