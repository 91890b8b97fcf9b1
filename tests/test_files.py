"""A file takes its place when it is whole."""

import errno
from pathlib import Path

import pytest

from spam_classifier.errors import UserError, one_line_errors
from spam_classifier.files import atomic_write, writing

FULL = OSError(errno.ENOSPC, "No space left on device")  # as a write raises it: of no file


def write_half(path: Path, failure: BaseException) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text("half of")
        raise failure


@pytest.mark.parametrize("failure", [FULL, ValueError("no number"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_failure(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "table.csv"
    path.write_text("former")
    with pytest.raises(UserError if failure is FULL else type(failure)):
        write_half(path, failure)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("table.csv", "former")]


def test_the_file_and_the_reason_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as full, writing(tmp_path / "table.csv"):
        raise FULL
    assert f"cannot write {tmp_path}/table.csv (No space left on device)" in str(full.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_is_told_in_one_line_wherever_it_fails(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise OSError(number, "told by the system")
    assert ended.value.code == 1
    assert "told by the system: check the output directory" in capsys.readouterr().err


def test_what_no_user_can_mend_keeps_its_traceback() -> None:
    with pytest.raises(OSError, match="refused"), one_line_errors():
        raise OSError(errno.ECONNREFUSED, "refused")
