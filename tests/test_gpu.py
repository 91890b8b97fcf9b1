"""The commands on a GPU; each is a process of its own.

``benchmarks/gpu.sh --try`` runs the same tests on a CPU: that shows that they run, and little about a GPU.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow

ACCELERATOR = os.environ.get("SPAM_CLASSIFIER_GPU_TESTS_ON", "gpu")
FIT = [
    *("spam_classifier.train", "fit", "--data.corpus", "sample", "--data.padding", "batch", "--data.max_length", 40),
    *("--data.train_fraction", 0.08),  # 49 steps
    *("--model.weights", "random", "--model.layers", 3, "--model.width", 32, "--model.heads", 2),
    *("--model.context", 64, "--model.token_position", "last_real", "--model.learning_rate", 1e-3),
    *("--trainer.accelerator", ACCELERATOR, "--trainer.devices", 1),
    *("--trainer.enable_progress_bar", "false", "--trainer.max_epochs"),
]
RESUME = ["spam_classifier.train", "fit", "--ckpt_path", "last", "--trainer.max_epochs", 2]
PREDICT = ["spam_classifier.predict", "You have won a prize, call now", "See you at seven?", "--accelerator"]
BF16 = ["--trainer.precision", "bf16-mixed"]
PLACE = {"gpu": "MB on the GPU", "cpu": "MB in memory"}[ACCELERATOR]
TF32 = """
import torch
from lightning.pytorch.callbacks import Callback

class TF32(Callback):
    def setup(self, trainer, pl_module, stage):
        torch.set_float32_matmul_precision("high")
"""


@pytest.fixture
def there(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a command that has to succeed in a process that sees the GPU."""
    process = request.getfixturevalue("command" if ACCELERATOR == "cpu" else "on_gpu")

    def there(*arguments: object, **options: Any) -> Any:
        done = process(*arguments, **options)
        assert done.code == 0, done.err
        return done

    return there


@pytest.fixture
def measure(there: Callable[..., Any], record_property: Callable[[str, object], None]) -> Callable[..., Any]:
    """Measure by tests/gpu_numbers.py, and keep the figures for the report of benchmarks/gpu.sh."""

    def measure(what: str, cwd: Path) -> dict[str, Any]:
        paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = there("gpu_numbers", what, ACCELERATOR, cwd=cwd, fresh=True, PYTHONPATH=paths)
        found = json.loads(done.out.splitlines()[-1])
        for name, value in found.items():
            record_property(name, value)
        return found

    return measure


@pytest.fixture
def within(record_property: Callable[[str, object], None]) -> Callable[[Path, Path, float], None]:
    """Compare the last weights of two directories' runs, and keep the difference for the report."""

    def within(one: Path, other: Path, bound: float) -> None:
        found = farthest(one, other)
        record_property("largest difference of a weight", f"{found:.1e}")
        record_property("bound", bound)
        assert found <= bound

    return within


def weights(directory: Path) -> dict[str, torch.Tensor]:
    (last,) = directory.rglob("last.ckpt")
    return torch.load(last, map_location="cpu", weights_only=True)["state_dict"]


def farthest(one: Path, other: Path) -> float:
    pairs = zip(weights(one).items(), weights(other).items(), strict=True)
    # the softmax ignores the keys' bias: Adam scales up the noise of a zero
    return max(float((a - b).abs().max()) for (name, a), (_, b) in pairs if not name.endswith("c_attn.bias"))


def directories(parent: Path, *names: str) -> list[Path]:
    made = [parent / name for name in names]
    for directory in made:
        directory.mkdir()
    return made


def test_a_run_of_a_gpu_is_used_there_and_on_the_cpu(there: Callable, tmp_path: Path) -> None:
    def rows(accelerator: str) -> list[list[str]]:
        done = there(*PREDICT, accelerator, cwd=tmp_path)
        return [line.split("\t") for line in done.out.splitlines() if "\t" in line]

    for arguments in ([*FIT, 1], ["spam_classifier.train", "test"]):
        there(*arguments, cwd=tmp_path)
    of_gpu, of_cpu = rows(ACCELERATOR), rows("cpu")
    assert len(of_gpu) == 2
    assert [row[0] for row in of_gpu] == [row[0] for row in of_cpu]
    for one, other in zip(of_gpu, of_cpu, strict=True):
        assert float(one[1].rstrip("%")) == pytest.approx(float(other[1].rstrip("%")), abs=0.02)


