"""A file of verdicts: whole or not there, and gone on with where a run was killed.

What is written stands in FILE.incomplete until it is whole. Beside it FILE.incomplete.json says of what it is, and how
far it goes; a run of the same goes on from there. What was rejected stands in FILE.rejected.csv. Meanwhile
FILE.incomplete.lock is held: two runs that write the same file would spoil it.
"""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from spam_classifier.data.rows import Input, Rejected, Row
from spam_classifier.errors import UserError
from spam_classifier.files import locked, writing
from spam_classifier.inference.classifier import Prediction
from spam_classifier.judging.growing_file import GrowingFile
from spam_classifier.judging.verdict_columns import (
    csv_lines,
    is_verdict_column,
    json_lines,
    verdict_columns,
    verdict_values,
)

SUFFIXES = (".csv", ".jsonl", ".parquet")


class Tally(NamedTuple):
    """How far a run is: rows read, judged and rejected, and of the judged ones those whose text was cut."""

    read: int = 0
    judged: int = 0
    rejected: int = 0
    truncated: int = 0


def check_output(path: Path, input_path: Path | None, overwrite: bool) -> None:
    """Refuse what can't be written, before any work.

    Args:
        path: Where verdicts are to go.
        input_path: Where the texts come from, if from a file.
        overwrite: Whether a file may be replaced.

    Raises:
        UserError: The format is unknown, the directory is missing, or the file is there already or is the input.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"--output {path}: unknown format; accepted are {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UserError(f"--output {path}: there is no directory {path.parent}; make it first")
    if path.is_dir():
        raise UserError(f"--output {path} is a directory: name a file")
    if input_path is not None and path.exists() and input_path.exists() and path.samefile(input_path):
        raise UserError(f"--output {path} is the input: name another file")
    own = [] if _incomplete(path).exists() else [rejected_path(path)]  # a kill while finishing may have left it
    for taken in (path, *own):
        if taken.exists() and not overwrite:
            raise UserError(f"{taken} is there already: move it, name another --output, or replace it with --overwrite")


def rejected_path(path: Path) -> Path:
    """Where the rows stand that could not be judged."""
    return path.with_name(path.name + ".rejected.csv")


class Output:
    """Verdicts on their way into a file.

    Args:
        path: The file.
        source: Where the rows come from.
        classes: Names of the classes in the order of their indices.
        settings: All that the verdicts hang on besides the input; as JSON.
        overwrite: Whether an unfinished file of something else may be replaced.

    Attributes:
        tally: How far the file goes that is gone on with; zero where it is begun.

    Raises:
        UserError: The columns can't be written side by side, there is an unfinished file that can't be gone on with, or
            another process is writing it, or has written it since ``check_output``.
    """

    def __init__(
        self, path: Path, source: Input, classes: Sequence[str], settings: dict[str, Any], overwrite: bool
    ) -> None:
        self.path, self.rejected = path, rejected_path(path)
        self.incomplete, self.incomplete_rejected = _incomplete(path), _incomplete(self.rejected)
        self.state_file, self._new_state_file, lock = (
            self.incomplete.with_name(self.incomplete.name + suffix) for suffix in (".json", ".json.new", ".lock")
        )
        self.kind, self.columns = path.suffix.lower(), verdict_columns(classes)
        _check_names(source, self.kind)
        own = {"input": source.identity, "columns": source.columns and list(source.columns)}
        self.settings = json.loads(json.dumps({**own, **settings}))
        self.resumable = source.identity is not None and self.kind != ".parquet"
        busy = f"another command is writing {path}: wait for it, or name another --output"
        self._lock = locked(lock, path, busy).lock
        try:
            if path.exists() and not overwrite:
                raise UserError(f"{path} is there by now: another command has written it; name another --output")
            state = self._state(overwrite)
            self.tally = Tally(*state["tally"])
            try:
                self._open(source, classes, state)
            except BaseException:
                self._clear()
                raise
        except BaseException:
            self._unlock()
            raise

    def _open(self, source: Input, classes: Sequence[str], state: dict[str, Any]) -> None:
        with writing(self.path):
            if self.resumable:
                self._keep(state)
            if self.kind == ".parquet":
                from spam_classifier.judging.parquet_output import ParquetOutput  # an extra, not always there

                assert source.columns is not None
                self.incomplete.unlink(missing_ok=True)
                self._table = ParquetOutput(self.incomplete, source.columns, source.schema, classes)
            else:
                self._lines = GrowingFile(self.incomplete, state["bytes"])
            self._rejections = GrowingFile(self.incomplete_rejected, state["rejected_bytes"])
            if not state["bytes"] and self.kind == ".csv":
                self._lines.append(csv_lines([[*(source.columns or []), *self.columns]]))
            if not state["rejected_bytes"]:
                self._rejections.append(csv_lines([[source.unit, "reason"]]))

    def append(
        self, rows: Sequence[Row], predictions: Sequence[Prediction], rejected: Sequence[Rejected], tally: Tally
    ) -> None:
        """Write a chunk, and how far the file goes with it."""
        with writing(self.path):
            if self.kind == ".parquet":
                self._table.append(rows, predictions)
            elif self.kind == ".csv":
                self._lines.append(
                    csv_lines([[*row.values, *verdict_values(own)] for row, own in zip(rows, predictions, strict=True)])
                )
            else:
                self._lines.append(json_lines(rows, predictions, self.columns))
            self._rejections.append(csv_lines(rejected))
            if self.resumable:
                sizes = {"bytes": self._lines.sync(), "rejected_bytes": self._rejections.sync()}
                self._keep({**sizes, "tally": tally})
        self.tally = tally

    def finish(self) -> None:
        """Give the file its name, now that it is whole."""
        with writing(self.path):
            self._close()
            if self.tally.rejected:
                self.incomplete_rejected.replace(self.rejected)
            else:
                self.incomplete_rejected.unlink()
                self.rejected.unlink(missing_ok=True)  # that of the file which is replaced
            self.incomplete.replace(self.path)
            self.state_file.unlink(missing_ok=True)
        self._unlock()

    def leave(self) -> None:
        """Leave off before the end: keep what another run can go on with, and nothing else."""
        with suppress(OSError):  # as of a full disk, which has been told by now
            self._close()
        self._clear()
        self._unlock()

    def _clear(self) -> None:
        """Remove what no run can go on with."""
        own = [self._new_state_file]
        if not self.resumable or not self.tally.read:
            own += [self.incomplete, self.incomplete_rejected, self.state_file]
        for path in own:
            with suppress(OSError):
                path.unlink()

    def _unlock(self) -> None:
        """Give the file free; who has opened its lock by now finds it without a name, and makes another."""
        with suppress(OSError):
            Path(self._lock.lock_file).unlink()
        self._lock.release()

    def _close(self) -> None:
        (self._table if self.kind == ".parquet" else self._lines).close()
        self._rejections.close()

    def _keep(self, state: dict[str, Any]) -> None:
        self._new_state_file.unlink(missing_ok=True)
        self._new_state_file.write_text(json.dumps({"settings": self.settings, **state}), encoding="utf-8")
        self._new_state_file.replace(self.state_file)

    def _state(self, overwrite: bool) -> dict[str, Any]:
        """What the unfinished file says of itself, if there is one of the same; else that of a new one."""
        begin = {"bytes": 0, "rejected_bytes": 0, "tally": Tally()}
        if not self.incomplete.exists():
            return begin
        state = _read_state(self.state_file)
        if self.resumable and state is not None and state["settings"] == self.settings:
            self._undo_half_a_finish()
            if self._reaches(state):
                return state
        if overwrite:
            return begin
        remedy = "delete it, name another --output, or replace it with --overwrite"
        if not self.resumable:
            what = "a .parquet" if self.kind == ".parquet" else "a run on typed or piped texts"
            raise UserError(
                f"{self.incomplete} is of a run that was stopped, and {what} can't be gone on with: {remedy}"
            )
        raise UserError(
            f"{self.incomplete} is of another run (another input, checkpoint or setting), or damaged: {remedy}"
        )

    def _undo_half_a_finish(self) -> None:
        if not self.incomplete_rejected.exists() and self.rejected.exists():
            self.rejected.replace(self.incomplete_rejected)

    def _reaches(self, state: dict[str, Any]) -> bool:
        paths = ((self.incomplete, "bytes"), (self.incomplete_rejected, "rejected_bytes"))
        if any(path.is_symlink() for path, _ in paths):  # no run of ours made it
            return False
        return all((path.stat().st_size if path.exists() else 0) >= state[size] for path, size in paths)


def _incomplete(path: Path) -> Path:
    return path.with_name(path.name + ".incomplete")


def _check_names(source: Input, kind: str) -> None:
    names = [] if source.columns is None else source.columns
    for name in names:
        if is_verdict_column(name):
            raise UserError(f"{source.name} has a column {name!r}, as verdicts have: rename it first")
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled and kind != ".csv":
        raise UserError(f"{source.name} has several columns {doubled[0]!r}, and {kind} takes one: make --output a .csv")


def _read_state(path: Path) -> dict[str, Any] | None:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        Tally(*state["tally"])
        return state if {"settings", "bytes", "rejected_bytes"} <= set(state) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
