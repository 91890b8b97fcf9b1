"""The HTTP API and the web page."""

import asyncio
import contextlib
import re
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

import uvicorn
from fastapi import Body, Depends, FastAPI, Header, HTTPException, Query
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from spam_classifier.data.columns import Layout
from spam_classifier.data.rows import Input, Rejected, Row, checked_row
from spam_classifier.errors import UserError, one_line
from spam_classifier.inference.classifier import Classifier, Prediction
from spam_classifier.judging.inputs import open_upload
from spam_classifier.runs.find import run_directory
from spam_classifier.serving import schema
from spam_classifier.serving.batching import Batcher, TooManyWaiting
from spam_classifier.serving.pages import HEADERS, about, add_pages
from spam_classifier.serving.server import BodyLimits, Server, with_header_deadline

DESCRIPTION = """Labels texts with a fine-tuned GPT-2. To try it by hand, open [the page](./).

Texts of concurrent requests are computed together. Every refusal has a `detail` that says what is wrong."""
TAGS = [
    {"name": "classify", "description": "Label texts, and see which words pushed a label."},
    {"name": "server", "description": "The model that is served, and whether it is ready."},
]
REPORT_FILE = "report.html"
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"  # no script
FILE_TYPE = Literal["application/octet-stream"]  # a type that CORS keeps pages of other sites from sending
CLOSING_SECONDS = 30  # for pending responses at shutdown
MOST_CONNECTIONS = 1_000
RETRY_SECONDS = "2"
NAMED = 10  # bad texts in a refusal
REFUSALS: dict[int | str, dict] = {
    401: {"model": schema.Refusal, "description": "The key is missing or wrong."},
    408: {"model": schema.Refusal, "description": "The body arrived too slowly."},
    413: {"model": schema.Refusal, "description": "The body, a text, or the number of texts is over the limit."},
    422: {"model": schema.Refusal, "description": "The request or file is malformed, or a text is blank."},
    503: {"model": schema.Refusal, "description": "The model is loading, or the queue is full: try again."},
    504: {"model": schema.Refusal, "description": "The response took too long."},
}

Result = TypeVar("Result")


@dataclass
class Service:
    """The model, who may use it, and the limits: each is the flag of ``spam_classifier.serve`` with its name."""

    api_key: str | None = None  # key that requests must send; None if they need none
    host_names: list[str] | None = None  # names that a Host header may have; None for any
    allow_origin: list[str] = field(default_factory=list)  # other sites whose pages may use it
    metrics: bool = False
    max_body: int = 4 * 2**20
    max_texts: int = 1_000
    max_rows: int = 20_000
    max_characters: int = 20_000
    read_timeout: float = 10.0
    timeout: float = 30.0
    batch: int = 256
    max_waiting: int = 10_000  # texts in the queue
    abstain: float | None = None  # give no label that is less probable than this; None labels all
    classifier: Classifier | None = None  # None until it is loaded

    def loaded(self) -> Classifier:
        """The classifier; 503 while it is loading."""
        if self.classifier is None:
            raise HTTPException(503, "the model is loading: try again", {"Retry-After": RETRY_SECONDS})
        return self.classifier


def http_server(service: Service) -> uvicorn.Server:
    """A server that ends at SIGINT or SIGTERM, after it has answered pending requests."""
    config = uvicorn.Config(
        web_app(service),
        http=with_header_deadline(service.read_timeout),
        ws="none",
        log_level="warning",
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=CLOSING_SECONDS,
    )
    return Server(config)


