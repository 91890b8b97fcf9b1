"""What the command line adds to Lightning's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

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
    curves = [tag for tag in events.Tags()["scalars"] if tag.startswith("lr-")]
    assert [len(events.Scalars(tag)) for tag in curves] == [rates] * bool(rates)
