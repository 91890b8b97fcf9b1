"""What Prometheus reads at /metrics."""

import time
from collections.abc import Callable, Collection, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spam_classifier.inference.classifier import Prediction

OTHER = "other"  # the route of unknown addresses, whose number has no bound
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TEXTS = tuple(2**power for power in range(11))


class Metrics:
    """Counts requests, texts and batches; ``waiting`` returns the number of texts in the queue."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "spam_classifier_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "spam_classifier_request_seconds",
            "Seconds from the head of a request to the end of its response.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._texts = Counter("spam_classifier_texts", "Texts labelled, by label.", ["label"], registry=registry)
        self._batches = Histogram(
            "spam_classifier_batch_texts", "Texts computed together.", buckets=TEXTS, registry=registry
        )
        Gauge("spam_classifier_queue_texts", "Texts in the queue.", registry=registry).set_function(waiting)

    def counted(
        self, predict: Callable[[Sequence[str]], list[Prediction]]
    ) -> Callable[[Sequence[str]], list[Prediction]]:
        """A function that predicts a batch and counts it."""

        def predict_and_count(texts: Sequence[str]) -> list[Prediction]:
            self._batches.observe(len(texts))
            predictions = predict(texts)
            for prediction in predictions:
                self._texts.labels(prediction.label).inc()
            return predictions

        return predict_and_count

    def answered(self, route: str, status: str, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def page(self) -> Response:
        """The metrics in Prometheus's text format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


class CountRequests:
    """Counts requests by route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Collection[str]) -> None:
        self.app, self.metrics, self.routes = app, metrics, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), "none"  # for a client that left

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, note_status)
        except Exception:
            status = "500"  # the answer is sent further out
            raise
        finally:
            route = scope["path"] if scope["path"] in self.routes else OTHER
            self.metrics.answered(route, status, time.perf_counter() - start)
