"""Which checkpoint a command takes, and what is refused as one."""

import os
import zipfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2_classifier import backbone_structure
from spam_classifier.runs.check import DEFAULTS, read_checkpoint
from spam_classifier.runs.find import find_checkpoint, run_directory
from spam_classifier.training.module import SpamClassifier


def tensors() -> dict[str, torch.Tensor]:
    """The state of the smallest possible model."""
    model = SpamClassifier("random", layers=1, width=1, heads=1)
    backbone = backbone_structure(model.shape, model.hparams).state_dict()
    decision = {"temperature": 1.0, "threshold": 0.5, "fitted_step": -1}
    return {
        **{f"backbone.{name}": torch.zeros(tensor.shape) for name, tensor in backbone.items()},
        **{"head.weight": torch.arange(2.0)[:, None], "head.bias": torch.zeros(2)},
        **{f"decision.{name}": torch.tensor(value) for name, value in decision.items()},
    }


OURS: dict[str, Any] = {
    "state_dict": tensors(),
    "global_step": 42,
    "hyper_parameters": {
        "label_names": ["ham", "spam"],
        "padded_length": 120,
        "keep": "head",
        "token_position": "last",
        "max_length": 120,
        "class_weights": [1.0, 1.0],
        "threshold": 0.5,
        "trainable": "last_block",
        **{"layers": 1, "width": 1, "heads": 1, "context": 1024},
    },
}


def put(root: Path, run: str, name: str, modified: int) -> Path:
    """A checkpoint of a run, last modified that many seconds after some moment."""
    path = root / "lightning_logs" / run / "checkpoints" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (1_700_000_000 + modified,) * 2)
    return path


@pytest.mark.parametrize(
    ("which", "files", "found"),  # names from the oldest to the newest
    [
        *((which, ["9/best-0", "9/last", "2/best-3", "2/last"], "2/best-3") for which in (None, "best")),
        ("last", ["0/best-0", "1/best-0", "1/last", "0/last"], "0/last"),  # the newest run is the one written to last
        ("best", ["0/best-2", "0/best-1"], "0/best-1"),
        *((which, ["0/last"], "0/last") for which in (None, "best")),  # no validation yet
        *((which, ["0/epoch=0", "0/epoch=1"], "0/epoch=1") for which in (None, "best")),  # a Trainer of the user's own
    ],
)
def test_best_and_last_of_the_newest_run(tmp_path: Path, which: str | None, files: list[str], found: str) -> None:
    paths = {}
    for modified, file in enumerate(files):
        run, _, name = file.partition("/")
        paths[file] = put(tmp_path, f"version_{run}", f"{name}.ckpt", modified)
    (tmp_path / "lightning_logs" / "version_10" / "checkpoints").mkdir(parents=True)  # of a run without a checkpoint
    assert find_checkpoint(which, tmp_path) == paths[found]


def test_a_path(tmp_path: Path) -> None:
    put(tmp_path, "version_0", "last.ckpt", 1)
    elsewhere = tmp_path / "elsewhere.ckpt"
    elsewhere.touch()
    assert find_checkpoint(str(elsewhere), tmp_path) == elsewhere


@pytest.mark.parametrize("which", [None, "best", "last"])
def test_no_run_at_all(tmp_path: Path, which: str | None) -> None:
    with pytest.raises(UserError, match=r"no run with a checkpoint under .*lightning_logs: train one first"):
        find_checkpoint(which, tmp_path)


@pytest.mark.parametrize("name", ["missing.ckpt", "."])
def test_a_path_without_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(UserError) as refusal:
        find_checkpoint(str(path), tmp_path)
    assert str(refusal.value).startswith(f"--ckpt_path {path}: no such file")


def test_last_of_a_run_that_has_none(tmp_path: Path) -> None:
    put(tmp_path, "version_0", "best-epoch0.ckpt", 1)
    with pytest.raises(UserError, match=r"the run keeps no .*last\.ckpt"):
        find_checkpoint("last", tmp_path)


@pytest.mark.parametrize("older", [[], ["version_0"]])
def test_last_of_a_run_that_was_killed_before_its_first_checkpoint(tmp_path: Path, older: list[str]) -> None:
    for run in older:
        put(tmp_path, run, "last.ckpt", 1)
    config = tmp_path / "lightning_logs/version_1/config.yaml"
    config.parent.mkdir(parents=True)
    config.touch()
    with pytest.raises(UserError) as refusal:
        find_checkpoint("last", tmp_path)
    assert f"start it again with python -m spam_classifier.train fit --config {config}" in str(refusal.value)
    for run in older:
        assert find_checkpoint("best", tmp_path).parents[1].name == run
    own = put(tmp_path, "version_1", "last.ckpt", 2)
    assert find_checkpoint("last", tmp_path) == own


def test_the_run_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = put(tmp_path, "version_0", "last.ckpt", 1)
    monkeypatch.chdir(checkpoint.parent)
    expected = tmp_path.resolve() / "lightning_logs" / "version_0"
    assert run_directory(checkpoint) == run_directory(Path("last.ckpt")) == expected


def test_a_checkpoint_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ours.ckpt"
    torch.save(OURS, path)
    contents = read_checkpoint(path)
    assert contents["hyper_parameters"] == {**DEFAULTS, **OURS["hyper_parameters"]}
    assert torch.equal(contents["state_dict"]["head.weight"], OURS["state_dict"]["head.weight"])


def refused(path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        read_checkpoint(path)
    assert str(refusal.value).startswith(f"{path} is not a checkpoint of this classifier")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(range(256)) * 40, b"PK\x03\x04 cut short"])
def test_other_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bytes.ckpt"
    path.write_bytes(content)
    refused(path)
    refused(tmp_path / "missing.ckpt")
    refused(tmp_path)


@pytest.mark.parametrize("members", [{"readme.txt": "hello"}, {"archive/data.pkl": "", "archive/version": "3\n"}])
def test_another_zip_is_refused(tmp_path: Path, members: dict[str, str]) -> None:
    with zipfile.ZipFile(tmp_path / "zip.ckpt", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    refused(tmp_path / "zip.ckpt")


def test_a_checkpoint_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.ckpt"
    torch.save(OURS, path)
    whole = path.read_bytes()
    for kept in (len(whole) - 1, len(whole) // 2, 100):
        path.write_bytes(whole[:kept])
        refused(path)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"weight": torch.zeros(2)},
        {"state_dict": {}},
        {"hyper_parameters": OURS["hyper_parameters"]},
        {"state_dict": {}, "hyper_parameters": None},
        {"state_dict": {}, "hyper_parameters": {"label_names": ["ham", "spam"]}},
        torch.nn.Linear(2, 2),
        *([1, 2], "text", None, torch.zeros(2, 2)),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_other_torch_files_are_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    refused(path)


def test_another_projects_lightning_checkpoint_is_refused(tmp_path: Path) -> None:
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = pl.Trainer(accelerator="cpu", devices=1, max_steps=1, limit_val_batches=0, **quiet)
    trainer.fit(BoringModel())
    trainer.save_checkpoint(tmp_path / "boring.ckpt")
    refused(tmp_path / "boring.ckpt")
