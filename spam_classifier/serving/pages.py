"""What a browser is shown: the page, the model in words, and the documentation of the API.

Their links are relative, so that they lead to the same server behind a proxy that adds a prefix to its addresses.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from spam_classifier.inference.classifier import Classifier
from spam_classifier.runs.describe import describe_run
from spam_classifier.runs.find import run_directory

PAGE = {  # files of the package by their URLs
    "/": "serving/page/index.html",
    "/page.css": "serving/page/page.css",
    "/page.js": "serving/page/page.js",
    "/palette.css": "palette.css",
}
SWAGGER = "static-offline-docs"  # where fastapi_offline serves the documentation's script and style
NOT_FOUND = "there is nothing at this address: the page is at /, the API's documentation at /docs"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
WORDS_OF_A_TOKEN = 0.75  # about, in English


def add_pages(app: FastAPI) -> None:
    """Add the page, the documentation and the answer to unknown addresses."""
    package = Path(str(files("spam_classifier")))
    for route, name in PAGE.items():

        def file(path: Path = package / name) -> FileResponse:
            return FileResponse(path, headers={**HEADERS, "Content-Security-Policy": PAGE_POLICY})

        app.get(route, include_in_schema=False)(file)

    @app.get("/docs", include_in_schema=False)
    def documentation() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url=f"{SWAGGER}/swagger-ui-bundle.js",
            swagger_css_url=f"{SWAGGER}/swagger-ui.css",
            swagger_favicon_url=f"{SWAGGER}/favicon.png",
        )

    @app.exception_handler(404)
    async def not_found(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"detail": NOT_FOUND if error.detail == "Not Found" else error.detail}, 404)


def about(classifier: Classifier) -> dict[str, Any]:
    """What is known of a model: ``summary`` in one line, ``about``, sentences by headings, ``warning`` on the corpus.

    Each may be empty. Figures are given if they are of this very checkpoint.
    """
    run = run_directory(classifier.checkpoint)
    described, labels = describe_run(run), classifier.labels
    facts = {
        "Model": "; ".join(filter(None, [described.model, f"run directory {run.name}"])),
        "Trained on": ", ".join(filter(None, [described.corpus, described.day])),
    }
    summary = [f"trained on {described.corpus}"] if described.corpus else []
    tested = described.tested
    if tested.get("checkpoint") == classifier.checkpoint.name:
        low, high = tested["acc_interval"]
        facts[described.split.capitalize()] = (
            f"{tested['acc']:.1%} of {tested['messages']:,} messages labelled correctly "
            f"(95% interval {low:.1%} to {high:.1%})"
        )
        summary.append(f"{tested['acc']:.1%} of {tested['messages']:,} {described.split} messages right")
        if false := tested.get("false_positives"):
            facts["Mistakes"] = f"{false['hits']:,} of {false['messages']:,} {labels[0]} taken for {labels[1]}"
    if len(labels) != 2:
        facts["Labels"] = ", ".join(labels)
    words = 10 * round(classifier.max_length * WORDS_OF_A_TOKEN / 10)
    cut = f"up to {classifier.max_length:,} tokens of a message" + (f", about {words:,} words" if words else "")
    facts["Reads"] = f"{cut}; the rest is cut"
    known = {name: fact for name, fact in facts.items() if fact}
    return {"summary": ", ".join(summary), "about": known, "warning": described.warning}
