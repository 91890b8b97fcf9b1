"""If one process of a job dies, all end, one line says why, and training can be resumed."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from spam_classifier import errors, hints
from spam_classifier.errors import UserError, one_line_errors
from spam_classifier.training.processes import ending_together

LOST = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:1: Connection reset by peer."
FIT = [
    *("fit", "--data.corpus", "sample", "--data.train_per_class", "40", "--model.weights", "random"),
    *("--model.layers", "2", "--model.width", "16", "--model.heads", "2", "--model.context", "256"),
    *("--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"),
    *("--trainer.max_epochs", "100000", "--trainer.enable_progress_bar", "false"),
]


class Job:
    """A job whose first process launches shell scripts, as Lightning launches processes, and then ends."""

    def __init__(self, *scripts: str) -> None:
        self.scripts = scripts
        self.procs: list[subprocess.Popen] = []

    def _call_children_scripts(self) -> None:
        self.processes = [subprocess.Popen(["sh", "-c", script]) for script in self.scripts]
        self.procs += self.processes

    def run(self, error: BaseException | None) -> None:
        with ending_together() as launched:
            launched.watch(SimpleNamespace(launcher=self))
            self._call_children_scripts()
            assert not self.procs  # for Lightning's own observer, which would kill this process
            if error is not None:
                raise error


def test_the_process_that_was_killed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job("kill -9 $$", "sleep 100")
    with pytest.raises(SystemExit, match=r"^1$"):
        job.run(RuntimeError(LOST))
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("error: process 1 of 3 was ended by SIGKILL")
    assert job.processes[1].wait(10) == -signal.SIGKILL


def test_a_process_that_failed_has_printed_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Job("exit 1").run(RuntimeError(LOST))
    assert capsys.readouterr().err == ""


def test_a_lost_process_of_another_machine_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for error, reason in (
        (RuntimeError(LOST), "Connection reset by peer"),
        (torch.distributed.DistNetworkError("waited, and timed out"), "timed out"),
        (torch.distributed.DistBackendError("NCCL error: unhandled"), "DistBackendError"),
    ):
        with pytest.raises(SystemExit, match=r"^1$"):
            Job().run(error)
        (told,) = capsys.readouterr().err.splitlines()
        assert told.startswith(f"error: another process of this job is lost ({reason})")


@pytest.mark.parametrize("kind", [UserError, RuntimeError, KeyboardInterrupt])
def test_an_error_of_the_first_process_ends_the_others(kind: type[BaseException]) -> None:
    job = Job("sleep 100")
    with pytest.raises(kind):
        job.run(kind("gloo finds no such interface"))
    assert job.processes[0].wait(10) == -signal.SIGKILL


def test_the_first_process_ends_last(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job("sleep 0.3")
    job.run(None)
    assert job.processes[0].returncode == 0
    with pytest.raises(SystemExit, match=r"^1$"):
        Job("sleep 0.3; kill -9 $$").run(None)
    assert "process 1 of 2 was ended by SIGKILL" in capsys.readouterr().err


def test_an_error_of_one_process_alone_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(errors, "GRACE", 0)
    with pytest.raises(SystemExit), one_line_errors():
        raise UserError("no such file")
    assert capsys.readouterr().err == "error: process 3: no such file\n"


class Training:
    """One in two processes, in the midst of an epoch or before the first one."""

    def __init__(self, forked: Callable, directory: Path, *launcher: str, **environment: str) -> None:
        directory.mkdir()
        self.last = directory / "lightning_logs/version_0/checkpoints/last.ckpt"
        module, *words = [*launcher, "spam_classifier.train"]
        self.process = forked(module, *words, *FIT, cwd=directory, fresh=bool(launcher), **environment)

    def end(self, children: Callable, wait_until: Callable, *, first: bool, by: int = signal.SIGKILL) -> list[int]:
        """Send a signal to one of the processes once there is a checkpoint; the launched processes."""
        wait_until(self.last.exists)
        launched = children(self.process.pid)
        os.kill(self.process.pid if first else launched[-1], by)
        return launched

    def errors(self) -> list[str]:
        return [line for line in self.process.err.read_text().splitlines() if line.startswith("error: ")]


@pytest.mark.slow
def test_real_kills(
    tmp_path: Path, forked: Callable, children: Callable, wait_until: Callable, is_gone: Callable, train: Callable
) -> None:
    """The first or the second process is killed; the run continues."""
    first = Training(forked, tmp_path / "first")
    left = first.end(children, wait_until, first=True)
    second = Training(forked, tmp_path / "second")
    left += second.end(children, wait_until, first=False)
    assert first.process.wait(60) == -signal.SIGKILL
    assert second.process.wait(60) == 1
    wait_until(lambda: all(map(is_gone, left)))
    (told,) = first.errors()
    assert told.startswith("error: the first process of this job was killed")
    assert "fit --ckpt_path last goes on from the last checkpoint" in told
    (told,) = second.errors()
    assert told.startswith("error: process 1 of 2 was ended by SIGKILL")
    again = f"continue with: {hints.command_line('fit', '--ckpt_path', 'last')}"
    assert again in second.process.err.read_text()

    epoch = torch.load(second.last, weights_only=True)["epoch"]
    alone = ["--trainer.devices", 1, "--trainer.strategy", "auto", "--trainer.max_epochs", epoch + 2]
    done = train("fit", "--ckpt_path", second.last, *alone)
    assert done.code == 0, done.err
    assert torch.load(second.last, weights_only=True)["epoch"] == epoch + 1


@pytest.mark.ci
@pytest.mark.slow
def test_more_real_kills(
    tmp_path: Path, forked: Callable, children: Callable, wait_until: Callable, is_gone: Callable
) -> None:
    """One process dies before training begins, one is launched by torchrun, and one gets SIGTERM."""
    (tmp_path / "site").mkdir()
    dies = "import os\nif os.environ.get('LOCAL_RANK') == '1':\n    os.kill(os.getpid(), 9)\n"
    (tmp_path / "site/sitecustomize.py").write_text(dies)
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    unborn = Training(forked, tmp_path / "unborn", PYTHONPATH=path)
    stopped = Training(forked, tmp_path / "stopped")
    left = stopped.end(children, wait_until, first=True, by=signal.SIGTERM)
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    torchrun = Training(forked, tmp_path / "torchrun", *launcher)
    left += torchrun.end(children, wait_until, first=False)
    assert [job.process.wait(60) for job in (unborn, stopped, torchrun)] == [1, 143, 1]
    wait_until(lambda: all(map(is_gone, left)))
    (told,) = unborn.errors()
    assert told.startswith("error: process 1 of 2 was ended by SIGKILL")
    told = stopped.process.err.read_text()
    assert f"continue with: {hints.command_line('fit', '--ckpt_path', 'last')}" in told
    assert not stopped.errors()
    assert "SIGKILL" in torchrun.process.err.read_text()
