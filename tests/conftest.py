"""Fixtures shared by all tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; tests run side by side

import io
import logging
import multiprocessing
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import lightning.pytorch as pl  # before any test captures the standard error that its log handler keeps
import pandas as pd
import pytest
import torch
from hypothesis import settings

from spam_classifier import Classifier, SpamClassifier, SpamDataModule, load_classifier
from spam_classifier.models.gpt2_classifier import backbone_structure

# They send signals, limit resources or make named pipes and scripts, as Windows does not.
OF_POSIX = ["fuzz", "comparing/test_launch.py", "test_faults.py", "test_hostile_input.py", "test_two_processes.py"]
OF_POSIX += ["training/test_killed_runs.py", "training/test_processes.py"]
collect_ignore = [] if os.name == "posix" else OF_POSIX

GPU = torch.cuda.is_available()  # Lightning has PyTorch ask the driver's library: CUDA does not start
VISIBLE = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # forks can't use it once it has started, and the tests' numbers are a CPU's
DATA_SETTINGS = ("corpus", "padding", "keep", "max_length", "batch_size")
MAX_LENGTH = 24
SIZES = {"layers": 2, "width": 32, "heads": 2, "context": 64}
TOPICS = {"sport | <b>": "goal", "arts: *éco*": "stage", '---\n"a"': "cells"}

# hints then start with python, whatever the current directory is
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

# no deadline: a first call may load a vocabulary
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=25)
settings.register_profile("ci", settings.get_profile("quick"), max_examples=100)
settings.register_profile("fuzz", deadline=None, max_examples=10_000, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "quick")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count tests of CI as slow, and run files with slow tests first: started last, they would keep one worker idle."""
    for item in items:
        if item.get_closest_marker("ci"):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def no_pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Write neither the report nor ``learning_curves.png``, which take longer than a tiny training.

    Tests marked ``report`` get both.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("report") is None:
            patch.setattr("spam_classifier.training.evaluate_run.write_report", lambda directory: None)
            no_figure = SimpleNamespace(savefig=lambda path, **_: path.touch())
            patch.setattr("spam_classifier.training.curves.learning_curves", lambda *_: no_figure)
        yield


