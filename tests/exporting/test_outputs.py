"""An export is whole or absent, and replaces nothing."""

from pathlib import Path

import pytest

from spam_classifier.errors import UserError
from spam_classifier.exporting.outputs import complete


def write(file: Path, text: str) -> None:
    beside = file.with_name(f"{file.name}.data")
    with complete(file, beside) as written:
        (written / file.name).mkdir()
        (written / file.name / "a.txt").write_text(text)
        (written / "other").touch()
        if text == "fails":
            raise OSError(28, "no space left", file.name)
        (written / beside.name).write_text(text)


def test_all_appear_with_their_parents(tmp_path: Path) -> None:
    write(tmp_path / "x/y", "new")
    assert (tmp_path / "x/y/a.txt").read_text() == (tmp_path / "x/y.data").read_text() == "new"
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"y", "y.data"}


@pytest.mark.parametrize("taken", ["y", "y.data"])
def test_nothing_is_replaced(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("former")
    with pytest.raises(UserError, match=rf"{taken} exists already: remove it, or name another place"):
        write(tmp_path / "y", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["former"]


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"cannot write {tmp_path}/y \(no space"):
        write(tmp_path / "y", "fails")
    assert not list(tmp_path.iterdir())


def test_leftovers_of_a_killed_export_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".y.incomplete/y").mkdir(parents=True)
    write(tmp_path / "y", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"y", "y.data"}
