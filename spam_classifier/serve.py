"""Serve a trained run over HTTP, with a web page: ``python -m spam_classifier.serve``."""

import argparse
import os
import re
import signal
import socket
import sys
import threading

from spam_classifier import hints
from spam_classifier.command_line import CommandLine, add_classifier_flags
from spam_classifier.errors import UserError, escape_control, importing, one_line_errors
from spam_classifier.judging.abstain import HELP as ABSTAIN
from spam_classifier.judging.abstain import abstain, least_probability
from spam_classifier.runs.find import find_checkpoint

DESCRIPTION = """Serve a trained run: a web page to try it, and an HTTP API with its documentation at /docs.

Texts of concurrent requests are computed together. Only this machine can reach the server unless --host says otherwise.
If SPAM_CLASSIFIER_API_KEY is set in the environment, requests need it: Authorization: Bearer KEY."""
EXAMPLES = """examples:
  %(prog)s
  %(prog)s --ckpt_path lightning_logs/version_3 --port 8080
  SPAM_CLASSIFIER_API_KEY=... %(prog)s --host 0.0.0.0

  curl http://127.0.0.1:8000/predict --json '{"texts": ["You have won a prize, call now"]}'
  curl 'http://127.0.0.1:8000/predict_file?name=inbox.csv' -H 'content-type: application/octet-stream' \\
    --data-binary @inbox.csv
  curl http://127.0.0.1:8000/health

Ctrl-C and SIGTERM answer pending requests, then end the server."""
PASSED_ON = ["allow_origin", "metrics"]  # to the service
KEY_VARIABLE = "SPAM_CLASSIFIER_API_KEY"
HOST = r"([a-z0-9._-]+|\[[0-9a-f:.]+\])"  # as in a Host header: an IPv6 address has brackets
LOCAL_NAMES = ["127.0.0.1", "localhost", "[::1]"]
LIMITS = {  # the most of each: default, unit, and help
    "max_body": (4 * 2**20, "BYTES", "bytes of a request or file (default: 4 MiB)"),
    "max_texts": (1_000, "N", "texts of a request (default: 1,000)"),
    "max_rows": (20_000, "N", "rows of a file (default: 20,000)"),
    "max_characters": (20_000, "N", "characters of a text (default: 20,000)"),
    "read_timeout": (10.0, "S", "seconds for a request to arrive (default: 10)"),
    "timeout": (30.0, "S", "seconds until a request, or each batch of a file, is answered (default: 30)"),
    "batch": (256, "N", "texts computed together (default: 256)"),
}


def host_name(value: str) -> str:
    """The name of a host in the form that Host headers are compared in."""
    name = value.lower().removesuffix(".")
    if not re.fullmatch(HOST, name):
        raise argparse.ArgumentTypeError(f"{value!r} is not a host's name: give it alone, as in spam.example.com")
    return name


def origin(value: str) -> str:
    """The origin of a site as browsers send it."""
    own = value.lower().removesuffix("/")
    for scheme, port in (("http", ":80"), ("https", ":443")):  # browsers leave them out
        own = own.removesuffix(port) if own.startswith(f"{scheme}://") else own
    if not re.fullmatch(rf"[a-z][a-z0-9+.-]*://{HOST}(:\d+)?", own):
        raise argparse.ArgumentTypeError(f"{value!r} is not an origin: give one as in https://app.example.com")
    return own


def parse() -> argparse.Namespace:
    """The command line."""
    parser = CommandLine("serve", description=DESCRIPTION, epilog=EXAMPLES)
    add_classifier_flags(parser)
    parser.add_argument("--abstain", type=abstain, metavar="P", help=ABSTAIN)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000; 0 takes a free one)")
    parser.add_argument(
        "--allow_host",
        action="append",
        default=[],
        type=host_name,
        metavar="NAME",
        help="a further name that the server may be called by, as at a proxy; may be repeated (default: "
        f"{', '.join(LOCAL_NAMES)}, or any name with --host)",
    )
    parser.add_argument(
        "--allow_origin",
        action="append",
        default=[],
        type=origin,
        metavar="ORIGIN",
        help="another site whose pages may use the API, as in https://app.example.com; may be repeated (default: none)",
    )
    parser.add_argument("--metrics", action="store_true", help="answer Prometheus at /metrics")
    for name, (default, unit, meaning) in LIMITS.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, metavar=unit, help=meaning)
    arguments = parser.parse_args()
    for name in LIMITS:
        if not getattr(arguments, name) > 0:
            parser.error(f"argument --{name}: must be more than 0")
    return arguments


def main() -> None:
    """Serve until a signal ends it."""
    arguments = parse()
    with one_line_errors():
        _serve(arguments)


def _serve(arguments: argparse.Namespace) -> None:
    try:
        with importing():
            import torch

            from spam_classifier.inference.classifier import chosen_device, load_classifier
            from spam_classifier.models.packed_blocks import slow_precision

            if arguments.metrics:
                import prometheus_client  # noqa: F401
            from spam_classifier.serving.server import say_stopped
            from spam_classifier.serving.web_app import Service, http_server
    except ModuleNotFoundError as error:
        extra = "metrics" if error.name == "prometheus_client" else "serve"
        raise UserError(f"{error.name} is missing: {hints.install(extra)}") from error
    checkpoint = find_checkpoint(arguments.ckpt_path, arguments.root)
    device = chosen_device(arguments.accelerator)
    local = arguments.host in ("127.0.0.1", "localhost", "::1")
    service = Service(
        api_key=os.environ.get(KEY_VARIABLE) or None,
        host_names=[*LOCAL_NAMES, *arguments.allow_host] if local or arguments.allow_host else None,
        **{name: getattr(arguments, name) for name in PASSED_ON},
        **{name: getattr(arguments, name) for name in LIMITS},
    )
    if not local and service.api_key is None:
        print(f"note: anyone who reaches {arguments.host} can use it: set {KEY_VARIABLE}", file=sys.stderr)
    if slow := slow_precision(arguments.precision, torch.device(device)):
        print(f"note: {slow}", file=sys.stderr)
    listening = _listen(arguments.host, arguments.port)
    server = http_server(service)
    failures: list[Exception] = []

    def load() -> None:
        try:
            classifier = load_classifier(checkpoint, device, arguments.precision, windows=arguments.windows)
            if wanted := arguments.abstain:
                service.abstain, told = least_probability(wanted, checkpoint, classifier.labels, classifier.threshold)
                print(f"note: {told}", file=sys.stderr)
            service.classifier = classifier
        except Exception as error:
            failures.append(error)
            server.should_exit = True
        else:
            print("ready", flush=True)

    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(
        f"{escape_control(f'checkpoint {checkpoint}')}\n"
        f"serving on http://{shown}:{port} (Ctrl-C ends it), loading the model",
        flush=True,
    )
    former = {number: signal.signal(number, say_stopped) for number in (signal.SIGTERM, signal.SIGINT)}
    threading.Thread(target=load, daemon=True).start()
    try:
        server.run(sockets=[listening])  # it sends itself the signal again once requests are answered
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if failures:
        raise failures[0]


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"can't listen on {host} port {port} ({reason}): name another --host or --port") from error


if __name__ == "__main__":
    main()
