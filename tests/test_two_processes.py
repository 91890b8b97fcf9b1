"""Two processes, and two machines, give the same results as one process."""

import json
import multiprocessing
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
from torch import Tensor

from spam_classifier import SpamClassifier, SpamDataModule

# 122, 149 and 300 messages
SIZES = {"corpus": "sample", "train_fraction": 0.91, "validation_fraction": 0.03, "train_per_class": 61}
WEIGHTED = {"balance": "class_weight", "corpus": "few.tsv", "train_fraction": 0.2154, "validation_fraction": 0.2606}
BOOK, REAL = ["last", "longest"], ["last_real", "batch"]
CASES: dict[str, tuple[list[str], dict[str, Any]]] = {  # by what learns
    "last_layer": (REAL, {}),
    "last_block": (BOOK, {}),
    "last_two_blocks": (REAL, {}),
    "last_block, weighted": (REAL, WEIGHTED),
    "all": (REAL, {}),
    "lora": (REAL, {}),
}
MORE_CASES = {
    "last_layer, book": (BOOK, {}),
    "last_block, real": (REAL, {}),
    "last_two_blocks, book": (BOOK, {}),
}
COMMAND = [
    *("--model.weights", "random", "--model.layers", "2", "--model.width", "32", "--model.heads", "2"),
    *("--model.context", "256", "--model.learning_rate", "3e-3", "--model.token_position", "last_real"),
    *("--data.padding", "batch", "--data.corpus", "sample", "--data.train_per_class", "61"),
    *("--trainer.max_epochs", "2", "--trainer.accelerator", "cpu"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
]


class Result(NamedTuple):
    """What a process has of a training and of what follows it."""

    losses: list[float]
    reused: bool
    weights: dict[str, Tensor]
    validated: dict[str, float]
    tested: dict[str, float]
    predicted: dict[str, Tensor]


class Losses(pl.Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.reused = True

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.losses.append(float(outputs["loss"].detach()))
        self.reused &= pl_module.reuse._stages.get("train") is not None


def run(case: str, directory: Path, processes: int, **trainer: Any) -> Result:
    """Train two epochs in batches of eight, over all processes; then validate, test and predict."""
    (position, padding), data = (CASES | MORE_CASES)[case]
    policy = case.partition(",")[0]
    pl.seed_everything(11)
    losses = Losses()
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "callbacks": [losses]}
    options |= {"enable_model_summary": False, "num_sanity_val_steps": 0, "default_root_dir": directory}
    options |= {"accelerator": "cpu", "devices": processes, "strategy": "ddp" if processes > 1 else "auto"}
    model = SpamClassifier("random", 3, 32, 4, 512, trainable=policy, token_position=position, learning_rate=1e-3)
    settings = {"max_length": 40, "padding": padding, "batch_by_length": padding == "batch"} | (data or SIZES)
    messages = SpamDataModule(batch_size=8 // processes, **settings)
    own = pl.Trainer(max_epochs=2, **{**options, **trainer})
    own.fit(model, messages)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    figures: list[Mapping[str, float]] = [own.validate(model, messages, verbose=False)[0]]
    figures += own.test(model, messages, verbose=False)
    own.predict(model, messages, return_predictions=False)
    assert model.predictions is not None
    return Result(losses.losses, losses.reused, weights, *map(dict, figures), model.predictions._asdict())


def one_of_two(rank: int, port: int, directory: Path, cases: Iterable[str], commands: Iterable[list[str]]) -> None:
    """Run one of two processes as torchrun starts them, and keep its results."""
    launched = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0}
    launched |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "pair"}
    os.environ.update({name: str(value) for name, value in launched.items()})
    os.chdir(directory)
    torch.save({case: run(case, directory, 2)._asdict() for case in cases}, directory / f"{rank}.pt")
    # of 149 messages one process has 75, in three batches, and the other 74, in two: neither waits for the other
    run("last_block", directory, 2, limit_val_batches=2, limit_train_batches=2)

    from spam_classifier.training.cli import SpamCLI
    from spam_classifier.training.parser import with_run_settings
    from spam_classifier.training.processes import Launched

    for typed in commands:
        sys.argv[1:], taken_up = with_run_settings(typed)
        SpamCLI(taken_up, typed, Launched())


