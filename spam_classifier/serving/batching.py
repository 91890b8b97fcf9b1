"""Batches from concurrent requests: a batch is what arrived while the one before it was computed."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from spam_classifier.inference.classifier import Prediction

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class TooManyWaiting(Exception):  # noqa: N818
    """The queue is full."""


class Piece(NamedTuple):
    """Texts of one request, and the future that receives their predictions."""

    texts: Sequence[str]
    predictions: asyncio.Future[list[Prediction]]


class Batcher:
    """Computes the texts of concurrent requests together, in one thread.

    A request never waits for others to arrive: an idle thread starts on it at once.

    Args:
        predict: Returns a prediction for each text, in order.
        most_texts: Texts of a batch; a larger request is divided.
        most_waiting: Texts in the queue.

    Attributes:
        texts_waiting: Texts in the queue now.
    """

    def __init__(
        self, predict: Callable[[Sequence[str]], list[Prediction]], most_texts: int, most_waiting: int
    ) -> None:
        self._predict, self._most_texts, self._most_waiting = predict, most_texts, most_waiting
        self._queue: asyncio.Queue[Piece] = asyncio.Queue()
        self.texts_waiting = 0
        self._thread = ThreadPoolExecutor(1, "model")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Compute batches for as long as the context lasts."""
        loop = asyncio.create_task(self._compute_batches())
        try:
            yield
        finally:
            loop.cancel()
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Predict a request's texts; if cancelled, those that have not begun are not computed."""
        if self.texts_waiting and self.texts_waiting + len(texts) > self._most_waiting:
            raise TooManyWaiting
        self.texts_waiting += len(texts)
        loop, step = asyncio.get_running_loop(), self._most_texts
        pieces = [Piece(texts[at : at + step], loop.create_future()) for at in range(0, len(texts), step)]
        for piece in pieces:
            self._queue.put_nowait(piece)
        answers = await asyncio.gather(*(piece.predictions for piece in pieces))
        return [prediction for answer in answers for prediction in answer]

    async def in_thread(self, compute: Callable[[], Result]) -> Result:
        """Compute something else in the model's thread, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, compute)

    async def _compute_batches(self) -> None:
        held: Piece | None = None
        while True:
            batch = [held or await self._queue.get()]
            held, texts = None, len(batch[0].texts)
            while held is None and not self._queue.empty():
                following = self._queue.get_nowait()
                texts += len(following.texts)
                if texts > self._most_texts:
                    held = following
                else:
                    batch.append(following)
            self.texts_waiting -= sum(len(piece.texts) for piece in batch)
            wanted = [piece for piece in batch if not piece.predictions.done()]
            if wanted:
                await self._compute(wanted)

    async def _compute(self, batch: list[Piece]) -> None:
        texts = [text for piece in batch for text in piece.texts]
        try:
            predictions = await self.in_thread(lambda: self._predict(texts))
        except Exception as error:
            if len(batch) == 1:
                log.exception("a request failed")
                if not batch[0].predictions.done():
                    batch[0].predictions.set_exception(error)
            else:  # one of them is at fault: compute each by itself
                for piece in batch:
                    await self._compute([piece])
            return
        start = 0
        for piece in batch:
            if not piece.predictions.done():  # cancelled
                piece.predictions.set_result(predictions[start : start + len(piece.texts)])
            start += len(piece.texts)
