"""Fixtures shared by all tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read as torch is imported; tests run side by side

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl  # imported here, so that its log handler sees the standard error of no single test
import pandas as pd
import pytest
import torch
from hypothesis import settings

from spam_classifier import Classifier, SpamClassifier, SpamDataModule, load_classifier

DATA_SETTINGS = ("corpus", "padding", "keep", "max_length", "batch_size")
MAX_LENGTH = 24
SIZES = {"layers": 2, "width": 32, "heads": 2, "context": 64}
TOPICS = {"sport | <b>": "goal", "arts: *éco*": "stage", '---\n"a"': "cells"}

settings.register_profile("any_machine", deadline=None, derandomize=True)  # a first call may load a vocabulary
settings.register_profile("fuzz", deadline=None, max_examples=10_000, print_blob=True)
settings.load_profile("any_machine")


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def uci_archive() -> Path:
    """The real SMS Spam Collection, where the environment says it is."""
    path = os.environ.get("SPAM_CLASSIFIER_UCI_ARCHIVE")
    if path and Path(path).is_file():
        return Path(path).resolve()
    message = "SPAM_CLASSIFIER_UCI_ARCHIVE does not name the SMS Spam Collection's archive"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run ``python -m spam_classifier.train ...`` in this process and in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        from spam_classifier.train import main

        monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # the Trainer ignores it once interrupted
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def command() -> Callable[..., Outcome]:
    """Run ``python -m <module> ...`` in a process of its own."""

    def run(module: str, *arguments: object, cwd: Path, timeout: float = 300, **environment: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a process, and kill it if it has not ended with the test."""
    started: list[subprocess.Popen] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen:
        started.append(subprocess.Popen(command, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def children() -> Callable[[int], list[int]]:
    """The processes that a process has started."""

    def children(process: int) -> list[int]:
        known = Path(f"/proc/{process}/task/{process}/children")
        command = ["pgrep", "-P", str(process)]  # where there is no such file
        listed = known.read_text() if known.exists() else subprocess.check_output(command, text=True)
        return [int(number) for number in listed.split()]

    return children


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Wait for something to be true, or fail after minutes."""

    def wait_until(true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 240
        while not true():
            assert time.monotonic() < deadline, "it never came about"
            time.sleep(0.02)

    return wait_until


@pytest.fixture(scope="session")
def is_gone() -> Callable[[int], bool]:
    """Whether a process has ended; one that nobody has taken note of since (a zombie) has, too."""

    def is_gone(process: int) -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{process}/stat")
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"

    return is_gone


@pytest.fixture(scope="session")
def three_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of three classes with names that are hostile to markup."""
    path = tmp_path_factory.mktemp("corpus") / "topics_[x](y).csv"
    rows = [
        (label, f"a {word} of {number} and {number * 7 % 13}") for number in range(20) for label, word in TOPICS.items()
    ]
    pd.DataFrame(rows, columns=["label", "text"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Classifier]:
    """Train a few steps, with settings of model and data by name; the same settings give the same classifier.

    The head's weights are made larger and its bias far from zero, so that probabilities differ from text to text and
    cannot be got right without the bias.
    """
    kept: dict[str, Classifier] = {}

    def train(**settings: Any) -> Classifier:
        key = repr(sorted(settings.items()))
        if key not in kept:
            of_data = {"corpus": "sample", "max_length": MAX_LENGTH, "padding": "batch"}
            of_data |= {name: value for name, value in settings.items() if name in DATA_SETTINGS}
            of_model = {"trainable": "all", "token_position": "last_real", "learning_rate": 3e-3, **SIZES}
            of_model |= {name: value for name, value in settings.items() if name not in DATA_SETTINGS}
            kept[key] = _train(tmp_path_factory.mktemp("run"), of_model, of_data)
        return kept[key]

    return train


def _train(directory: Path, of_model: dict[str, Any], of_data: dict[str, Any]) -> Classifier:
    pl.seed_everything(1)
    data = SpamDataModule(**of_data)
    data.context = SIZES["context"]
    model = SpamClassifier("random", **of_model)
    trainer = pl.Trainer(
        max_steps=8,
        limit_val_batches=4,
        num_sanity_val_steps=0,
        val_check_interval=4,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=directory,
    )
    trainer.fit(model, data)
    assert model.head is not None
    with torch.no_grad():
        model.head.weight.mul_(2)
        model.head.bias.copy_(torch.linspace(-0.7, 0.9, len(model.label_names)))
        model.decision.temperature.fill_(1.7)
    trainer.save_checkpoint(directory / "checkpoints/model.ckpt")
    return load_classifier(directory)
