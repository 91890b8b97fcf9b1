"""A file takes its place once it is complete."""

import errno
from pathlib import Path

import pytest

from spam_classifier.errors import UserError, one_line_errors
from spam_classifier.files import atomic_write

FULL = OSError(errno.ENOSPC, "No space left on device")  # a write names no file


def write_half(path: Path, failure: BaseException) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text("half of")
        raise failure


@pytest.mark.parametrize("failure", [FULL, ValueError("no number"), KeyboardInterrupt()])
def test_failure_leaves_the_former_file(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "table.csv"
    path.write_text("former")
    with pytest.raises(UserError if failure is FULL else type(failure)) as caught:
        write_half(path, failure)
    if failure is FULL:
        assert f"cannot write {path} (No space left on device)" in str(caught.value)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("table.csv", "former")]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_failing_disk_is_one_line_wherever_it_fails(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise OSError(number, "told by the system")
    assert ended.value.code == 1
    assert "told by the system: check the output directory" in capsys.readouterr().err


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(OSError, match="refused"), one_line_errors():
        raise OSError(errno.ECONNREFUSED, "refused")