def run_two(directory: Path, cases: Iterable[str], commands: Iterable[list[str]] = ()) -> None:
    few = (files("spam_classifier") / "data/sample.tsv").read_text(encoding="utf-8").splitlines(keepends=True)[:572]
    (directory / "few.tsv").write_text("".join(few), encoding="utf-8")
    fork, port = multiprocessing.get_context("fork"), free_port()
    two = [fork.Process(target=one_of_two, args=(rank, port, directory, cases, commands)) for rank in range(2)]
    for process in two:
        process.start()
    for process in two:
        process.join()
    assert [process.exitcode for process in two] == [0, 0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which two processes left their results."""
    directory = tmp_path_factory.mktemp("pair")
    flags = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    fit = ["fit", *COMMAND, *flags, "--data.batch_size", "4"]
    run_two(directory, CASES, [fit, ["test", *flags]])
    return directory


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def assert_same_weights(one: Mapping[str, Tensor], other: Mapping[str, Tensor], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        own, others = value, other[name]
        if name.endswith("c_attn.bias"):  # the softmax ignores the keys' bias: Adam scales up the noise of a zero
            own, others = (bias.view(3, -1)[[0, 2]] for bias in (own, others))
        if name not in ("decision.temperature", "decision.threshold"):  # found by bisection
            assert torch.allclose(own, others, atol=tolerance, rtol=1e-4), name


@pytest.mark.slow
def test_every_policy_is_the_same_in_two_processes(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_cases(pair, monkeypatch)


@pytest.mark.ci
@pytest.mark.slow
def test_more_cases_are_the_same_in_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_two(tmp_path, MORE_CASES)
    check_cases(tmp_path, monkeypatch)


def check_cases(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the results of both processes with each other, and with those of one process alone."""
    monkeypatch.chdir(directory)
    results = [torch.load(f"{rank}.pt", weights_only=True) for rank in range(2)]
    for case in results[0]:
        one = run(case, directory, processes=1)
        assert len(one.predicted["rows"]) == 300
        two, other = (Result(**result[case]) for result in results)
        assert one.reused == two.reused == (not case.startswith(("all", "lora"))), case
        mean = [(loss + beside) / 2 for loss, beside in zip(two.losses, other.losses, strict=True)]
        assert len(mean) == len(one.losses) >= 30
        assert mean == pytest.approx(one.losses, rel=1e-4), case
        assert_same_weights(one.weights, two.weights, 1e-5)
        for name, value in two.weights.items():
            if not name.startswith("metrics."):
                assert torch.equal(value, other.weights[name]), name
        for stage in ("validated", "tested"):
            mine, figures = getattr(one, stage), getattr(two, stage)
            assert figures == getattr(other, stage)
            assert mine.keys() == figures.keys()
            for name, value in mine.items():
                counted = name.rpartition("/")[2] in ("acc", "balanced_acc", "precision", "recall", "f1", "specificity")
                assert figures[name] == (value if counted else pytest.approx(value, abs=1e-4)), (case, name)
        for name, value in one.predicted.items():
            assert torch.equal(two.predicted[name], other.predicted[name])
            assert torch.allclose(value.float(), two.predicted[name].float(), atol=1e-4), (case, name)
        assert two.predicted["rows"].tolist() == list(range(300))
        assert torch.equal(one.predicted["predicted"], two.predicted["predicted"])


def assert_same_run(run: Path, other: Path) -> None:
    figures, others = (json.loads((directory / "metrics.json").read_text()) for directory in (run, other))
    for split in {"train", "validation", "test", "left_over"} & figures.keys():
        for name, value in figures[split].items():
            if name in ("confusion", "messages", "acc", "f1", "decision_step", "step", "false_positives"):
                assert value == others[split][name], (split, name)
            elif name in ("loss", "auroc", "mcc"):
                assert value == pytest.approx(others[split][name], abs=1e-4), (split, name)
    for name in ("train.csv", "validation.csv", "test.csv"):
        assert (run / name).read_bytes() == (other / name).read_bytes()
    checkpoints = [torch.load(path / "checkpoints/last.ckpt", weights_only=True) for path in (run, other)]
    assert checkpoints[0]["global_step"] == checkpoints[1]["global_step"]
    assert_same_weights(*(checkpoint["state_dict"] for checkpoint in checkpoints), 1e-5)


@pytest.mark.slow
def test_commands_leave_the_same_run(pair: Path, train: Callable, tmp_path: Path) -> None:
    for arguments in (["fit", *COMMAND, "--trainer.devices", "1"], ["test"]):
        done = train(*arguments)
        assert done.code == 0, done.err
    alone, run = (directory / "lightning_logs/version_0" for directory in (tmp_path, pair))
    assert_same_run(alone, run)
    tables = [pd.read_csv(directory / "predictions/test.csv") for directory in (alone, run)]
    assert tables[1][["label", "text"]].equals(pd.read_csv(run / "test.csv"))
    pd.testing.assert_frame_equal(*tables, atol=1e-5)


@pytest.mark.ci
@pytest.mark.slow
def test_two_machines_leave_the_same_run_on_the_first(pair: Path, tmp_path: Path) -> None:
    """As the documentation shows it, with two directories in place of two machines."""
    page = Path(__file__).parents[1].joinpath("docs/several_machines.md").read_text(encoding="utf-8")
    shown = re.findall(r"^torchrun .*", page, flags=re.MULTILINE)
    assert len(shown) == 2
    machines, port = [], free_port()
    for number, line in enumerate(shown):
        directory = tmp_path / f"machine{number}"
        directory.mkdir()
        here = line.replace("10.0.0.1", "127.0.0.1").replace("29500", str(port))
        command = [sys.executable, "-m", "torch.distributed.run", *shlex.split(here)[1:], *COMMAND]
        machines.append(
            subprocess.Popen([*map(str, command)], cwd=directory, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        )
    for machine in machines:
        _, told = machine.communicate(timeout=120)
        assert machine.returncode == 0, told.decode()
    assert_same_run(tmp_path / "machine0/lightning_logs/version_0", pair / "lightning_logs/version_0")
    assert not list((tmp_path / "machine1").iterdir())
