"""Which checkpoint a command takes, and what is refused as one."""

import io
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel

from spam_classifier import hints
from spam_classifier.errors import UserError
from spam_classifier.runs.check import DEFAULTS, read_checkpoint
from spam_classifier.runs.find import find_checkpoint, flags_for, run_directory


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


@pytest.mark.parametrize("which", [None, "best", "last"])
def test_no_run_at_all(tmp_path: Path, which: str | None) -> None:
    with pytest.raises(UserError, match=r"no run with a checkpoint under .*lightning_logs: train one first"):
        find_checkpoint(which, tmp_path)


def test_a_run_is_named_by_its_directory_or_a_checkpoint(tmp_path: Path) -> None:
    best = put(tmp_path, "version_0", "best-epoch0.ckpt", 1)
    last = put(tmp_path, "version_0", "last.ckpt", 2)
    for directory in (last.parents[1], last.parent):
        assert find_checkpoint(str(directory), tmp_path) == best
        assert find_checkpoint(directory, tmp_path, of_run="last") == last
    assert find_checkpoint(str(last), tmp_path) == last
    for path, remedy in (
        (tmp_path / "elsewhere.ckpt", "no such run or checkpoint; --ckpt_path takes"),
        (tmp_path / "lightning_logs/version_1", "no such run or checkpoint; did you mean version_0?"),
        (tmp_path, f"holds no checkpoint; for the newest run in it use --root {tmp_path}"),
        (tmp_path / "lightning_logs", "holds no checkpoint; name a run directory"),
    ):
        with pytest.raises(UserError, match=re.escape(remedy)):
            find_checkpoint(str(path), tmp_path)


def test_a_checkpoint_is_named_by_the_shortest_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "version_0", "best-epoch0.ckpt", 1)
    older = put(tmp_path, "version_0", "last.ckpt", 2)
    newer = put(tmp_path, "version_1", "last.ckpt", 3)
    for here, checkpoint, of_run, flags in (
        (".", newer, None, []),
        (".", newer, "last", ["--ckpt_path", "last"]),
        ("..", newer, None, ["--root", tmp_path.name]),
        (".", older, None, ["--ckpt_path", "lightning_logs/version_0/checkpoints/last.ckpt"]),
        (".", older, "last", ["--ckpt_path", "lightning_logs/version_0"]),
    ):
        monkeypatch.chdir(tmp_path / here)
        assert flags_for(checkpoint, of_run=of_run) == flags


def test_a_run_without_a_last_checkpoint(tmp_path: Path) -> None:
    put(tmp_path, "version_0", "best-epoch0.ckpt", 1)
    with pytest.raises(UserError, match=r"the run keeps no .*last\.ckpt"):
        find_checkpoint("last", tmp_path)


@pytest.mark.parametrize("older", [[], ["version_0"]])
def test_a_run_that_was_killed_before_its_first_checkpoint(tmp_path: Path, older: list[str]) -> None:
    for run in older:
        put(tmp_path, run, "last.ckpt", 1)
    config = tmp_path / "lightning_logs/version_1/config.yaml"
    config.parent.mkdir(parents=True)
    config.touch()
    with pytest.raises(
        UserError, match=re.escape(f"start it again with {hints.command_line('fit', '--config', config)}")
    ):
        find_checkpoint("last", tmp_path)
    for run in older:
        assert find_checkpoint("best", tmp_path).parents[1].name == run
    own = put(tmp_path, "version_1", "last.ckpt", 2)
    assert find_checkpoint("last", tmp_path) == own


def test_the_run_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = put(tmp_path, "version_0", "last.ckpt", 1)
    monkeypatch.chdir(checkpoint.parent)
    expected = tmp_path.resolve() / "lightning_logs" / "version_0"
    assert run_directory(checkpoint) == run_directory(Path("last.ckpt")) == expected


def test_a_checkpoint_is_read_and_older_settings_are_filled_in(tmp_path: Path, smallest_checkpoint: Callable) -> None:
    ours = smallest_checkpoint()
    older = {name: value for name, value in ours["hyper_parameters"].items() if name not in DEFAULTS}
    torch.save({**ours, "hyper_parameters": older}, tmp_path / "ours.ckpt")
    contents = read_checkpoint(tmp_path / "ours.ckpt")
    assert contents["hyper_parameters"] == {**DEFAULTS, **older}
    assert torch.equal(contents["state_dict"]["head.weight"], ours["state_dict"]["head.weight"])


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., None]:
    """Check that a file with these bytes, or what torch saves of something else, is refused."""

    def refused(content: object) -> None:
        path = tmp_path / "other.ckpt"
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        for other in (path, tmp_path / "missing.ckpt", tmp_path):
            with pytest.raises(UserError) as refusal:
                read_checkpoint(other)
            assert str(refusal.value).startswith(f"{other} is not a checkpoint of this classifier")
            assert "\n" not in str(refusal.value)

    return refused


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(range(256)) * 40, b"PK\x03\x04 cut short"])
def test_other_bytes_are_refused(refused: Callable, content: bytes) -> None:
    refused(content)


@pytest.mark.parametrize("members", [{"readme.txt": "hello"}, {"archive/data.pkl": "", "archive/version": "3\n"}])
def test_another_zip_is_refused(refused: Callable, members: dict[str, str]) -> None:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    refused(file.getvalue())


def test_a_checkpoint_cut_short_is_refused(refused: Callable, smallest_checkpoint: Callable) -> None:
    torch.save(smallest_checkpoint(), file := io.BytesIO())
    whole = file.getvalue()
    for kept in (len(whole) - 1, len(whole) // 2, 100):
        refused(whole[:kept])


@pytest.mark.parametrize(
    "content",
    [
        *({}, {"weight": torch.zeros(2)}, {"state_dict": {}}, {"state_dict": {}, "hyper_parameters": None}),
        {"state_dict": {}, "hyper_parameters": {"label_names": ["ham", "spam"]}},
        *(torch.nn.Linear(2, 2), [1, 2], "text", None, torch.zeros(2, 2)),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_other_torch_files_are_refused(refused: Callable, content: object) -> None:
    refused(content)


@pytest.mark.parametrize("part", ["state_dict", "hyper_parameters", "global_step"])
def test_a_checkpoint_without_one_of_its_parts_is_refused(
    refused: Callable, smallest_checkpoint: Callable, part: str
) -> None:
    refused({name: value for name, value in smallest_checkpoint().items() if name != part})


def test_another_projects_lightning_checkpoint_is_refused(tmp_path: Path, trainer: Callable, refused: Callable) -> None:
    run = trainer(max_steps=1, limit_val_batches=0)
    run.fit(BoringModel())
    run.save_checkpoint(tmp_path / "boring.ckpt")
    refused((tmp_path / "boring.ckpt").read_bytes())