def web_app(service: Service) -> FastAPI:
    """The API, its documentation and the page."""

    def predict_batch(texts: Sequence[str]) -> list[Prediction]:
        return service.loaded().predict(texts)

    if service.metrics:
        from spam_classifier.serving.metrics import CountRequests, Metrics  # its package is an extra

        metrics = Metrics(lambda: batcher.texts_waiting)
    counted = metrics.counted(predict_batch) if service.metrics else predict_batch
    batcher = Batcher(counted, service.batch, service.max_waiting)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with batcher.running():
            yield

    async def check_host(request: HttpRequest) -> None:  # another site can point a name of its own at this machine
        name = re.sub(r":\d*$", "", request.headers.get("host", "")).lower().removesuffix(".")
        if service.host_names is not None and name not in service.host_names:
            known = ", ".join(service.host_names)
            remedy = (
                f", or start the server with --allow_host {name}" if re.fullmatch(r"[a-z0-9._:[\]-]+", name) else ""
            )
            raise HTTPException(400, f"the Host header names another server: use {known}{remedy}")

    app = FastAPIOffline(
        title="spam_classifier",
        description=DESCRIPTION,
        lifespan=lifespan,
        dependencies=[Depends(check_host)],
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would redirect to an address without a proxy's prefix
        servers=[{"url": "."}],  # relative to the address of openapi.json
        root_path_in_servers=False,
    )
    _refuse_in_one_line(app)
    add_pages(app)

    loading: dict[int | str, dict] = {503: {"description": "The model is loading."}}

    @app.get("/health", tags=["server"], summary="Is the model ready?", responses=loading)
    def health(response: Response) -> dict[str, Literal["loading", "ready"]]:
        """`ready` with status 200, or `loading` with status 503."""
        response.status_code = 503 if service.classifier is None else 200
        return {"status": "loading" if service.classifier is None else "ready"}

    @app.get("/model", tags=["server"], summary="Which model is it?", responses={503: REFUSALS[503]})
    def model() -> schema.ModelResponse:
        """The labels, the threshold, what is known of the model, and the most that a request may hold."""
        classifier = service.loaded()
        return schema.ModelResponse(
            run=run_directory(classifier.checkpoint).name,
            labels=classifier.labels,
            threshold=classifier.threshold,
            abstain=service.abstain,
            max_length=classifier.max_length,
            needs_key=service.api_key is not None,
            report=(run_directory(classifier.checkpoint) / REPORT_FILE).is_file(),
            **about(classifier),
            limits=schema.Limits(
                texts=service.max_texts,
                rows=service.max_rows,
                characters=service.max_characters,
                body_bytes=service.max_body,
            ),
        )

    async def check_key(
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    ) -> None:
        key = "" if sent is None else sent.credentials
        if service.api_key is not None and not secrets.compare_digest(key.encode(), service.api_key.encode()):
            raise HTTPException(401, "the key is missing or wrong", {"WWW-Authenticate": "Bearer"})

    of_messages: dict[str, Any] = {
        "tags": ["classify"],
        "dependencies": [Depends(check_key)],
        "responses": REFUSALS,
    }

    async def in_time(answer: Awaitable[Result]) -> Result:
        try:
            return await asyncio.wait_for(answer, service.timeout)
        except TimeoutError as error:
            raise HTTPException(504, f"not answered within {service.timeout:g} seconds") from error
        except TooManyWaiting as error:
            headers = {"Retry-After": RETRY_SECONDS}
            raise HTTPException(503, f"{service.max_waiting:,} texts wait already: try again", headers) from error

    def decided(predictions: list[Prediction], threshold: float | None = None) -> list[Prediction]:
        if threshold is None and service.abstain is None:
            return predictions
        return service.loaded().decide(predictions, threshold, service.abstain)

    async def predicted(texts: Sequence[str], threshold: float | None) -> list[Prediction]:
        return decided(await in_time(batcher.predict(texts)), threshold)

    @app.post("/predict", **of_messages, summary="Label texts")
    async def predict(request: schema.PredictRequest) -> schema.PredictResponse:
        """Returns the label and the probabilities of each text, in the same order."""
        classifier = service.loaded()
        classifier.check_threshold(request.threshold)
        if len(request.texts) > service.max_texts:
            raise HTTPException(413, f"{len(request.texts):,} texts are more than {service.max_texts:,}: send fewer")
        reasons = _reasons_of(request.texts, service.max_characters)
        if reasons and not request.allow_bad_texts:
            raise _refusal(reasons, service.max_characters)
        good = [text for place, text in enumerate(request.texts) if place not in reasons]
        predictions = iter(await predicted(good, request.threshold))
        return schema.PredictResponse(
            threshold=classifier.threshold if request.threshold is None else request.threshold,
            predictions=[
                schema.RejectedText(label=None, reason=reasons[place])
                if place in reasons
                else schema.TextPrediction(**next(predictions)._asdict())
                for place in range(len(request.texts))
            ],
        )

    @app.post("/predict_file", **of_messages, summary="Label a file")
    async def predict_file(
        request: HttpRequest,
        query: Annotated[schema.PredictFileQuery, Query()],
        content_type: Annotated[FILE_TYPE, Header(include_in_schema=False)],
        content: Annotated[bytes, Body(media_type="application/octet-stream")],
    ) -> schema.PredictFileResponse:
        """Label the texts of a .csv, .tsv, .txt, .jsonl, .parquet, .eml or .mbox: its bytes are the body.

        A row that can't be labelled is listed with the reason, and the others are labelled.
        """
        classifier = service.loaded()
        classifier.check_threshold(query.threshold)
        source, rows, rejected = await in_time(asyncio.to_thread(_read_rows, query, content, service))
        predictions: list[Prediction] = []
        for start in range(0, len(rows), service.batch):  # one batch at a time, so that others get their turn
            if await request.is_disconnected():
                raise HTTPException(408, "the client has left")
            texts = [text for _, text in rows[start : start + service.batch]]
            predictions += await predicted(texts, query.threshold)
        return schema.PredictFileResponse(
            unit=source.unit,
            labels=classifier.labels,
            threshold=classifier.threshold if query.threshold is None else query.threshold,
            predictions=[
                schema.RowPrediction(place=place, text=text, **prediction._asdict())
                for (place, text), prediction in zip(rows, predictions, strict=True)
            ],
            rejected=[schema.RejectedRow(place=row.place, reason=row.reason) for row in rejected],
            notes=source.notes.line(),
        )

    @app.post("/explain", **of_messages, summary="Which words pushed a label?")
    async def explain(request: schema.ExplainRequest) -> schema.ExplainResponse:
        """Returns the text in parts, and how far each of them pushed the model towards a class.

        The influences of all words add up. This costs as much as classifying up to 240 texts of the same length.
        """
        classifier = service.loaded()
        if reasons := _reasons_of([request.text], service.max_characters):
            raise _refusal(reasons, service.max_characters)
        if request.label is not None and request.label not in classifier.labels:
            raise HTTPException(422, f"there is no class {request.label!r}, only {', '.join(classifier.labels)}")
        found = await in_time(batcher.in_thread(lambda: classifier.explain(request.text, request.label)))
        (prediction,) = decided([found.prediction])
        return schema.ExplainResponse(
            label=found.label,
            prediction=schema.TextPrediction(**prediction._asdict()),
            parts=[schema.Part(**part._asdict()) for part in found.parts],
            log_odds=found.log_odds,
            without_words=found.without_words,
        )

    @app.get("/report", dependencies=[Depends(check_key)], include_in_schema=False)
    def report() -> FileResponse:
        path = run_directory(service.loaded().checkpoint) / REPORT_FILE
        if not path.is_file():
            raise HTTPException(404, "this run has no report: python -m spam_classifier.train test writes one")
        return FileResponse(path, headers={**HEADERS, "Content-Security-Policy": REPORT_POLICY})

    # each sees requests before those above it
    app.add_middleware(BodyLimits, most_bytes=service.max_body, seconds=service.read_timeout)
    if service.allow_origin:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.allow_origin,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    if service.metrics:
        app.get("/metrics", dependencies=[Depends(check_key)], include_in_schema=False)(metrics.page)
        app.add_middleware(CountRequests, metrics=metrics, routes={getattr(route, "path", "") for route in app.routes})
    return app


