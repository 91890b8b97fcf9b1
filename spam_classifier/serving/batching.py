"""Texts of many requests judged together: a batch is what arrived while the one before it was computed."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from spam_classifier.inference.classifier import Prediction

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class TooManyWaiting(Exception):  # noqa: N818  # it says what is the matter
    """More texts wait already than are taken on."""


class Waiting(NamedTuple):
    """Texts of a request, and where their predictions go."""

    texts: Sequence[str]
    predictions: asyncio.Future[list[Prediction]]


class Batcher:
    """Gathers the texts of concurrent requests into batches and has one thread compute them.

    A request never waits for others to come: while the thread is idle it is judged at once, by itself.

    Args:
        predict: Judges texts, a prediction for each in their order.
        most_texts: Texts in a batch; a request of more goes into several.
        most_waiting: Texts that may wait.
    """

    def __init__(
        self, predict: Callable[[Sequence[str]], list[Prediction]], most_texts: int, most_waiting: int
    ) -> None:
        self._predict, self._most_texts, self._most_waiting = predict, most_texts, most_waiting
        self._requests: asyncio.Queue[Waiting] = asyncio.Queue()
        self._texts_waiting = 0
        self._thread = ThreadPoolExecutor(1, "model")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Judge batches for as long as the context lasts."""
        loop = asyncio.create_task(self._judge_batches())
        try:
            yield
        finally:
            loop.cancel()
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Judge a request's texts along with those of others.

        What has not begun when it is cancelled is not computed.

        Raises:
            TooManyWaiting: Too many texts wait already.
        """
        if self._texts_waiting and self._texts_waiting + len(texts) > self._most_waiting:
            raise TooManyWaiting
        self._texts_waiting += len(texts)
        loop, step = asyncio.get_running_loop(), self._most_texts
        pieces = [Waiting(texts[at : at + step], loop.create_future()) for at in range(0, len(texts), step)]
        for piece in pieces:
            self._requests.put_nowait(piece)
        answers = await asyncio.gather(*(piece.predictions for piece in pieces))
        return [prediction for answer in answers for prediction in answer]

    async def in_thread(self, compute: Callable[[], Result]) -> Result:
        """Compute something else in the thread, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, compute)

    async def _judge_batches(self) -> None:
        held: Waiting | None = None
        while True:
            batch = [held or await self._requests.get()]
            held, texts = None, len(batch[0].texts)
            while held is None and not self._requests.empty():
                following = self._requests.get_nowait()
                texts += len(following.texts)
                if texts > self._most_texts:
                    held = following
                else:
                    batch.append(following)
            self._texts_waiting -= sum(len(request.texts) for request in batch)
            asked = [request for request in batch if not request.predictions.done()]
            if asked:
                await self._judge(asked)

    async def _judge(self, batch: list[Waiting]) -> None:
        together = [text for request in batch for text in request.texts]
        try:
            predictions = await self.in_thread(lambda: self._predict(together))
        except Exception as error:
            if len(batch) == 1:
                log.exception("a request failed")
                _answer(batch[0], error)
            else:  # one of them is at fault: the others are not to suffer for it
                for request in batch:
                    await self._judge([request])
            return
        start = 0
        for request in batch:
            _answer(request, predictions[start : start + len(request.texts)])
            start += len(request.texts)


def _answer(request: Waiting, answer: list[Prediction] | Exception) -> None:
    if request.predictions.done():  # it waits no longer
        return
    if isinstance(answer, Exception):
        request.predictions.set_exception(answer)
    else:
        request.predictions.set_result(answer)
