"""Servers with a small stand-in for the model, and a browser."""

import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from spam_classifier import Prediction
from spam_classifier.inference.classifier import Explanation
from spam_classifier.inference.word_influence import Part

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP spam.example.com 127.0.0.1"]


class Model:
    """Stands in for a classifier: the probability of spam is the number a text ends with, in per cent, else 50%."""

    max_length = 120
    checkpoint = Path("version_0/checkpoints/last.ckpt")

    def __init__(self) -> None:
        self.labels = ["ham", "spam"]
        self.threshold: float | None = 0.5
        self.seconds = 0.0
        self.texts: list[str] = []

    def check_threshold(self, threshold: float | None) -> None:
        pass

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        time.sleep(self.seconds)
        self.texts += texts
        return [self.prediction(text) for text in texts]

    def decide(self, predictions: list[Prediction], threshold: float | None, abstain: float) -> list[Prediction]:
        return [own._replace(label=None) if own.probabilities[own.label] < abstain else own for own in predictions]

    def prediction(self, text: str) -> Prediction:
        found = re.search(r"(\d+)\s*$", text)
        second = int(found[1]) / 100 if found else 0.5
        rest = (1 - second) / (len(self.labels) - 1)
        probabilities = {label: second if label == self.labels[1] else rest for label in self.labels}
        label = max(reversed(self.labels), key=lambda name: probabilities[name])
        return Prediction(label, probabilities[label], probabilities, self.threshold, len(text) > 100)

    def explain(self, text: str, label: str) -> Explanation:
        found = re.findall(r"\s+|\S+", text)
        influences = [None if part.isspace() else 2.0 if part.isupper() else -0.5 for part in found]
        parts = [Part(part, own, own if own is None else 0.25) for part, own in zip(found, influences, strict=True)]
        total = sum(own or 0 for own in influences)
        return Explanation(self.prediction(text), label, parts, total - 1.0, -1.0)


@pytest.fixture(scope="module")
def stand_in() -> type:
    """The class of the stand-in."""
    return Model


@contextmanager
def running(service: Any, around: Callable[[Any], Any], listening: socket.socket) -> Iterator[None]:
    from spam_classifier.serving.web_app import http_server

    server = http_server(service)
    server.config.app = around(server.config.app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[..., tuple[Any, int]]]:
    """Start a server with settings of a Service, on a socket and inside another application if given.

    It returns the service and the port.
    """
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    from spam_classifier.serving.web_app import Service

    with ExitStack() as servers:

        def served(
            around: Callable[[Any], Any] = lambda app: app, listening: socket.socket | None = None, **settings: Any
        ) -> tuple[Any, int]:
            listening = listening or socket.create_server(("127.0.0.1", 0))
            service = Service(**{"classifier": Model(), **settings})
            servers.enter_context(running(service, around, listening))
            return service, listening.getsockname()[1]

        yield served


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    """A browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, headless=True, args=FLAGS)
        context = browser.new_context(
            ignore_https_errors=True, reduced_motion="reduce", viewport={"width": 1280, "height": 800}
        )
        context.set_default_timeout(5_000)
        yield context
        browser.close()


@pytest.fixture
def new_page(context: Any) -> Iterator[Any]:
    """An empty page; the test fails if a script of it fails or breaks the content security policy."""
    complaints: list[object] = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(error))
    page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
    yield page
    page.close()
    assert complaints == []
