"""The HTTP API and the web page over a classifier."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, HTTPException
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline

from spam_classifier.data.rows import Rejected, checked_row
from spam_classifier.errors import UserError
from spam_classifier.inference.classifier import Classifier, Prediction
from spam_classifier.runs.find import run_directory
from spam_classifier.serving.batching import Batcher, TooManyWaiting
from spam_classifier.serving.request_limits import BodyLimits, OwnNames
from spam_classifier.serving.schema import (
    ExplainRequest,
    ExplainResponse,
    HealthResponse,
    Limits,
    ModelResponse,
    Part,
    PredictRequest,
    PredictResponse,
    Refusal,
    Verdict,
)

DESCRIPTION = """Judges texts with a fine-tuned GPT-2. Texts of concurrent requests are computed together.

Every refusal has a `detail` that says what is wrong."""
PAGE = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
RETRY_SECONDS = "2"
REFUSALS: dict[int | str, dict] = {
    401: {"model": Refusal, "description": "The key is missing or wrong."},
    408: {"model": Refusal, "description": "The body came too slowly."},
    413: {"model": Refusal, "description": "The body, a text or the number of texts is beyond the limits."},
    422: {"model": Refusal, "description": "The body is malformed, or a text is blank."},
    503: {"model": Refusal, "description": "The model is loading, or too much is waiting: try again."},
    504: {"model": Refusal, "description": "The answer took too long."},
}

Result = TypeVar("Result")


@dataclass
class Service:
    """What is served, and under which limits.

    Attributes:
        api_key: What requests have to bring along; None where they need nothing.
        host_names: Names that a browser may know the server by; None where any will do.
        most_body_bytes: Bytes of a request's body.
        most_texts: Texts of a request.
        most_characters: Characters of a text.
        reading_seconds: Time in which the head of a request has to come, and then its body.
        seconds: Time until a request is answered.
        batch_texts: Texts that are computed together.
        waiting_texts: Texts that may wait to be computed.
        classifier: None until it is loaded.
    """

    api_key: str | None = None
    host_names: list[str] | None = None
    most_body_bytes: int = 2**20
    most_texts: int = 1_000
    most_characters: int = 20_000
    reading_seconds: float = 10.0
    seconds: float = 30.0
    batch_texts: int = 256
    waiting_texts: int = 10_000
    classifier: Classifier | None = None

    def loaded(self) -> Classifier:
        """The classifier.

        Raises:
            HTTPException: It is not there yet.
        """
        if self.classifier is None:
            raise HTTPException(503, "the model is loading: try again", {"Retry-After": RETRY_SECONDS})
        return self.classifier


def web_app(service: Service) -> FastAPI:
    """The application: API, its documentation, and the page."""
    batcher = Batcher(
        lambda texts: service.loaded().predict(texts),
        most_texts=service.batch_texts,
        most_waiting=service.waiting_texts,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with batcher.running():
            yield

    app = FastAPIOffline(
        title="spam_classifier", description=DESCRIPTION, lifespan=lifespan, redoc_url=None, favicon_url=None
    )
    _refuse_in_one_line(app)
    if service.host_names is not None:  # else a page elsewhere could reach it by a name of its own for 127.0.0.1
        app.add_middleware(OwnNames, names=service.host_names)
    app.add_middleware(BodyLimits, most_bytes=service.most_body_bytes, seconds=service.reading_seconds)
    _add_page(app)

    @app.get("/health", responses={503: {"model": HealthResponse}})
    def health(response: Response) -> HealthResponse:
        """Whether texts can be judged: 503 while the model is loading."""
        if service.classifier is None:
            response.status_code = 503
            return HealthResponse(status="loading")
        return HealthResponse(status="ready")

    @app.get("/model", responses={503: REFUSALS[503]})
    def model() -> ModelResponse:
        """What is served, and what a request may hold."""
        classifier = service.loaded()
        return ModelResponse(
            run=run_directory(classifier.checkpoint).name,
            labels=classifier.labels,
            threshold=classifier.threshold,
            max_length=classifier.max_length,
            needs_key=service.api_key is not None,
            limits=Limits(
                texts=service.most_texts, characters=service.most_characters, body_bytes=service.most_body_bytes
            ),
        )

    def check_key(
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    ) -> None:
        expected = service.api_key
        if expected is not None and (
            sent is None or not secrets.compare_digest(sent.credentials.encode(), expected.encode())
        ):
            raise HTTPException(401, "the key is missing or wrong", {"WWW-Authenticate": "Bearer"})

    async def in_time(answer: Awaitable[Result]) -> Result:
        try:
            return await asyncio.wait_for(answer, service.seconds)
        except TimeoutError as error:
            raise HTTPException(504, f"not answered within {service.seconds:g} seconds") from error
        except TooManyWaiting as error:
            headers = {"Retry-After": RETRY_SECONDS}
            raise HTTPException(503, f"{service.waiting_texts:,} texts wait already: try again", headers) from error

    @app.post("/predict", dependencies=[Depends(check_key)], responses=REFUSALS)
    async def predict(request: PredictRequest) -> PredictResponse:
        """Judge texts; a prediction for each, in their order."""
        classifier = service.loaded()
        if len(request.texts) > service.most_texts:
            raise HTTPException(413, f"{len(request.texts):,} texts are more than {service.most_texts:,}: send fewer")
        for number, text in enumerate(request.texts, start=1):
            _check_text(text, f"text {number}", service.most_characters)
        threshold = request.threshold
        if threshold is not None and classifier.threshold is None:
            labels = ", ".join(classifier.labels)
            raise HTTPException(422, f"a threshold divides two classes, these are {labels}: leave it out")
        predictions = await in_time(batcher.predict(request.texts))
        if threshold is not None:
            predictions = classifier.decide(predictions, threshold)
        return PredictResponse(
            threshold=classifier.threshold if threshold is None else threshold,
            predictions=[_verdict(prediction) for prediction in predictions],
        )

    @app.post("/explain", dependencies=[Depends(check_key)], responses=REFUSALS)
    async def explain(request: ExplainRequest) -> ExplainResponse:
        """Which parts of a text pushed its verdict: what the model says without each of them."""
        classifier = service.loaded()
        _check_text(request.text, "the text", service.most_characters)
        if request.label is not None and request.label not in classifier.labels:
            raise HTTPException(422, f"there is no class {request.label!r}, only {', '.join(classifier.labels)}")
        found = await in_time(batcher.in_thread(lambda: classifier.explain(request.text, request.label)))
        return ExplainResponse(
            label=found.label,
            prediction=_verdict(found.prediction),
            parts=[Part(text=part.text, influence=part.influence) for part in found.parts],
        )

    return app


def _check_text(text: str, name: str, most_characters: int) -> None:
    if len(text) > most_characters:
        raise HTTPException(413, f"{name} has {len(text):,} characters, more than {most_characters:,}: shorten it")
    row = checked_row(name, text, [], [])
    if isinstance(row, Rejected):
        raise HTTPException(422, f"{name}: {row.reason}")


def _verdict(prediction: Prediction) -> Verdict:
    return Verdict(
        label=prediction.label,
        probability=prediction.probability,
        probabilities=prediction.probabilities,
        truncated=prediction.truncated,
    )


def _refuse_in_one_line(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def malformed(_: HttpRequest, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            detail = f"the body is not JSON: {first['ctx']['error']}"
        else:
            detail = f"{'.'.join(str(step) for step in first['loc'][1:]) or 'the body'}: {first['msg']}"
        return JSONResponse({"detail": detail.encode(errors="backslashreplace").decode()}, 422)

    @app.exception_handler(UserError)
    async def refused(_: HttpRequest, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(Exception)
    async def failed(_: HttpRequest, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "the server failed at this request; its log says why"}, 500)


def _add_page(app: FastAPI) -> None:
    headers = {"Content-Security-Policy": PAGE_POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    directory = Path(str(files("spam_classifier.serving") / "page"))
    for route, name in PAGE.items():

        def file(path: Path = directory / name) -> FileResponse:
            return FileResponse(path, headers=headers)

        app.get(route, include_in_schema=False)(file)
