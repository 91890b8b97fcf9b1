"""A file of predictions, written as FILE.incomplete until it is complete; rejected rows go to FILE.rejected.csv."""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TextIO

from spam_classifier.data.rows import Input, Rejected, Row
from spam_classifier.errors import UserError
from spam_classifier.files import writing
from spam_classifier.inference.classifier import Prediction
from spam_classifier.judging.columns import (
    csv_lines,
    is_prediction_column,
    json_lines,
    prediction_columns,
    with_prediction,
)

SUFFIXES = (".csv", ".jsonl")
CSV_SEPARATORS = (",", ";")  # those of Excel's own .csv, by the country


class Tally(NamedTuple):
    """Numbers of rows."""

    read: int = 0
    classified: int = 0
    rejected: int = 0
    truncated: int = 0  # of the classified ones: their texts were cut
    unsure: int = 0  # of the classified ones: no label was probable enough

    def with_chunk(self, predictions: Sequence[Prediction], rejected: Sequence[Rejected]) -> "Tally":
        """The numbers after a chunk."""
        return Tally(
            self.read + len(predictions) + len(rejected),
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
    for taken in (path, rejected_path(path), _incomplete(path)):
        if taken.exists() and not overwrite:
            raise UserError(f"{taken} is there already: move it, name another --output, or replace it with --overwrite")


def rejected_path(path: Path) -> Path:
    """The list of the rejected rows."""
    return path.with_name(path.name + ".rejected.csv")


class Output:
    """A file of predictions that is being written; ``source`` is the input, ``classes`` the names of the classes."""

    def __init__(self, path: Path, source: Input, classes: Sequence[str]) -> None:
        self.path, self.rejected = path, rejected_path(path)
        self.incomplete, self.incomplete_rejected = _incomplete(path), _incomplete(self.rejected)
        self.kind, self.columns = path.suffix.lower(), prediction_columns(classes)
        self.separator = source.separator if source.separator in CSV_SEPARATORS else ","
        _check_names(source, self.kind)
        mark = "\ufeff" if source.byte_order_mark else ""
        with writing(path):
            self._lines, self._rejections = _new_file(self.incomplete), _new_file(self.incomplete_rejected)
            if self.kind == ".csv":
                header = [*(source.columns or []), *self.columns]
                self._lines.write(mark + csv_lines([header], self.separator))
            self._rejections.write(mark + csv_lines([[source.unit, "reason"]], self.separator))

    def append(self, rows: Sequence[Row], predictions: Sequence[Prediction], rejected: Sequence[Rejected]) -> None:
        """Write a chunk."""
        with writing(self.path):
            if self.kind == ".csv":
                self._lines.write(csv_lines(list(map(with_prediction, rows, predictions)), self.separator))
            else:
                self._lines.write(json_lines(rows, predictions, self.columns))
            self._rejections.write(csv_lines([(row.place, row.reason) for row in rejected], self.separator))
            self._lines.flush()

    def finish(self, tally: Tally) -> None:
        """Rename the complete file."""
        with writing(self.path):
            os.fsync(self._lines.fileno())  # before the rename, or a power cut could leave an empty file
            self.close()
            if tally.rejected:
                self.incomplete_rejected.replace(self.rejected)
            else:
                self.incomplete_rejected.unlink()
                self.rejected.unlink(missing_ok=True)  # that of the file which is replaced
            self.incomplete.replace(self.path)

    def close(self) -> None:
        """Leave what is written as it is."""
        self._lines.close()
        self._rejections.close()

    def discard(self) -> None:
        """Remove what is written."""
        with suppress(OSError):  # a full disk, which the user knows of by now
            self.close()
        for path in (self.incomplete, self.incomplete_rejected):
            path.unlink(missing_ok=True)


def _incomplete(path: Path) -> Path:
    return path.with_name(path.name + ".incomplete")


def _new_file(path: Path) -> TextIO:
    path.unlink(missing_ok=True)  # where it is a link, it may lead anywhere
    # What UTF-8 can't hold, as in the name of a file, is written as an escape.
    return path.open("x", encoding="utf-8", errors="backslashreplace", newline="")


def _check_names(source: Input, kind: str) -> None:
    names = source.columns or []
    for name in names:
        if is_prediction_column(name):
            raise UserError(f"{source.name} has a column {name!r}, which the output adds itself: rename it first")
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled and kind != ".csv":
        raise UserError(f"{source.name} has several columns {doubled[0]!r}, and {kind} takes one: make --output a .csv")
