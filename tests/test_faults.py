"""A full disk, a directory that can't be written, NaN: one line, and no checkpoint is lost."""

import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor

from spam_classifier.training.module import SpamClassifier

EPOCH = 5  # steps
FIT = [
    *("fit", "--model.weights", "random", "--model.layers", "1", "--model.width", "32", "--model.heads", "1"),
    *("--model.context", "256", "--model.trainable", "all", "--data.corpus", "sample"),
    *("--data.padding", "batch", "--model.token_position", "last_real"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.limit_val_batches", "2"),
    *("--trainer.enable_model_summary", "false", "--trainer.limit_train_batches", str(EPOCH)),
]
GO_ON = ["fit", "--ckpt_path", "last"]
RUN = Path("lightning_logs/version_0")


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def one_line(outcome: object) -> str:
    """The error of a command, which must fail with one line and no traceback."""
    code, _, err = outcome  # type: ignore[misc]
    assert code == 1, err
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    return line


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """Let writes fail once a file has this many bytes, as on a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Mount a disk at ``disk``, or remount it, with options; skips if that is not allowed."""
    where = tmp_path / "disk"
    where.mkdir()

    def mount_with(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", where]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no disk can be mounted here")

    yield mount_with
    if where.is_mount():
        subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.slow
def test_full_disk_leaves_the_previous_checkpoint(train: Callable, tmp_path: Path) -> None:
    assert train(*FIT, "--trainer.max_epochs", 1).code == 0
    before = contents(tmp_path / RUN / "checkpoints")
    with no_file_over(1_000_000):
        line = one_line(train(*GO_ON, "--trainer.max_epochs", 2))
    assert re.search("cannot write .*checkpoints/.*check its directory and the free space", line)
    assert contents(tmp_path / RUN / "checkpoints") == before
    assert train(*GO_ON, "--trainer.max_epochs", 2).code == 0
    assert torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 2 * EPOCH


@pytest.mark.parametrize(
    ("room", "file"), [("16k", ""), ("5m", "best-"), ("20m", "last.ckpt")], ids=["first step", "best", "last"]
)
def test_disk_that_fills_up(train: Callable, mount: Callable, tmp_path: Path, room: str, file: str) -> None:
    mount(f"size={room}")
    line = one_line(train(*FIT, "--trainer.max_epochs", 1, "--trainer.default_root_dir", "disk"))
    assert f"{tmp_path}/disk/lightning_logs" in line
    assert file in line
    assert not list((tmp_path / "disk").rglob("*.incomplete"))
    if not file:
        assert not list((tmp_path / "disk").rglob("version_*"))


@pytest.mark.slow
def test_directory_that_cannot_be_written(train: Callable, mount: Callable, tmp_path: Path) -> None:
    mount("size=100m")
    here = ["--trainer.default_root_dir", "disk"]
    assert train(*FIT, "--trainer.max_epochs", 1, *here).code == 0
    before = contents(tmp_path / "disk")
    mount("remount,ro")
    for command in ([*FIT, *here], [*GO_ON, "--trainer.max_epochs", 2, *here], ["test", *here]):
        line = one_line(train(*command))
        assert f"cannot write {tmp_path}/disk/lightning_logs" in line
        assert "Read-only file system" in line
    assert contents(tmp_path / "disk") == before


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Make the loss of one training batch NaN, or its gradients infinite."""
    former, batches = SpamClassifier.cross_entropy, count(1)

    def choose(what: str, place: int) -> None:
        def cross_entropy(self: SpamClassifier, logits: Tensor, labels: Tensor) -> Tensor:
            loss = former(self, logits, labels)
            if self.training and next(batches) == place:
                if what == "loss":
                    return loss * float("nan")
                loss.register_hook(lambda gradient: gradient * float("inf"))
            return loss

        monkeypatch.setattr(SpamClassifier, "cross_entropy", cross_entropy)

    return choose


@pytest.mark.parametrize(
    ("what", "batch", "flags", "told"),
    [
        ("loss", EPOCH + 2, [], f"the loss of step {EPOCH + 2} (epoch 2) is not"),
        ("gradients", EPOCH + 2, [], f"step {EPOCH + 2} has made the weights NaN or infinite"),
        ("gradients", 2 * EPOCH, [], f"the validation loss at step {2 * EPOCH} is not"),
        ("gradients", 2 * EPOCH, ["--trainer.limit_val_batches", "0"], f"step {2 * EPOCH} has made the weights NaN"),
        ("loss", EPOCH + 3, ["--trainer.accumulate_grad_batches", "2"], "the loss of step 5 (epoch 2) is not"),
        ("loss", EPOCH + 2, ["--trainer.precision", "bf16-mixed"], f"the loss of step {EPOCH + 2} (epoch 2) is not"),
    ],
)
def test_training_stops_at_nan_and_keeps_the_last_good_checkpoint(
    train: Callable, poison: Callable, what: str, batch: int, flags: list[str], told: str
) -> None:
    poison(what, batch)
    done = train(*FIT, "--trainer.max_epochs", 3, *flags)
    assert re.search(f"{re.escape(told)}.*lower --model.learning_rate", one_line(done))
    last = RUN / "checkpoints/last.ckpt"
    assert f"the last good checkpoint is kept: {last.resolve()}" in done.err
    for path in last.parent.iterdir():
        checkpoint = torch.load(path, weights_only=True)
        assert checkpoint["epoch"] == 0
        assert all(value.isfinite().all() for value in checkpoint["state_dict"].values() if value.is_floating_point())


def test_no_run_is_kept_if_it_begins_with_nan(train: Callable, poison: Callable) -> None:
    poison("loss", 1)
    assert "the loss of step 1 (epoch 1)" in one_line(train(*FIT))
    assert not Path("lightning_logs").exists()
