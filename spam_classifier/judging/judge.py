"""Rows in, labels out, a chunk at a time: memory holds one chunk, however many rows there are.

Of several processes the first one reads and writes, and each computes its share of every chunk.
"""

import sys
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


def judge(
    group: Group,
    classifier: Classifier,
    source: Input,
    sink: Output | Screen,
    threshold: float | None = None,
    abstain: float | None = None,
    *,
    strict: bool = False,
) -> Tally:
    """Classify all rows after those that the sink has from an earlier run; for the first process.

    ``threshold`` and ``abstain`` are those of ``Classifier.predict``. ``strict`` stops at the first rejected row. The
    tally that is returned includes the rows of the earlier run.
    """
    _refuse_other_checkpoint(group, classifier)
    # on the screen a bar would be in the table
    hidden = None if isinstance(sink, Output) else True
    tally = sink.tally
    try:
        with tqdm(desc="rows", total=source.total, initial=tally.read, unit=" row", leave=False, disable=hidden) as bar:
            remaining = islice(source.rows, tally.read, None)
            while chunk := list(islice(remaining, CHUNK_ROWS)):
                rows = [row for row in chunk if isinstance(row, Row)]
                rejected = [row for row in chunk if isinstance(row, Rejected)]
                _report(source, rejected, max(0, REPORTED - tally.rejected), strict)
                messages = classifier.encode([row.text for row in rows])
                probabilities = _probabilities(group, classifier, group.broadcast(messages))
                predictions = classifier.predictions(messages, probabilities, threshold, abstain)
                tally = tally.with_chunk(len(chunk), predictions, rejected)
                sink.append(rows, predictions, rejected, tally)
                bar.update(len(chunk))
            group.broadcast(None)
        if not tally.read:
            raise UserError(f"{source.name} holds no texts: there is nothing to classify")
        if tally.read != tally.classified + tally.rejected:
            raise AssertionError(f"rows were lost: {tally}")
        sink.finish()
    except BaseException:
        sink.leave()
        raise
    return tally


def _report(source: Input, rejected: list[Rejected], most: int, strict: bool) -> None:
    for row in rejected[: 1 if strict else most]:
        line = one_line(f"{source.where(row.place)}: {row.reason}")
        if strict:
            raise UserError(f"{line}; correct it, or leave out --strict to go on without it")
        tqdm.write(f"rejected: {line}", file=sys.stderr)


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