def test_probabilities_are_those_of_the_cpu(there: Callable, measure: Callable, tmp_path: Path) -> None:
    there(*FIT, 1, cwd=tmp_path)
    bounds = {"float32": 1e-5, "TF32": 1e-3, "bf16-mixed": 1e-2}
    for precision, off in measure("probabilities", tmp_path).items():
        assert off <= bounds[precision], precision


def test_a_step_from_kept_states_is_the_cpus_and_does_not_make_the_host_wait(measure: Callable, tmp_path: Path) -> None:
    found = measure("step", tmp_path)
    assert PLACE.endswith(found["place"])
    assert found["loss"] <= 1e-5
    assert found["gradients"] <= 1e-4


@pytest.mark.parametrize(("flags", "bound"), [([], 1e-4), (BF16, 2e-2)], ids=["float32", "bf16-mixed"])
def test_reused_states_train_the_same_weights(
    there: Callable, within: Callable, tmp_path: Path, flags: list[str], bound: float
) -> None:
    auto, off = directories(tmp_path, "auto", "off")
    for directory in (auto, off):
        done = there(*FIT, 1, "--model.frozen_prefix", directory.name, *flags, cwd=directory)
        assert done.err.count(PLACE) == (2 if directory == auto else 0)  # of training and validation
    within(auto, off, bound)


@pytest.mark.parametrize(("flags", "bound"), [([], 1e-4), (BF16, 2e-2)], ids=["float32", "bf16-mixed"])
def test_an_epoch_after_moving_to_the_cpu_is_that_of_the_gpu(
    there: Callable, within: Callable, tmp_path: Path, flags: list[str], bound: float
) -> None:
    """From the same checkpoint: random weights that are drawn on a GPU are others than on a CPU."""
    stayed, moved = directories(tmp_path, "stayed", "moved")
    for directory, accelerator in ((stayed, ACCELERATOR), (moved, "cpu")):
        there(*FIT, 1, *flags, cwd=directory)
        there(*RESUME, "--trainer.accelerator", accelerator, cwd=directory)
    within(stayed, moved, bound)


def test_tf32_is_recorded_and_trains_nearly_the_same_weights(there: Callable, within: Callable, tmp_path: Path) -> None:
    exact, rough = directories(tmp_path, "exact", "rough")
    (rough / "my_callbacks.py").write_text(TF32)
    there(*FIT, 1, cwd=exact)
    paths = os.pathsep.join([str(rough), *filter(None, [os.environ.get("PYTHONPATH")])])
    there(*FIT, 1, "--trainer.callbacks", "my_callbacks.TF32", cwd=rough, fresh=True, PYTHONPATH=paths)
    for directory, products in ((exact, "ieee on CUDA"), (rough, "tf32 on CUDA")):
        (metrics,) = directory.rglob("metrics.json")
        assert products in metrics.read_text()
    within(exact, rough, 2e-2)


def test_ddp_of_one_process_trains_the_same_weights(there: Callable, within: Callable, tmp_path: Path) -> None:
    alone, ddp = directories(tmp_path, "alone", "ddp")
    there(*FIT, 1, cwd=alone)
    done = there(*FIT, 1, "--trainer.strategy", "ddp", cwd=ddp)
    assert PLACE in done.err
    within(alone, ddp, 1e-5)


def test_a_resumed_run_ends_like_one_that_was_not_stopped(there: Callable, within: Callable, tmp_path: Path) -> None:
    whole, resumed = directories(tmp_path, "whole", "resumed")
    flags = ["--model.trainable", "all", "--model.dropout", 0.1]
    there(*FIT, 2, *flags, cwd=whole)
    there(*FIT, 1, *flags, cwd=resumed)
    there(*RESUME, cwd=resumed)
    within(whole, resumed, 1e-5)
