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
