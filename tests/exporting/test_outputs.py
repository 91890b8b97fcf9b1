"""An export is whole or absent, and replaces nothing else."""

from pathlib import Path

import pytest

from spam_classifier.errors import UserError
from spam_classifier.exporting.outputs import whole_directory, whole_files


def write_directory(directory: Path, text: str, *, overwrite: bool = False) -> None:
    with whole_directory(directory, ("a.txt", "b.txt", "sub", "sub/c.txt"), overwrite=overwrite) as written:
        (written / "a.txt").write_text(text)
        if text == "fails":
            raise OSError(28, "no space left", "a.txt")


def write_files(file: Path, text: str, *, overwrite: bool = False, data: bool = True) -> None:
    beside = file.with_name(f"{file.name}.data")
    with whole_files(file, [beside], overwrite=overwrite) as written:
        (written / file.name).write_text(text)
        if text == "fails":
            raise OSError(28, "no space left", file.name)
        if data:
            (written / beside.name).write_text(text)


def test_directory_appears_with_its_parents(tmp_path: Path) -> None:
    write_directory(tmp_path / "x/y", "new")
    assert (tmp_path / "x/y/a.txt").read_text() == "new"
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["y"]


def test_directory_is_replaced_only_if_asked(tmp_path: Path) -> None:
    write_directory(tmp_path / "y", "former")
    (tmp_path / "y/b.txt").touch()
    with pytest.raises(UserError, match=r"y exists already: .* --overwrite"):
        write_directory(tmp_path / "y", "new")
    assert (tmp_path / "y/a.txt").read_text() == "former"
    write_directory(tmp_path / "y", "new", overwrite=True)
    assert [path.name for path in (tmp_path / "y").iterdir()] == ["a.txt"]
    assert (tmp_path / "y/a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["y"]


def test_directory_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "y").mkdir()
    (tmp_path / "y/thesis.tex").touch()
    with pytest.raises(UserError, match=r"holds thesis.tex, which is not of an export"):
        write_directory(tmp_path / "y", "new", overwrite=True)
    write_directory(tmp_path / "z", "former")
    (tmp_path / "z/sub").mkdir()
    (tmp_path / "z/sub/own.onnx").touch()
    with pytest.raises(UserError, match=r"holds sub/own.onnx, which is not of an export"):
        write_directory(tmp_path / "z", "new", overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not a directory"):
        write_directory(tmp_path / "file", "new", overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        *("a.txt", "file", "own.onnx", "sub", "thesis.tex", "y", "z")
    ]


@pytest.mark.parametrize("write", [write_directory, write_files])
def test_nothing_is_left_of_a_failure(tmp_path: Path, write: object) -> None:
    write(tmp_path / "y", "former")  # type: ignore[operator]
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    for name in ("y", "new"):
        with pytest.raises(UserError, match=rf"cannot write {tmp_path}/{name} \(no space"):
            write(tmp_path / name, "fails", overwrite=True)  # type: ignore[operator]
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_leftovers_of_a_killed_export_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".y.incomplete/written").mkdir(parents=True)
    write_directory(tmp_path / "y", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["y"]


def test_files_are_replaced_together_and_only_if_asked(tmp_path: Path) -> None:
    file = tmp_path / "m"
    write_files(file, "former")
    for name in ("m", "m.data"):
        with pytest.raises(UserError, match=rf"{name} exists already: .* --overwrite"):
            write_files(file, "new")
        (tmp_path / name).unlink()
    write_files(file, "former")
    write_files(file, "new", overwrite=True, data=False)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"m": "new"}
    (tmp_path / "m.data").mkdir()
    with pytest.raises(UserError, match="is a directory"):
        write_files(file, "new", overwrite=True)
