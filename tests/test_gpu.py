"""The commands on a GPU; each is a process of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

FIT = [
    *("spam_classifier.train", "fit", "--data.corpus", "sample", "--data.padding", "batch", "--data.max_length", 40),
    *("--model.weights", "random", "--model.layers", 3, "--model.width", 32, "--model.heads", 2),
    *("--model.context", 64, "--model.token_position", "last_real", "--model.learning_rate", 1e-3),
    *("--trainer.accelerator", "gpu", "--trainer.devices", 1, "--trainer.limit_train_batches", 40),
    *("--trainer.enable_progress_bar", "false", "--trainer.max_epochs"),
]
PREDICT = ["spam_classifier.predict", "You have won a prize, call now", "See you at seven?", "--accelerator"]


def weights(directory: Path) -> dict[str, torch.Tensor]:
    (last,) = directory.rglob("last.ckpt")
    return torch.load(last, map_location="cpu", weights_only=True)["state_dict"]


def farthest(one: Path, other: Path) -> float:
    pairs = zip(weights(one).items(), weights(other).items(), strict=True)
    # the softmax ignores the keys' bias: Adam scales up the noise of a zero
    return max(float((a - b).abs().max()) for (name, a), (_, b) in pairs if not name.endswith("c_attn.bias"))


def test_a_run_of_a_gpu_is_used_there_and_on_the_cpu(on_gpu: Callable, tmp_path: Path) -> None:
    def rows(accelerator: str) -> list[list[str]]:
        done = on_gpu(*PREDICT, accelerator, cwd=tmp_path)
        assert done.code == 0, done.err
        return [line.split("\t") for line in done.out.splitlines() if "\t" in line]

    for arguments in ([*FIT, 1], ["spam_classifier.train", "test"]):
        done = on_gpu(*arguments, cwd=tmp_path)
        assert done.code == 0, done.err
    there, here = rows("gpu"), rows("cpu")
    assert len(there) == 2
    assert [row[0] for row in there] == [row[0] for row in here]
    for one, other in zip(there, here, strict=True):
        assert float(one[1].rstrip("%")) == pytest.approx(float(other[1].rstrip("%")), abs=0.02)


@pytest.mark.parametrize(
    ("flags", "tolerance"), [([], 1e-4), (["--trainer.precision", "bf16-mixed"], 1e-2)], ids=["float32", "bf16-mixed"]
)
def test_reused_states_train_the_same_weights(
    on_gpu: Callable, tmp_path: Path, flags: list[str], tolerance: float
) -> None:
    for reuse in ("auto", "off"):
        (tmp_path / reuse).mkdir()
        done = on_gpu(*FIT, 1, "--model.frozen_prefix", reuse, *flags, cwd=tmp_path / reuse)
        assert done.code == 0, done.err
    assert farthest(tmp_path / "auto", tmp_path / "off") <= tolerance


def test_a_resumed_run_ends_like_one_that_was_not_stopped(on_gpu: Callable, tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    flags = ["--model.trainable", "all", "--model.dropout", 0.1]
    for directory in (whole, resumed):
        directory.mkdir()
    for directory, arguments in (
        (whole, [*FIT, 2, *flags]),
        (resumed, [*FIT, 1, *flags]),
        (resumed, ["spam_classifier.train", "fit", "--ckpt_path", "last", "--trainer.max_epochs", 2]),
    ):
        done = on_gpu(*arguments, cwd=directory)
        assert done.code == 0, done.err
    assert farthest(whole, resumed) <= 1e-5