class Outcome(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def uci_archive() -> Path:
    """The archive of the real SMS Spam Collection."""
    path = os.environ.get("SPAM_CLASSIFIER_UCI_ARCHIVE")
    if path and Path(path).is_file():
        return Path(path).resolve()
    message = "SPAM_CLASSIFIER_UCI_ARCHIVE does not name the SMS Spam Collection's archive"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Call a command's ``main`` with arguments and standard input, in this process."""

    def call(main: Callable[[], None], *arguments: object, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "argv", [main.__module__, *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # the Trainer ignores it once interrupted
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Run ``python -m spam_classifier.train ...`` in this process and in an empty directory."""
    from spam_classifier.train import main

    monkeypatch.chdir(tmp_path)
    return partial(call, main)


class Running(NamedTuple):
    """A command that was started, and the files of its output."""

    process: Any
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, timeout: float = 300) -> int:
        """The exit code, or minus the number of the signal that killed the process."""
        if isinstance(self.process, subprocess.Popen):
            return self.process.wait(timeout)
        self.process.join(timeout)
        assert self.process.exitcode is not None, "the process has not ended"
        return self.process.exitcode

    def outcome(self) -> Outcome:
        return Outcome(self.wait(), self.out.read_text(), self.err.read_text())


def run_module(module: str, arguments: list[str], cwd: Path, environment: dict[str, str], *paths: Path) -> None:
    """Do what ``python -m <module> ...`` does, in a forked child, with files as the three standard streams."""
    os.chdir(cwd)
    os.environ.update(environment)
    for number, (path, flags) in enumerate(zip(paths, [os.O_RDONLY, os.O_WRONLY, os.O_WRONLY], strict=True)):
        os.dup2(os.open(path, flags | os.O_APPEND), number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    for logger in logging.root.manager.loggerDict.values():
        for handler in getattr(logger, "handlers", []):
            if type(handler) is logging.StreamHandler:
                handler.stream = sys.stderr  # the old one may be closed
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.excepthook, sys.unraisablehook = threading.__excepthook__, sys.__unraisablehook__
    sys.argv = [module, *arguments]
    sys.modules.pop(module, None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


@pytest.fixture
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Start ``python -m <module> ...`` in a fork of this process, which saves six seconds of imports.

    With ``fresh``, and on macOS, where forks are not safe, it is a new interpreter. A command that launches trainings
    needs that: a fork can't use the server that this process may have for its own forks.
    """
    started: list[Running] = []

    def forked(
        module: str, *arguments: object, cwd: Path | str = ".", stdin: bytes = b"", fresh: bool = False, **env: str
    ) -> Running:
        directory = tmp_path_factory.mktemp("streams")
        paths = [directory / name for name in ("stdin", "stdout", "stderr")]
        for path, contents in zip(paths, [stdin, b"", b""], strict=True):
            path.write_bytes(contents)
        words = [str(argument) for argument in arguments]
        process: Any
        if fresh or sys.platform != "linux":
            with paths[0].open() as given, paths[1].open("w") as out, paths[2].open("w") as err:
                streams = {"stdin": given, "stdout": out, "stderr": err}
                command = [sys.executable, "-m", module, *words]
                process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **env}, **streams)
        else:
            context = multiprocessing.get_context("fork")
            process = context.Process(target=run_module, args=(module, words, Path(cwd), env, *paths))
            process.start()
        started.append(Running(process, *paths[1:]))
        return started[-1]

    yield forked
    for running in started:
        running.process.kill()
        running.wait()


@pytest.fixture
def command(forked: Callable[..., Running]) -> Callable[..., Outcome]:
    """Run ``python -m <module> ...`` in another process, and wait for its end."""
    return lambda *arguments, **options: forked(*arguments, **options).outcome()


@pytest.fixture
def on_gpu(command: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Run ``python -m <module> ...`` in a new interpreter, the only one that sees the GPU."""
    if not GPU:
        pytest.skip("no GPU")
    return partial(command, fresh=True, CUDA_VISIBLE_DEVICES=VISIBLE)


@pytest.fixture(scope="session")
def children() -> Callable[[int], list[int]]:
    """The child processes of a process."""

    def children(process: int) -> list[int]:
        known = Path(f"/proc/{process}/task/{process}/children")
        command = ["pgrep", "-P", str(process)]  # where there is no /proc
        listed = known.read_text() if known.exists() else subprocess.check_output(command, text=True)
        return [int(number) for number in listed.split()]

    return children


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Wait for a condition, at most four minutes."""

    def wait_until(true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 240
        while not true():
            assert time.monotonic() < deadline, "the condition was never true"
            time.sleep(0.02)

    return wait_until


@pytest.fixture(scope="session")
def is_gone() -> Callable[[int], bool]:
    """Whether a process has ended, or is a zombie."""

    def is_gone(process: int) -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{process}/stat")
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"

    return is_gone


@pytest.fixture(scope="session")
def smallest_checkpoint() -> Callable[..., dict[str, Any]]:
    """The contents of a checkpoint of the smallest possible model, with changed settings."""

    def contents(**changes: Any) -> dict[str, Any]:
        model = SpamClassifier("random", layers=1, width=1, heads=1)
        settings = {**model.hparams, "padded_length": 120, "max_length": 120, "keep": "head"}
        settings |= {"label_names": ["ham", "spam"], **changes}
        classes = len(settings["label_names"])
        backbone = backbone_structure(model.shape, model.hparams).state_dict()
        decision = {"temperature": 1.0, "threshold": 0.5, "fitted_step": -1}
        tensors = {f"backbone.{name}": torch.zeros(tensor.shape) for name, tensor in backbone.items()}
        tensors |= {"head.weight": torch.arange(float(classes))[:, None], "head.bias": torch.zeros(classes)}
        tensors |= {f"decision.{name}": torch.tensor(value) for name, value in decision.items()}
        settings["class_weights"] = [1.0] * classes
        return {"state_dict": tensors, "global_step": 42, "optimizer_states": [], "hyper_parameters": settings}

    return contents


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
def trained(tmp_path_factory: pytest.TempPathFactory, three_classes: Path) -> Callable[..., Classifier]:
    """Train a few steps, with settings of model and data by name; the same settings give the same classifier.

    The corpus may be ``three_classes``, too.
    The head's weights are made larger and its bias far from zero, so that probabilities differ from text to text and
    cannot be got right without the bias.
    """
    kept: dict[str, Classifier] = {}

    def train(**settings: Any) -> Classifier:
        key = repr(sorted(settings.items()))
        if key not in kept:
            of_data = {"corpus": "sample", "max_length": MAX_LENGTH, "padding": "batch"}
            of_data |= {name: value for name, value in settings.items() if name in DATA_SETTINGS}
            if of_data["corpus"] == "three_classes":
                of_data["corpus"] = str(three_classes)
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
    trainer = quiet_trainer(directory, max_steps=8, limit_val_batches=4, val_check_interval=4)
    trainer.fit(model, data)
    assert model.net is not None
    with torch.no_grad():
        model.net.head.weight.mul_(2)
        model.net.head.bias.copy_(torch.linspace(-0.7, 0.9, len(model.label_names)))
        model.net.decision.temperature.fill_(1.7)
    trainer.save_checkpoint(directory / "checkpoints/model.ckpt")
    return load_classifier(directory)


def quiet_trainer(directory: Path, **options: Any) -> pl.Trainer:
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    settings: dict[str, Any] = {**dict.fromkeys(off, False), "accelerator": "cpu", "devices": 1}
    return pl.Trainer(**{**settings, "num_sanity_val_steps": 0, "default_root_dir": directory, **options})


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., pl.Trainer]:
    """Make a Trainer that prints nothing and writes nothing, unless told to."""
    return partial(quiet_trainer, tmp_path)
