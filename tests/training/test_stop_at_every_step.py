"""A training that is stopped at any step and resumed equals one that was never stopped."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from spam_classifier.runs.metrics import read_metrics
from spam_classifier.training.stopping import StopCleanly

RUN = Path("lightning_logs/version_0")
BATCHES, EPOCHS = 12, 3
FIT = [
    *("fit", "--model.weights", "random", "--model.layers", "2", "--model.width", "16", "--model.heads", "2"),
    *("--model.context", "64", "--model.token_position", "last_real", "--model.learning_rate", "0.03"),
    *("--model.dropout", "0.1", "--model.schedule", "cosine", "--model.trainable", "all", "--data.padding", "batch"),
    *("--data.corpus", "corpus.csv", "--data.batch_size", "4", "--trainer.max_epochs", str(EPOCHS)),
    *("--trainer.val_check_interval", "0.25", "--trainer.log_every_n_steps", "1", "--trainer.accelerator", "cpu"),
    *("--trainer.enable_progress_bar", "false"),
]


@pytest.fixture
def corpus(tmp_path: Path) -> None:
    lines = ["label,text", *(f"spam,win {number} prizes{' now' * (number % 5)}" for number in range(35))]
    lines += [f"ham,see you at {number}{' then' * (number % 7)}" for number in range(35)]
    (tmp_path / "corpus.csv").write_text("\n".join(lines) + "\n")


class Signal(pl.Callback):
    """Sends a signal to its own process in a step."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            self.step = -1
            os.kill(os.getpid(), self.number)


def train_with(callback: pl.Callback | None, train: Callable, *arguments: object) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        if callback:
            patch.setattr("spam_classifier.training.module.StopAtNaN", lambda: callback)
        return train(*arguments)


def state_of(run: Path) -> dict[str, Any]:
    """All that a training leaves, but times."""
    metrics = read_metrics(run)
    kept: dict[str, Any] = {name: metrics[name] for name in ("train", "validation", "curves")}
    kept["run"] = {name: metrics["run"][name] for name in ("epochs", "steps")}
    events = EventAccumulator(str(run)).Reload()
    # files of one second are read in the order of their names
    kept["logged"] = {tag: sorted([e.step, e.value] for e in events.Scalars(tag)) for tag in events.Tags()["scalars"]}
    for path in (run / "checkpoints").iterdir():
        checkpoint = torch.load(path, weights_only=True)
        names = {
            "state_dict",
            "optimizer_states",
            "lr_schedulers",
            "global_step",
            "weight_averaging",
        } & checkpoint.keys()
        kept[path.name] = {name: checkpoint[name] for name in names}
    return kept


def differences(found: Any, expected: Any, name: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in found.keys() | expected.keys():
            yield from differences(found.get(key), expected.get(key), f"{name} {key}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for place, pair in enumerate(zip(found, expected, strict=True)):
            yield from differences(*pair, f"{name} {place}")
    elif not (torch.equal(found, expected) if isinstance(found, torch.Tensor) else found == expected):
        yield f"{name}: {found}, not {expected}"


def assert_resumes_exactly(train: Callable, step: int, number: int, *flags: str) -> None:
    if not Path("whole").exists():
        assert train(*FIT, *flags, "--trainer.default_root_dir", "whole").code == 0
    shutil.rmtree("lightning_logs", ignore_errors=True)
    stopped = train_with(Signal(step, number), train, *FIT, *flags)
    assert stopped.code == 128 + number
    assert "stopped; continue with" in stopped.err
    resumed = train("fit", "--ckpt_path", "last")
    assert resumed.code == 0, resumed.err
    found, expected = state_of(RUN), state_of("whole" / RUN)
    assert len(expected["curves"]["val/loss"]) == 4 * EPOCHS
    assert list(differences(found, expected)) == [], f"stopped in step {step}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("corpus")
@pytest.mark.slow
def test_a_stop_before_a_validation_is_due_does_not_skip_it(train: Callable, number: int) -> None:
    assert_resumes_exactly(train, BATCHES + 2, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("corpus")
@pytest.mark.ci
def test_a_stop_at_any_step_of_an_epoch_changes_nothing(train: Callable, number: int) -> None:
    for step in range(BATCHES, 2 * BATCHES):
        assert_resumes_exactly(train, step, number)


@pytest.mark.parametrize("step", [6, 8, 10])  # a validation is due in the middle of the step, after it, and later
@pytest.mark.usefixtures("corpus")
@pytest.mark.ci
def test_a_stop_while_gradients_are_accumulated(train: Callable, step: int) -> None:
    assert_resumes_exactly(train, step, signal.SIGINT, "--trainer.accumulate_grad_batches", "2")


@pytest.mark.parametrize("step", [12, 14])
@pytest.mark.usefixtures("corpus")
@pytest.mark.ci
def test_a_stop_while_weights_are_averaged(train: Callable, step: int) -> None:
    averaging = ["--trainer.callbacks+", "EMAWeightAveraging", "--trainer.callbacks.decay", "0.9"]
    assert_resumes_exactly(train, step, signal.SIGINT, *averaging)


def test_a_signal_is_not_lost_while_the_processes_agree() -> None:
    """The one that arrives when this process has already said that it need not stop counts after the next step."""
    stop = StopCleanly(new_run=False)
    given: list[bool] = []

    def reduce(value: bool, all: bool) -> bool:
        given.append(value)
        if len(given) == 1:
            signal.raise_signal(signal.SIGTERM)
        return value

    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=reduce), world_size=2)
    former = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        stop.on_train_start(trainer, None)
        assert [stop._is_requested(trainer) for _ in range(2)] == [False, True]
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), former, strict=True):
            signal.signal(number, handler)
    assert given == [False, True]
