"""Several processes of one job (``--devices 2``): if one dies, all end within seconds, and one line says why.

With NCCL a process notices a dead one after minutes, and while computing not at all. So the first process watches those
it launched, and each of these the first. torchrun watches its own workers, and these watch torchrun.
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

from spam_classifier.errors import GRACE

LAUNCHER = "SPAM_CLASSIFIER_LAUNCHER"  # environment variable: process id of the process that launched this one
LOST = re.compile("Connection (closed|reset) by peer|Broken pipe|[Tt]imed out")  # in the errors of gloo and NCCL
LOOK_EVERY = 0.5  # seconds


class Launched:
    """The processes that Lightning launches beside this one; none if torchrun or a cluster launches them."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen] = []
        self._main_ends = threading.Event()

    def watch(self, strategy: Any) -> None:
        """End this process if one fails that the strategy is going to launch."""
        launcher = strategy.launcher
        if not hasattr(launcher, "procs"):
            return
        launch = launcher._call_children_scripts

        def launch_and_watch() -> None:
            os.environ[LAUNCHER] = str(os.getpid())
            launch()
            # Lightning's own observer then has nothing to watch: it would kill this process without a message
            self._processes, launcher.procs = launcher.procs, []
            threading.Thread(target=self._watch, daemon=True).start()

        launcher._call_children_scripts = launch_and_watch

    def _watch(self) -> None:
        while (failure := self._failure()) is None:
            if self._main_ends.wait(LOOK_EVERY):
                return
        if not self._main_ends.wait(GRACE):  # the main thread waits for the dead process, or computes
            say(failure)
            self.kill()
            os._exit(1)

    def _failure(self) -> str | None:
        """How a process was killed; "" if one failed with an error of its own; None if none failed."""
        for number, process in enumerate(self._processes, start=1):
            if status := process.poll():
                if status > 0:
                    return ""
                name = signal.Signals(-status).name
                cause = f"{name} (the system does so when memory runs out)" if name == "SIGKILL" else name
                return f"process {number} of {len(self._processes) + 1} was ended by {cause}, and the others with it"
        return None

    def explain(self, error: BaseException) -> None:
        """Say which process was lost, after an error of the communication with it."""
        self._main_ends.set()
        deadline = time.monotonic() + 3 * GRACE
        while self._processes and time.monotonic() < deadline:  # its connection closes a moment before it is dead
            if (failure := self._failure()) is not None:
                say(failure)
                return
            time.sleep(0.05)
        reason = LOST.search(str(error))
        why = f"({reason[0] if reason else type(error).__name__})"
        say(f"another process of this job is lost {why}, and this one ends with it: see what that one printed")

    def kill(self) -> None:
        """Kill them."""
        self._main_ends.set()
        for process in self._processes:
            process.kill()

    def wait(self) -> None:
        """Wait for them to end, now that the work is done."""
        for process in self._processes:
            process.wait(10 * GRACE)
        if (failure := self._failure()) is not None:
            say(failure)
            sys.exit(1)


@contextmanager
def ending_together() -> Iterator[Launched]:
    """End all processes of a job if one fails, with status 1."""
    launched = Launched()
    by_torchrun, is_first = "TORCHELASTIC_RUN_ID" in os.environ, os.environ.get("LOCAL_RANK", "0") == "0"
    if by_torchrun or (LAUNCHER in os.environ and not is_first):
        parent = os.getppid() if by_torchrun else int(os.environ[LAUNCHER])
        if not by_torchrun:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the first process decides
        threading.Thread(target=_end_with, args=(parent, by_torchrun), daemon=True).start()
    try:
        yield launched
        launched.wait()
    except BaseException as error:
        if not _is_lost_connection(error):
            raise
        if is_first:
            launched.explain(error)
        else:
            time.sleep(GRACE)  # the first process, or _end_with, explains and ends this one
        sys.exit(1)
    finally:
        launched.kill()


def end_at_sigterm(world_size: int) -> None:
    """Let SIGTERM end one of several processes, and so the job; call it after the Trainer has installed its handler.

    That handler broadcasts in the middle of whatever the processes exchange, and they would hang.
    """
    if world_size > 1:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_with(parent: int, by_torchrun: bool) -> None:
    # Linux could kill this process together with its parent (PR_SET_PDEATHSIG), but no process would say why
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    if os.environ["LOCAL_RANK"] == ("0" if by_torchrun else "1"):
        lost = "torchrun" if by_torchrun else "the first process of this job"
        say(f"{lost} was killed, and the others end with it: fit --ckpt_path last goes on from the last checkpoint")
    os._exit(1)


def _is_lost_connection(error: BaseException) -> bool:
    distributed = sys.modules.get("torch.distributed")  # importing it takes seconds, and --help ends here, too
    if distributed is not None and isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and "gloo" in str(error) and LOST.search(str(error)) is not None


def say(line: str) -> None:
    """Print an error, if there is one."""
    if line:
        print(f"error: {line}", file=sys.stderr, flush=True)
