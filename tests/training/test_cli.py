"""What the command line adds to Lightning's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from spam_classifier import SpamClassifier

TINY = [
    *("--data.corpus", "sample", "--data.train_fraction", "0.02", "--data.validation_fraction", "0.02"),
    *("--model.weights", "random", "--model.layers", "1", "--model.width", "8", "--model.heads", "1"),
    *("--trainer.max_steps", "4", "--trainer.log_every_n_steps", "1", "--trainer.accelerator", "cpu"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
]


@pytest.mark.parametrize(
    ("flags", "rates"),
    [(["--model.schedule", "cosine"], 4), (["--model.warmup_steps", "2"], 4), ([], 0)],
)
def test_the_learning_rate_is_logged_if_it_changes(
    train: Callable, tmp_path: Path, flags: list[str], rates: int
) -> None:
    done = train("fit", *TINY, *flags)
    assert done.code == 0, done.err
    events = EventAccumulator(str(tmp_path / "lightning_logs/version_0")).Reload()
    curves = [tag for tag in events.Tags()["scalars"] if tag == "train/learning_rate"]
    assert [len(events.Scalars(tag)) for tag in curves] == [rates] * bool(rates)


def test_a_full_gpu_is_one_line(train: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(SpamClassifier, "training_step", step)
    done = train("fit", *TINY)
    assert done.code == 1
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert "the GPU's memory is full: lower --data.batch_size" in line
    assert "Traceback" not in done.err
