"""Training runs in processes of their own, so that each may fail or be killed alone.

Each process is forked from one that has imported everything and done nothing else, where the system can do so: a
training then starts in a fraction of a second.
"""

import contextlib
import hashlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from spam_classifier.errors import GRACE, UserError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

OUTPUT_FILE = "output.txt"
STATES_DIRECTORY = "hidden_states"  # of all runs of a command, until they are finished
IMPORTED_ONCE = ["spam_classifier.training.cli"]


class RunFailed(UserError):  # noqa: N818
    """A run has failed: why, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the run failed: {reason}")
        self.reason = reason


class RunStopped(Exception):  # noqa: N818
    """A run was stopped after a validation, because the caller asked for it."""


def launched_run(root: Path) -> Path | None:
    """The directory of the run under ``root``, if there is one."""
    return next(root.glob("lightning_logs/version_*"), None)


def splits_digest(run: Path) -> str:
    """The same for runs with the same messages in their splits; "" if the run lacks a split."""
    splits = [run / f"{name}.csv" for name in ("train", "validation", "test")]
    if not all(path.is_file() for path in splits):
        return ""
    return hashlib.sha256(b"".join(path.read_bytes() for path in splits)).hexdigest()[:12]


def launch_fit(
    config: Path,
    seed: int | None,
    flags: Sequence[object],
    root: Path,
    *,
    defaults: Mapping[str, Any] | None = None,
    states: Path | None = None,
    on_validation: Callable[[int, float], bool] = lambda number, loss: False,
) -> Path:
    """Train a config, with flags of ``fit`` that override it, and return the run directory.

    ``root`` is an empty directory for the run and its output, ``seed`` None for the config's own seeds, and
    ``defaults`` settings that the config overrides. Runs that share the directory ``states`` share the hidden states of
    messages; they follow one another. ``on_validation`` gets the number of a validation, from 1, and its loss, and says
    whether to stop.

    Raises RunFailed if the training fails or leaves no run directory, and RunStopped if ``on_validation`` has stopped
    it.
    """
    seeds = [] if seed is None else ["--seed_everything", seed, "--data.split_seed", seed]
    under = ["--config", yaml.safe_dump(defaults, allow_unicode=True)] if defaults else []
    _launch(["fit", *under, "--config", config, *seeds, *flags], root, states, on_validation)
    run = launched_run(root)
    if run is None:
        raise RunFailed("it left no run directory: drop --trainer.fast_dev_run and --trainer.logger")
    return run


def launch_test(root: Path, *, states: Path | None = None) -> None:
    """Evaluate the run under ``root`` on its test split; raises as ``launch_fit``."""
    _launch(["test"], root, states, lambda number, loss: False)


def _launch(
    arguments: Sequence[object], root: Path, states: Path | None, on_validation: Callable[[int, float], bool]
) -> None:
    root.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in [*arguments, "--trainer.enable_progress_bar", "false", "--root", root]]
    context = _context()
    ours, theirs = context.Pipe()
    path = root / OUTPUT_FILE
    path.touch()
    process: Any = context.Process(target=_train, args=(words, Path.cwd(), path, states, theirs))
    process.start()
    theirs.close()
    try:
        number = 0
        while ours in wait([ours, process.sentinel]):
            try:
                loss = ours.recv()
            except (EOFError, ConnectionError):
                break
            number += 1
            if on_validation(number, loss):
                process.kill()
                raise RunStopped
            with contextlib.suppress(ConnectionError):  # it was killed meanwhile
                ours.send(None)
        process.join()
    except BaseException:  # Ctrl-C has reached that process, too
        process.join(GRACE)
        process.kill()
        raise
    finally:
        ours.close()
    if process.exitcode:
        raise RunFailed(_reason(process.exitcode, path))


def _context() -> "ForkServerContext | SpawnContext":
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_ONCE)
    return context


def _train(words: list[str], directory: Path, output: Path, states: Path | None, losses: Connection) -> None:
    """Run the command line of ``train`` in this process, with what it prints in a file."""
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    os.chdir(directory)
    with output.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from lightning.pytorch.callbacks import LambdaCallback
    from tqdm import tqdm

    from spam_classifier import train

    tqdm.set_lock(threading.RLock())  # its own is one of the system, which a process that is killed leaves behind

    def tell_loss(trainer: Any, module: Any) -> None:
        if trainer.is_global_zero and trainer.state.fn == "fit" and not trainer.sanity_checking:
            losses.send(float(trainer.callback_metrics["val/loss"]))
            losses.recv()  # or this process is killed

    sys.argv = [str(train.__file__), *words]
    sys.modules["__main__"] = train  # Lightning launches it again for further processes
    train.main(states, [LambdaCallback(on_validation_end=tell_loss)])


def _end_with_launcher() -> None:
    """End this process when the one that launched it has ended, however that was."""
    launcher = multiprocessing.parent_process()
    assert launcher is not None
    launcher.join()
    os._exit(1)


def _reason(code: int, output: Path) -> str:
    """Why a process failed: the signal, the error it printed, or the last line of its traceback."""
    if code < 0:
        return f"{signal.Signals(-code).name}, see {output}"
    lines = [line.strip() for line in output.read_text(encoding="utf-8", errors="replace").splitlines()]
    error = next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), "")
    last = next((line for line in reversed(lines) if line), "no output")
    return error or f"{last}, see {output}"
