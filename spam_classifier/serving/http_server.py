"""The HTTP server under the application."""

import uvicorn

from spam_classifier.serving.request_limits import with_header_deadline
from spam_classifier.serving.web_app import Service, web_app

CLOSING_SECONDS = 30  # for the answers that are due at the end
MOST_CONNECTIONS = 1_000


def http_server(service: Service) -> uvicorn.Server:
    """A server that answers what it has been asked before it ends at SIGINT or SIGTERM."""
    return uvicorn.Server(
        uvicorn.Config(
            web_app(service),
            http=with_header_deadline(service.reading_seconds),
            ws="none",
            log_level="warning",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
    )
