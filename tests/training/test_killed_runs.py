"""Runs are killed at the worst moments, in forked processes, and then resumed."""

import itertools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from spam_classifier.training.run_files import WholeCheckpoints, remove_unfinished

RUN = Path("lightning_logs/version_0")
CONTINUE = ["fit", "--ckpt_path", "last"]
TRAINER = "lightning.pytorch.trainer.trainer"
SMALL = [
    *("--model.weights", "random", "--model.layers", "2", "--model.width", "16", "--model.heads", "2"),
    *("--model.context", "64", "--model.token_position", "last_real", "--data.padding", "batch"),
    *("--data.batch_by_length", "true", "--data.batch_size", "4", "--data.stratify", "true"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.max_epochs", "3"),
    *("--trainer.enable_model_summary", "false", "--trainer.log_every_n_steps", "1"),
]
ACCUMULATED = ["--trainer.accumulate_grad_batches", "2", "--model.schedule", "cosine", "--model.warmup_steps", "2"]
STOPS_EARLY = [
    *("--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"),
    *("--trainer.callbacks.min_delta", "100", "--trainer.callbacks.patience", "1"),
]


def killed(do: Callable[[], Any]) -> None:
    """Call it in a forked process, which must end by SIGKILL."""
    child = os.fork()
    if child == 0:
        try:
            do()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def kill_at(place: str, call: int) -> None:
    """Make the given call of a function, named by its dotted path, kill this process."""
    owner, _, name = place.rpartition(".")
    function, calls = resolve_name(place), itertools.count(1)

    def until_then(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(resolve_name(owner), name, until_then)


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run)).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def figures(run: Path) -> dict[str, Any]:
    metrics = json.loads((run / "metrics.json").read_text())
    del metrics["provenance"]
    return {**metrics, "run": {name: metrics["run"][name] for name in ("epochs", "steps", "learning_parameters")}}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    lines = ["label,text", *(f"spam,win {number} prizes{' now' * (number % 5)}" for number in range(30))]
    lines += [f"ham,see you at {number}{' then' * (number % 7)}" for number in range(30)]
    path = tmp_path / "corpus.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("flags", "moments"),
    [
        (
            ["--model.trainable", "last_block", "--model.prefix_memory", "0", *STOPS_EARLY],
            [
                ("torch.save", 3),  # in the second epoch, which is the last one
                (f"{TRAINER}._LoggerConnector.update_train_epoch_metrics", 1),  # after its last checkpoint
                ("spam_classifier.training.evaluate_run.write_report", 1),
            ],
        ),
        (
            ["--model.trainable", "lora", "--model.lora_dropout", "0.2", *ACCUMULATED],
            [("spam_classifier.training.module.SpamClassifier.training_step", 25)],
        ),
    ],
    ids=["frozen prefix, stopped early", "dropout, schedule, accumulation"],
)
@pytest.mark.slow
def test_a_killed_and_resumed_run_equals_a_whole_one(
    train: Callable, corpus: Path, caplog: pytest.LogCaptureFixture, flags: list[str], moments: list[tuple[str, int]]
) -> None:
    fit = ["fit", *SMALL, *flags, "--data.corpus", corpus]
    assert train(*fit, "--trainer.default_root_dir", "whole").code == 0
    for number, moment in enumerate(moments):
        killed(lambda at=moment, first=number == 0: (kill_at(*at), train(*(fit if first else CONTINUE))))
    caplog.clear()
    assert train(*CONTINUE).code == 0
    # the evaluation after fit reuses the hidden states, too: recomputed ones differ in the last digits
    assert caplog.text.count("tokens, 0 MB on disk in") == (2 if "--model.prefix_memory" in flags else 0)

    whole = Path("whole") / RUN
    for name in ("last.ckpt", *(path.name for path in whole.rglob("best-*"))):
        expected, found = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (whole, RUN))
        torch.testing.assert_close(found["state_dict"], expected["state_dict"], rtol=0, atol=0)
        for state in {"optimizer_states", "lr_schedulers"} & set(expected):
            torch.testing.assert_close(found[state], expected[state], rtol=0, atol=0)
    assert figures(RUN) == figures(whole)
    for tag, points in scalars(RUN).items():  # a point logged right after the last checkpoint may be missing
        assert set(points) <= set(scalars(whole)[tag])
    files, expected = ({file.name for file in run.rglob("*") if "tfevents" not in file.name} for run in (RUN, whole))
    assert files == expected


@pytest.mark.parametrize(
    "moment", ["torch.serialization._open_zipfile_writer_buffer.__exit__", "os.fsync", "pathlib.Path.replace"]
)
def test_a_kill_while_writing_leaves_the_checkpoint_before(tmp_path: Path, moment: str) -> None:
    last = tmp_path / "checkpoints/last.ckpt"
    files = WholeCheckpoints()
    files.save_checkpoint({"global_step": 1, "weights": torch.ones(1000)}, last)

    second = {"global_step": 2, "weights": torch.zeros(1000)}
    killed(lambda: (kill_at(moment, 1), files.save_checkpoint(second, last)))
    assert files.load_checkpoint(last)["global_step"] == 1
    assert list(last.parent.glob("*.ckpt")) == [last]
    remove_unfinished(tmp_path)
    assert list(last.parent.iterdir()) == [last]
    files.save_checkpoint({"global_step": 3}, last)
    assert files.load_checkpoint(last) == {"global_step": 3}
