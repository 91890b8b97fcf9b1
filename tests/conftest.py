"""Fixtures shared by all tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read as torch is imported; tests run side by side

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lightning.pytorch  # noqa: F401  # its log handler has to see the standard error of no single test
import pytest
from hypothesis import settings

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
