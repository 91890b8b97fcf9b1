"""Rows in, labels out, a chunk at a time: memory holds one chunk, however many rows there are.

Of several processes the first one reads and writes, and each computes its share of every chunk.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch
from torch import Tensor
from tqdm import tqdm

from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.data.rows import Input, Rejected, Row
from spam_classifier.errors import UserError, one_line
from spam_classifier.files import file_sha256
from spam_classifier.inference.classifier import Classifier
from spam_classifier.judging.output import Output, Tally
from spam_classifier.judging.screen import Screen

if TYPE_CHECKING:
    from lightning.fabric import Fabric

CHUNK_ROWS = 4_096
REPORTED = 5  # rejected rows that are printed one by one


class OneProcess:
    """What judging uses of a Lightning Fabric, for one process: Lightning need not be imported."""

    global_rank, world_size = 0, 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def broadcast(self, obj: Any) -> Any:
        """What the first process passes, in all processes."""
        return obj

    def all_reduce(self, data: Tensor, *, reduce_op: str) -> Tensor:
        """The sum of a tensor over the processes."""
        return data


Group: TypeAlias = "OneProcess | Fabric"  # the processes that share the work


class Desk:
    """Reads rows and writes predictions, in the first process only.

    Args:
        source: The rows; those that the sink has from an earlier run are skipped.
        classifier: The classifier.
        threshold: Probability from which the second of two classes is predicted; default: the model's own.
        abstain: Give no label that is less probable than this; default: label all.
        sink: Where predictions and rejected rows go.
        strict: Whether to stop at the first row that can't be classified.

    Attributes:
        tally: The rows so far.
        bar: The progress bar.
    """

    def __init__(
        self,
        source: Input,
        classifier: Classifier,
        threshold: float | None,
        abstain: float | None,
        sink: Output | Screen,
        strict: bool,
    ) -> None:
        self.source = source
        self.classifier = classifier
        self.threshold = threshold
        self.abstain = abstain
        self.sink = sink
        self.strict = strict
        self.tally = sink.tally
        self.bar = tqdm(
            desc="rows",
            total=source.total,
            initial=self.tally.read,
            unit=" row",
            leave=False,
            disable=None if isinstance(sink, Output) else True,  # on the screen it would be in the table
        )
        self._rows: list[Row] = []
        self._rejected: list[Rejected] = []

    def chunks(self) -> Iterator[EncodedMessages]:
        """Read the rows: the texts of one chunk after the other, each to be passed to ``write``."""
        rows = islice(self.source.rows, self.tally.read, None)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            self._rows = [row for row in chunk if isinstance(row, Row)]
            self._rejected = [row for row in chunk if isinstance(row, Rejected)]
            self._report()
            yield self.classifier.encode([row.text for row in self._rows])

    def write(self, messages: EncodedMessages, probabilities: Tensor) -> None:
        """Write the predictions for the last chunk, from its texts and their probabilities, float [N, classes]."""
        predictions = self.classifier.predictions(messages, probabilities, self.threshold, self.abstain)
        self.tally = Tally(
            self.tally.read + len(self._rows) + len(self._rejected),
            self.tally.classified + len(predictions),
            self.tally.rejected + len(self._rejected),
            self.tally.truncated + sum(prediction.truncated for prediction in predictions),
            self.tally.unsure + sum(prediction.label is None for prediction in predictions),
        )
        self.sink.append(self._rows, predictions, self._rejected, self.tally)
        self.bar.update(self.tally.read - self.bar.n)

    def _report(self) -> None:
        reported = 1 if self.strict else max(0, REPORTED - self.tally.rejected)
        for row in self._rejected[:reported]:
            line = one_line(f"{self.source.where(row.place)}: {row.reason}")
            if self.strict:
                raise UserError(f"{line}; correct it, or leave out --strict to go on without it")
            tqdm.write(f"rejected: {line}", file=sys.stderr)


def judge(group: Group, desk: Desk) -> Tally:
    """Classify all rows after those that the sink has from an earlier run; for the first process.

    Returns:
        How many rows were read, classified, rejected, cut and left without a label, those of the earlier run included.

    Raises:
        UserError: There are no rows, or ``strict`` and one is rejected.
    """
    _refuse_other_checkpoint(group, desk.classifier)
    try:
        with desk.bar:
            for messages in desk.chunks():
                desk.write(messages, _probabilities(group, desk.classifier, group.broadcast(messages)))
            group.broadcast(None)
        tally = desk.tally
        if not tally.read:
            raise UserError(f"{desk.source.name} holds no texts: there is nothing to classify")
        if tally.read != tally.classified + tally.rejected:
            raise AssertionError(f"rows were lost: {tally}")
        desk.sink.finish()
    except BaseException:
        desk.sink.leave()
        raise
    return tally


def help_to_judge(group: Group, classifier: Classifier) -> None:
    """Compute this process's share of every chunk; for all processes but the first."""
    _refuse_other_checkpoint(group, classifier)
    while (messages := group.broadcast(None)) is not None:
        _probabilities(group, classifier, messages)


def _probabilities(group: Group, classifier: Classifier, messages: EncodedMessages) -> Tensor:
    """Probabilities of the texts of a chunk, float [N, classes], from all processes."""
    own = classifier.probabilities_of(messages, group.global_rank, group.world_size)
    return cast(Tensor, group.all_reduce(own.to(group.device), reduce_op="sum")).cpu()


def _refuse_other_checkpoint(group: Group, classifier: Classifier) -> None:
    if group.world_size > 1:
        digest = file_sha256(classifier.checkpoint)
        if group.broadcast(digest) != digest:
            raise UserError(
                f"{classifier.checkpoint} is another checkpoint than the first process has: name one with --ckpt_path"
            )
