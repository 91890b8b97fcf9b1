"""Training runs in processes of their own."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from spam_classifier.comparing.launch import RunFailed, RunStopped, launch_fit, launch_test, launched_run
from spam_classifier.runs.metrics import read_metrics

TINY = "model: {weights: random, layers: 2, width: 16, heads: 2, context: 64, token_position: last_real}\n"
TINY += "data: {corpus: sample, train_fraction: 0.05, validation_fraction: 0.02, padding: batch}\n"
TINY += "trainer: {accelerator: cpu, max_epochs: 2, enable_model_summary: false}\n"
ENDINGS = """
import os, signal
from lightning.pytorch import Callback

class Killed(Callback):
    def on_train_start(self, trainer, module):
        os.kill(os.getpid(), signal.SIGKILL)

class Crashed(Callback):
    def on_train_start(self, trainer, module):
        raise KeyError("a mistake\\nin the code")

class Silent(Callback):
    def on_train_start(self, trainer, module):
        os._exit(3)
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "endings_of_runs.py").write_text(ENDINGS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def test_a_fit_gets_its_seed_and_flags_and_tells_each_loss(config: Path, tmp_path: Path) -> None:
    losses: dict[int, float] = {}
    run = launch_fit(
        Path("tiny.yaml"),  # from the directory where the command was typed
        7,
        ["--data.batch_size", "4"],
        tmp_path / "run",
        on_validation=lambda number, loss: losses.update({number: loss}) is not None,
    )
    assert run == launched_run(tmp_path / "run") == tmp_path / "run/lightning_logs/version_0"
    settings = (run / "config.yaml").read_text()
    for said in ("seed_everything: 7", "split_seed: 7", "batch_size: 4"):
        assert said in settings
    assert list(losses) == [1, 2]
    assert min(losses.values()) == pytest.approx(read_metrics(run)["validation"]["loss"], abs=1e-6)
    launch_test(tmp_path / "run")
    assert read_metrics(run)["test"]["messages"]


def test_a_fit_is_stopped_after_a_validation(config: Path, tmp_path: Path) -> None:
    with pytest.raises(RunStopped):
        launch_fit(config, 1, [], tmp_path / "run", on_validation=lambda number, loss: True)
    assert "validation" not in read_metrics(tmp_path / "run/lightning_logs/version_0")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--data.corpus", "missing.csv"], "cannot read --data.corpus missing.csv"),
        (["--trainer.callbacks+=endings_of_runs.Crashed"], "KeyError: 'a mistake"),
        (["--trainer.callbacks+=endings_of_runs.Killed"], "SIGKILL, see"),
        (["--trainer.callbacks+=endings_of_runs.Silent"], "hidden states"),
        (["--trainer.fast_dev_run", "true", "--trainer.logger", "false"], "it left no run directory"),
    ],
)
def test_a_failure_is_one_line(config: Path, tmp_path: Path, flags: list[str], reason: str) -> None:
    with pytest.raises(RunFailed) as failure:
        launch_fit(config, 1, flags, tmp_path / "run")
    assert failure.value.reason.startswith(reason)
    assert str(failure.value).startswith(f"the run failed: {reason}")
    assert len(str(failure.value).splitlines()) == 1


@pytest.mark.ci
def test_a_run_ends_with_the_process_that_launched_it(config: Path, tmp_path: Path) -> None:
    code = "from pathlib import Path; from spam_classifier.comparing.launch import launch_fit\n"
    code += f"launch_fit(Path('tiny.yaml'), 1, ['--trainer.max_epochs', '100000'], Path({str(tmp_path / 'run')!r}))"
    command = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    output = tmp_path / "run/output.txt"
    deadline = time.monotonic() + 120
    while not (output.is_file() and "epoch 3/" in output.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    command.kill()
    command.wait()
    time.sleep(1)
    said = output.read_text()
    time.sleep(1)
    assert output.read_text() == said
