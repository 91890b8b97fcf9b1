"""The other processes of a job: where one is lost they all end, soon, and one line says so.

A process that waits for a lost one may wait for long: gloo notices at once, NCCL after minutes, and who is computing
notices nothing. So each watches over those of its own machine: the first over those that the Trainer launched, and
these over the first; torchrun watches over its own, and these over torchrun.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch.distributed

from spam_classifier.errors import GRACE

LAUNCHER = "SPAM_CLASSIFIER_LAUNCHER"  # the environment variable by which a process knows that it was launched
LOST = re.compile("Connection (closed|reset) by peer|Broken pipe|[Tt]imed out")  # what the back ends call it
LOOK_EVERY = 0.5  # seconds


class Launched:
    """The processes that a Trainer launches beside this one; none where others do."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen] = []
        self._main_is_ending = threading.Event()

    def watch(self, strategy: Any) -> None:
        """From when the Trainer launches processes on, end this one if one of them fails."""
        launcher: Any = strategy.launcher
        if hasattr(launcher, "procs") and not launcher.cluster_environment.creates_processes_externally:
            threading.Thread(target=self._watch, args=(launcher,), daemon=True).start()

    def _watch(self, launcher: Any) -> None:
        while not launcher.procs:
            time.sleep(0.1)
        observed = launcher.procs
        self._processes = launcher.procs = list(observed)
        observed.clear()  # Lightning's own observer has it; it would kill this process without a word
        for number, process in enumerate(self._processes, start=1):
            threading.Thread(target=self._wait_for, args=(number, process), daemon=True).start()

    def _wait_for(self, number: int, process: subprocess.Popen) -> None:
        if process.wait() and not self._main_is_ending.wait(GRACE):
            self._say_how_it_ended(number, process.returncode)
            self.kill()
            os._exit(1)  # the main thread waits for what will not come

    def _say_how_it_ended(self, number: int, code: int) -> None:
        if code < 0:  # else it has said why itself
            name = signal.Signals(-code).name
            cause = f"{name} (the system does so where memory runs out)" if name == "SIGKILL" else name
            say(f"process {number} of {len(self._processes) + 1} was ended by {cause}, and the others with it")

    def say_who_was_lost(self, error: BaseException) -> None:
        """Say on one line which process was lost, where it did not do so itself."""
        self._main_is_ending.set()
        deadline = time.monotonic() + 3 * GRACE
        while self._processes and time.monotonic() < deadline:  # it is lost to the others before it has quite ended
            for number, process in enumerate(self._processes, start=1):
                if process.returncode:
                    self._say_how_it_ended(number, process.returncode)
                    return
            time.sleep(0.05)
        reason = LOST.search(str(error))
        why = f"({reason[0] if reason else type(error).__name__})"
        say(f"another process of this job is lost {why}, and this one ends with it: see what that one said")

    def kill(self) -> None:
        """End them at once."""
        self._main_is_ending.set()
        for process in self._processes:
            process.kill()

    def wait(self) -> None:
        """Let them end, now that the work is done."""
        for number, process in enumerate(self._processes, start=1):
            if process.wait(10 * GRACE):
                self._say_how_it_ended(number, process.returncode)
                sys.exit(1)


@contextmanager
def ending_together(how_to_go_on: str) -> Iterator[Launched]:
    """Let no process of a job outlive another one's failure.

    Args:
        how_to_go_on: What to tell a user when the first process can't any more.

    Yields:
        The processes that the Trainer is going to launch, to be told of the Trainer.

    Raises:
        SystemExit: With status 1, where another process is lost.
    """
    launched = Launched()
    launcher = _launcher()
    if launcher is None:
        os.environ[LAUNCHER] = str(os.getpid())
    else:
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the first one decides what it means
        threading.Thread(target=_end_with, args=(launcher, how_to_go_on), daemon=True).start()
    try:
        yield launched
        launched.wait()
    except BaseException as error:
        if not _means_that_one_is_lost(error):
            launched.kill()
            raise
        if os.environ.get("LOCAL_RANK", "0") == "0":
            launched.say_who_was_lost(error)
        else:
            time.sleep(GRACE)  # the first process, or the thread that watches over it, says it and ends this one
        launched.kill()
        sys.exit(1)
    finally:
        if launcher is None:
            os.environ.pop(LAUNCHER, None)


def end_at_sigterm(trainer: pl.Trainer) -> None:
    """Let SIGTERM end one of several processes, and with it the job.

    Lightning would have each broadcast from within its handler, beside whatever they were exchanging: they hang.
    The Trainer sets its handler before each stage, so that this has to be called behind that.
    """
    if trainer.world_size > 1:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _launcher() -> int | None:
    """The process that launched this one and would end it; None where there is none."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return os.getppid()
    launched = os.environ.get("LOCAL_RANK", "0") != "0"
    return int(os.environ[LAUNCHER]) if launched and LAUNCHER in os.environ else None


def _end_with(launcher: int, how_to_go_on: str) -> None:
    while os.getppid() == launcher:
        time.sleep(LOOK_EVERY)
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    if os.environ["LOCAL_RANK"] == ("0" if by_torchrun else "1"):
        lost = "torchrun" if by_torchrun else "the first process of this job"
        say(f"{lost} was killed, and the others end with it: {how_to_go_on}")
    os._exit(1)


def _means_that_one_is_lost(error: BaseException) -> bool:
    if isinstance(error, torch.distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and "gloo" in str(error) and LOST.search(str(error)) is not None


def say(line: str) -> None:
    """Print an error on one line."""
    print(f"error: {line}", file=sys.stderr, flush=True)
