"""A file of predictions: complete or not there, and resumed after a kill.

Rows are written to FILE.incomplete, which is renamed when it is complete. FILE.incomplete.json holds the input, the
settings and the size so far, so that the same command can resume it. Rejected rows are listed in FILE.rejected.csv.
FILE.incomplete.lock is held meanwhile: two commands that write the same file would spoil it.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from spam_classifier.data.rows import Input, Rejected, Row
from spam_classifier.errors import UserError
from spam_classifier.files import atomic_write, locked, writing
from spam_classifier.inference.classifier import Prediction
from spam_classifier.judging.columns import (
    csv_lines,
    is_prediction_column,
    json_lines,
    prediction_columns,
    with_prediction,
)

SUFFIXES = (".csv", ".jsonl", ".parquet")
CSV_SEPARATORS = (",", ";")  # those of Excel's own .csv, by the country


class Tally(NamedTuple):
    """Numbers of rows."""

    read: int = 0
    classified: int = 0
    rejected: int = 0
    truncated: int = 0  # of the classified ones: their texts were cut
    unsure: int = 0  # of the classified ones: no label was probable enough

    def with_chunk(self, rows: int, predictions: Sequence[Prediction], rejected: Sequence[Rejected]) -> "Tally":
        """The numbers after a chunk of so many rows."""
        return Tally(
            self.read + rows,
            self.classified + len(predictions),
            self.rejected + len(rejected),
            self.truncated + sum(prediction.truncated for prediction in predictions),
            self.unsure + sum(prediction.label is None for prediction in predictions),
        )


def check_output(path: Path, input_path: Path | None, overwrite: bool) -> None:
    """Refuse a file to write, before any work: of an unknown format, without a directory, existing, or the input."""
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
    """The list of the rejected rows."""
    return path.with_name(path.name + ".rejected.csv")


class Output:
    """A file of predictions that is being written.

    Args:
        path: The file.
        source: The input.
        classes: Names of the classes in the order of their indices.
        settings: All that the predictions depend on besides the input; as JSON.
        overwrite: Whether an unfinished file of another run may be replaced.

    Attributes:
        tally: The rows in the file; at the start those of a run that is resumed.
    """

    def __init__(
        self, path: Path, source: Input, classes: Sequence[str], settings: dict[str, Any], overwrite: bool
    ) -> None:
        self.path, self.rejected = path, rejected_path(path)
        self.incomplete, self.incomplete_rejected = _incomplete(path), _incomplete(self.rejected)
        self.state_file = self.incomplete.with_name(f"{self.incomplete.name}.json")
        self.kind, self.columns = path.suffix.lower(), prediction_columns(classes)
        self.separator = source.separator if source.separator in CSV_SEPARATORS else ","
        self.mark = "\ufeff" if source.byte_order_mark else ""
        _check_names(source, self.kind)
        own = {"input": source.identity, "columns": source.columns and list(source.columns)}
        self.settings = json.loads(json.dumps({**own, **settings}))
        self.resumable = source.identity is not None and self.kind != ".parquet"
        busy = f"another command is writing {path}: wait for it, or name another --output"
        self._lock = locked(self.incomplete.with_name(f"{self.incomplete.name}.lock"), path, busy).lock
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
                from spam_classifier.judging.parquet_output import ParquetOutput  # an extra, which may be missing

                assert source.columns is not None
                self.incomplete.unlink(missing_ok=True)
                self._table = ParquetOutput(self.incomplete, source.columns, source.schema, classes)
            else:
                self._lines = _GrowingFile(self.incomplete, state["bytes"])
            self._rejections = _GrowingFile(self.incomplete_rejected, state["rejected_bytes"])
            if not state["bytes"] and self.kind == ".csv":
                header = [*(source.columns or []), *self.columns]
                self._lines.append(self.mark + csv_lines([header], self.separator))
            if not state["rejected_bytes"]:
                self._rejections.append(self.mark + csv_lines([[source.unit, "reason"]], self.separator))

    def append(
        self, rows: Sequence[Row], predictions: Sequence[Prediction], rejected: Sequence[Rejected], tally: Tally
    ) -> None:
        """Write a chunk, and ``tally``, which includes it."""
        with writing(self.path):
            if self.kind == ".parquet":
                self._table.append(rows, predictions)
            elif self.kind == ".csv":
                self._lines.append(csv_lines(list(map(with_prediction, rows, predictions)), self.separator))
            else:
                self._lines.append(json_lines(rows, predictions, self.columns))
            self._rejections.append(csv_lines([(row.place, row.reason) for row in rejected], self.separator))
            if self.resumable:
                sizes = {"bytes": self._lines.sync(), "rejected_bytes": self._rejections.sync()}
                self._keep({**sizes, "tally": tally})
        self.tally = tally

    def finish(self) -> None:
        """Rename the complete file."""
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
        """Stop before the end: keep what another run can resume, and nothing else."""
        with suppress(OSError):  # a full disk, which the user knows of by now
            self._close()
        self._clear()
        self._unlock()

    def _clear(self) -> None:
        """Remove what no run can resume."""
        if not self.resumable or not self.tally.read:
            for path in (self.incomplete, self.incomplete_rejected, self.state_file):
                with suppress(OSError):
                    path.unlink()

    def _unlock(self) -> None:
        """Release the lock. It is removed first: who has opened it by now finds that, and makes another."""
        with suppress(OSError):
            Path(self._lock.lock_file).unlink()
        self._lock.release()

    def _close(self) -> None:
        (self._table if self.kind == ".parquet" else self._lines).close()
        self._rejections.close()

    def _keep(self, state: dict[str, Any]) -> None:
        with atomic_write(self.state_file) as unfinished:
            unfinished.write_text(json.dumps({"settings": self.settings, **state}), encoding="utf-8")

    def _state(self, overwrite: bool) -> dict[str, Any]:
        """The state of the unfinished file, if there is one and it can be resumed; else that of a new one."""
        begin = {"bytes": 0, "rejected_bytes": 0, "tally": Tally()}
        if not self.incomplete.exists():
            return begin
        state = _read_state(self.state_file)
        if self.resumable and state is not None and state["settings"] == self.settings:
            if not self.incomplete_rejected.exists() and self.rejected.exists():  # killed while finishing
                self.rejected.replace(self.incomplete_rejected)
            paths = ((self.incomplete, "bytes"), (self.incomplete_rejected, "rejected_bytes"))
            if all(_has_bytes(path, state[size]) for path, size in paths):
                return state
        if overwrite:
            return begin
        remedy = "delete it, name another --output, or replace it with --overwrite"
        if not self.resumable:
            what = "a .parquet" if self.kind == ".parquet" else "a run on typed or piped texts"
            raise UserError(f"{self.incomplete} is of a run that was stopped, and {what} can't be resumed: {remedy}")
        raise UserError(
            f"{self.incomplete} is of another run (another input, checkpoint or setting), or damaged: {remedy}"
        )


class _GrowingFile:
    """Text appended to a file, after its first ``offset`` bytes; what follows them is cut off."""

    def __init__(self, path: Path, offset: int) -> None:
        if not offset:
            path.unlink(missing_ok=True)  # where it is a link, it may lead anywhere
        self._file = path.open("r+b" if offset else "xb")
        self._file.truncate(offset)
        self._file.seek(offset)

    def append(self, text: str) -> None:
        # What UTF-8 can't hold, as in the name of a file, is written as an escape.
        self._file.write(text.encode("utf-8", "backslashreplace"))

    def sync(self) -> int:
        """Write it to the disk; returns its size in bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def _incomplete(path: Path) -> Path:
    return path.with_name(path.name + ".incomplete")


def _has_bytes(path: Path, least: int) -> bool:
    return not path.is_symlink() and (path.stat().st_size if path.exists() else 0) >= least  # a link is not ours


def _check_names(source: Input, kind: str) -> None:
    names = source.columns or []
    for name in names:
        if is_prediction_column(name):
            raise UserError(f"{source.name} has a column {name!r}, which the output adds itself: rename it first")
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