def _reasons_of(texts: Sequence[Any], most_characters: int) -> dict[int, str]:
    """The reason of each text that can't be labelled, by its place from 0."""
    reasons = {}
    for place, text in enumerate(texts):
        if isinstance(text, str) and len(text) > most_characters:
            reasons[place] = _too_long(most_characters)
        elif isinstance(row := checked_row(place, text, [], []), Rejected):
            reasons[place] = row.reason
    return reasons


def _refusal(reasons: Mapping[int, str], most_characters: int) -> HTTPException:
    """An answer that names all bad texts, counted from 1: 413 if they are too long, 422 if any is bad otherwise."""
    places = defaultdict(list)
    for place, reason in reasons.items():
        places[reason].append(place + 1)
    detail = "; ".join(f"{_named(numbers)}: {reason}" for reason, numbers in places.items())
    return HTTPException(413 if set(places) == {_too_long(most_characters)} else 422, detail)


def _too_long(most: int) -> str:
    return f"more than {most:,} characters"


def _named(numbers: Sequence[int]) -> str:
    words = [f"{number:,}" for number in numbers[:NAMED]]
    if len(numbers) > NAMED:
        words.append(f"{len(numbers) - NAMED:,} more")
    return f"text {words[0]}" if len(words) == 1 else f"texts {', '.join(words[:-1])} and {words[-1]}"


def _read_rows(
    query: schema.PredictFileQuery, content: bytes, service: Service
) -> tuple[Input, list[tuple[int | str, str]], list[Rejected]]:
    """A file as an input, its places and texts, and its rejected rows."""
    source = open_upload(query.name, content, Layout(query.text_column, encoding=query.encoding, flags=""))
    rows: list[tuple[int | str, str]] = []
    rejected: list[Rejected] = []
    for row in source.rows:
        if len(rows) + len(rejected) == service.max_rows:
            raise HTTPException(413, f"{one_line(query.name)} has more than {service.max_rows:,} rows: split it")
        if isinstance(row, Row) and len(row.text) > service.max_characters:
            row = Rejected(row.place, f"{len(row.text):,} characters, more than {service.max_characters:,}")
        if isinstance(row, Row):
            rows.append((row.place, row.text))
        else:
            rejected.append(row)
    if not rows and not rejected:
        raise UserError(f"{source.name} holds no texts: write some into it")
    return source, rows, rejected


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
        return JSONResponse({"detail": one_line(str(error))}, 422)

    @app.exception_handler(Exception)
    async def failed(_: HttpRequest, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "the server failed; its log says why"}, 500)
