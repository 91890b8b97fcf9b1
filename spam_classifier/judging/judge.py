"""Rows in, verdicts out, a chunk at a time: memory holds one chunk, however many rows there are.

The chunks go through the Trainer's own ``predict``. Of several processes the first one reads and writes, and each
judges its share of every chunk.
"""

import signal
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor
from tqdm import tqdm

from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.data.rows import Input, Rejected, Row
from spam_classifier.errors import UserError, one_line
from spam_classifier.files import file_sha256
from spam_classifier.inference.classifier import Classifier
from spam_classifier.judging.output import Output, Tally
from spam_classifier.judging.screen import Screen
from spam_classifier.training.processes import end_at_sigterm

CHUNK_ROWS = 4_096
REPORTED = 5  # rejected rows that are told one by one
MOST_CHUNKS = 1 << 40  # more than there ever are


def judging_trainer(accelerator: str, devices: int) -> pl.Trainer:
    """A Trainer that judges and leaves nothing behind.

    Args:
        accelerator: What to compute on, as Lightning names it.
        devices: How many of them; on ``cpu``, how many processes.

    Raises:
        UserError: There is no such thing here, or not so many of them.
    """
    try:
        return pl.Trainer(
            accelerator=accelerator,
            devices=devices,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise UserError(
            f"--accelerator {accelerator} --devices {devices}: {error} (leave both out to take what this machine has)"
        ) from error


class Desk:
    """Where rows come in and verdicts go out, in the first process alone.

    Args:
        source: The rows; those that the sink has from an earlier run are passed over.
        classifier: The classifier.
        threshold: Probability from which the second of two classes is decided for; default: the model's own.
        sink: Where verdicts and rejected rows go.
        strict: Whether to stop at the first row that can't be judged.

    Attributes:
        tally: How far it is.
        bar: Shows it.
    """

    def __init__(
        self, source: Input, classifier: Classifier, threshold: float | None, sink: Output | Screen, strict: bool
    ) -> None:
        self.source = source
        self.classifier = classifier
        self.threshold = threshold
        self.sink = sink
        self.strict = strict
        self.tally = sink.tally
        self.bar = tqdm(
            desc="rows",
            total=source.total,
            initial=self.tally.read,
            unit=" row",
            leave=False,
            disable=None if isinstance(sink, Output) else True,  # it would stand in the table
        )
        self._rows: list[Row] = []
        self._rejected: list[Rejected] = []

    def chunks(self) -> Iterator[EncodedMessages]:
        """Read the rows: the texts of one chunk after the other, each to be handed to ``write``."""
        rows = islice(self.source.rows, self.tally.read, None)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            self._rows = [row for row in chunk if isinstance(row, Row)]
            self._rejected = [row for row in chunk if isinstance(row, Rejected)]
            self._report()
            yield EncodedMessages.from_texts([row.text for row in self._rows])

    def write(self, messages: EncodedMessages, probabilities: Tensor) -> None:
        """Write the verdicts on the chunk that was read last.

        Args:
            messages: Its texts.
            probabilities: Of each class, float [N, classes].
        """
        predictions = self.classifier.predictions(messages, probabilities, self.threshold)
        self.tally = Tally(
            self.tally.read + len(self._rows) + len(self._rejected),
            self.tally.judged + len(predictions),
            self.tally.rejected + len(self._rejected),
            self.tally.truncated + sum(prediction.truncated for prediction in predictions),
        )
        self.sink.append(self._rows, predictions, self._rejected, self.tally)
        self.bar.update(self.tally.read - self.bar.n)

    def _report(self) -> None:
        told = 1 if self.strict else max(0, REPORTED - self.tally.rejected)
        for row in self._rejected[:told]:
            source = self.source
            where = row.place if source.unit == "file" else f"{source.name}, {source.unit} {row.place}"
            line = one_line(f"{where}: {row.reason}")
            if self.strict:
                raise UserError(f"{line}; mend it, or leave out --strict to go on without it")
            tqdm.write(f"rejected: {line}", file=sys.stderr)


class Chunks:
    """What the first process's desk reads, in every process.

    Args:
        trainer: Knows the processes.
        desk: The desk; None in the others.
    """

    def __init__(self, trainer: pl.Trainer, desk: Desk | None) -> None:
        self.trainer = trainer
        self.desk = desk

    def __iter__(self) -> Iterator[EncodedMessages]:
        read = iter(()) if self.desk is None else self.desk.chunks()
        while (messages := self.trainer.strategy.broadcast(next(read, None))) is not None:
            yield messages

    def __len__(self) -> int:
        """More than there are: of a stream without a length the Trainer would take each chunk before its turn."""
        return MOST_CHUNKS


class Judge(pl.LightningModule):
    """Gives every chunk its probabilities.

    Args:
        classifier: The classifier.
        desk: Where chunks come from and go to; None where the first process has it.
    """

    def __init__(self, classifier: Classifier, desk: Desk | None) -> None:
        super().__init__()
        self.classifier = classifier
        self.model = classifier.model
        self.desk = desk

    def setup(self, stage: str) -> None:
        """Refuse to judge by another checkpoint than the first process does.

        Raises:
            UserError: The checkpoints differ.
        """
        if self.trainer.world_size == 1:
            return
        digest, path = file_sha256(self.classifier.checkpoint), self.classifier.checkpoint
        if self.trainer.strategy.broadcast(digest) != digest:
            raise UserError(f"{path} is another checkpoint than the first process has: name one with --ckpt_path")

    def on_predict_start(self) -> None:
        """Let SIGTERM end the job."""
        end_at_sigterm(self.trainer.world_size)

    def predict_dataloader(self) -> Chunks:
        """The chunks."""
        return Chunks(self.trainer, self.desk)

    def predict_step(self, messages: EncodedMessages, batch_idx: int) -> Tensor:
        """Probabilities of the texts of a chunk, float [N, classes], from all processes."""
        trainer = self.trainer
        own = self.classifier.probabilities_of(messages, trainer.global_rank, trainer.world_size)
        return trainer.strategy.reduce(own.to(self.device), reduce_op="sum").cpu()

    def on_predict_batch_end(
        self, outputs: Any, batch: EncodedMessages, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Write a chunk."""
        if self.desk is not None:
            self.desk.write(batch, outputs)


def judge(
    trainer: pl.Trainer,
    source: Input,
    classifier: Classifier,
    threshold: float | None,
    sink: Output | Screen,
    strict: bool,
) -> Tally:
    """Judge all rows, behind those that the sink has from an earlier run; in the first process.

    Args:
        trainer: As ``judging_trainer`` makes it.
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
    desk = Desk(source, classifier, threshold, sink, strict)
    try:
        with desk.bar:
            _predict(trainer, Judge(classifier, desk))
        tally = desk.tally
        if not tally.read:
            raise UserError(f"{source.name} holds no texts: there is nothing to classify")
        if tally.read != tally.judged + tally.rejected:
            raise AssertionError(f"rows were lost: {tally}")
        sink.finish()
    except BaseException:
        sink.leave()
        raise
    return tally


def help_to_judge(trainer: pl.Trainer, classifier: Classifier) -> None:
    """Judge this process's share of the rows, in all but the first one."""
    _predict(trainer, Judge(classifier, desk=None))


def _predict(trainer: pl.Trainer, judge: Judge) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.predict(judge, return_predictions=False)
    except SystemExit as stop:  # what the Trainer makes of Ctrl-C, which it ignores from then on
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stop
