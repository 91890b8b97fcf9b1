"""Rows in, labels out, a chunk at a time: memory holds one chunk, however many rows there are."""

import sys
from itertools import islice

from tqdm import tqdm

from spam_classifier.data.rows import Input, Rejected, Row
from spam_classifier.errors import UserError, one_line
from spam_classifier.inference.classifier import Classifier
from spam_classifier.judging.output import Output, Tally
from spam_classifier.judging.screen import Screen

CHUNK_ROWS = 4_096
REPORTED = 5  # rejected rows that are printed one by one


def judge(
    classifier: Classifier,
    source: Input,
    sink: Output | Screen,
    threshold: float | None = None,
    abstain: float | None = None,
    *,
    strict: bool = False,
) -> Tally:
    """Classify all rows.

    ``threshold`` and ``abstain`` are those of ``Classifier.predict``. ``strict`` stops at the first rejected row. After
    Ctrl-C an output stays as it is, incomplete; after an error it is removed.
    """
    # on the screen a bar would be in the table
    hidden = None if isinstance(sink, Output) else True
    tally = Tally()
    try:
        with tqdm(desc="rows", total=source.total, unit=" row", leave=False, disable=hidden) as bar:
            while chunk := list(islice(source.rows, CHUNK_ROWS)):
                rows = [row for row in chunk if isinstance(row, Row)]
                rejected = [row for row in chunk if isinstance(row, Rejected)]
                _report(source, rejected, max(0, REPORTED - tally.rejected), strict)
                predictions = classifier.predict([row.text for row in rows], threshold, abstain)
                sink.append(rows, predictions, rejected)
                tally = tally.with_chunk(predictions, rejected)
                bar.update(len(chunk))
        if not tally.read:
            raise UserError(f"{source.name} holds no texts: there is nothing to classify")
        sink.finish(tally)
    except KeyboardInterrupt:
        if isinstance(sink, Output) and tally.read:
            sink.close()
            print(f"{tally.read:,} rows are done, those of {sink.incomplete}", file=sys.stderr)
        else:
            sink.discard()
        raise
    except BaseException:
        sink.discard()
        raise
    return tally


def _report(source: Input, rejected: list[Rejected], most: int, strict: bool) -> None:
    for row in rejected[: 1 if strict else most]:
        line = one_line(f"{source.where(row.place)}: {row.reason}")
        if strict:
            raise UserError(f"{line}; correct it, or leave out --strict to go on without it")
        tqdm.write(f"rejected: {line}", file=sys.stderr)
