"""Rows in, verdicts out, a chunk at a time: memory holds one chunk, however many rows there are."""

import sys
from collections.abc import Iterator
from itertools import islice

from tqdm import tqdm

from spam_classifier.errors import UserError
from spam_classifier.inference.classifier import Classifier
from spam_classifier.inference.output import Output, Tally
from spam_classifier.inference.rows import Input, Rejected, Row
from spam_classifier.inference.screen import Screen
from spam_classifier.visible_text import one_line

CHUNK_ROWS = 4_096
REPORTED = 5  # rejected rows that are told one by one


def judge(source: Input, classifier: Classifier, threshold: float | None, sink: Output | Screen, strict: bool) -> Tally:
    """Judge all rows, behind those that the sink has from an earlier run.

    Args:
        source: The rows.
        classifier: The classifier.
        threshold: Probability from which the second of two classes is decided for; default: the model's own.
        sink: Where verdicts and rejected rows go.
        strict: Whether to stop at the first row that can't be judged.

    Returns:
        How many rows were read, judged, rejected and cut, those of the earlier run included.

    Raises:
        UserError: There are no rows, or ``strict`` and one is rejected.
    """
    tally = sink.tally
    bar = tqdm(
        desc="rows",
        total=source.total,
        initial=tally.read,
        unit=" row",
        leave=False,
        disable=None if isinstance(sink, Output) else True,  # it would stand in the table
    )
    try:
        with bar:
            for chunk in _chunks(islice(source.rows, tally.read, None)):
                rows = [row for row in chunk if isinstance(row, Row)]
                rejected = [row for row in chunk if isinstance(row, Rejected)]
                _report(source, rejected, tally.rejected, strict)
                predictions = classifier.predict([row.text for row in rows], threshold) if rows else []
                tally = Tally(
                    tally.read + len(chunk),
                    tally.judged + len(predictions),
                    tally.rejected + len(rejected),
                    tally.truncated + sum(prediction.truncated for prediction in predictions),
                )
                sink.append(rows, predictions, rejected, tally)
                bar.update(len(chunk))
        if not tally.read:
            raise UserError(f"{source.name} holds no texts: there is nothing to classify")
        if tally.read != tally.judged + tally.rejected:
            raise AssertionError(f"rows were lost: {tally}")
        sink.finish()
    except BaseException:
        sink.leave()
        raise
    return tally


def _chunks(rows: Iterator[Row | Rejected]) -> Iterator[list[Row | Rejected]]:
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


def _report(source: Input, rejected: list[Rejected], before: int, strict: bool) -> None:
    for row in rejected[:1] if strict else rejected[: max(0, REPORTED - before)]:
        where = row.place if source.unit == "file" else f"{source.name}, {source.unit} {row.place}"
        told = one_line(f"{where}: {row.reason}")
        if strict:
            raise UserError(f"{told}; mend it, or leave out --strict to go on without it")
        tqdm.write(f"rejected: {told}", file=sys.stderr)
