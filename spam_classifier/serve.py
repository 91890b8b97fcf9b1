"""Serve a trained run over HTTP, with a web page: ``python -m spam_classifier.serve``."""

import argparse
import os
import socket
import sys
import threading

from spam_classifier.errors import UserError, escape_control, one_line_errors
from spam_classifier.inference.classifier import chosen_device, load_classifier
from spam_classifier.runs.check import read_checkpoint
from spam_classifier.runs.find import add_checkpoint_flags, find_checkpoint

DESCRIPTION = """Serve a trained run: a web page to try it, and an HTTP API with its documentation at /docs.

Texts of concurrent requests are computed together, by length. Only this machine can reach the server unless --host says
otherwise. With SPAM_CLASSIFIER_API_KEY in the environment, requests need it: Authorization: Bearer KEY."""
EXAMPLES = """examples:
  python -m spam_classifier.serve
  python -m spam_classifier.serve --ckpt_path lightning_logs/version_3/checkpoints/last.ckpt --port 8080
  SPAM_CLASSIFIER_API_KEY=... python -m spam_classifier.serve --host 0.0.0.0

  curl http://127.0.0.1:8000/predict --json '{"texts": ["You have won a prize, call now"]}'
  curl http://127.0.0.1:8000/health

Ctrl-C, or SIGTERM, answers what has been asked and ends."""
KEY_VARIABLE = "SPAM_CLASSIFIER_API_KEY"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m spam_classifier.serve",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000; 0 takes a free one)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (default: auto, a GPU if there is one)")
    parser.add_argument("--max_body", type=int, default=2**20, metavar="BYTES", help="of a request (default: 1 MiB)")
    parser.add_argument("--max_texts", type=int, default=1_000, metavar="N", help="of a request (default: 1,000)")
    parser.add_argument("--max_characters", type=int, default=20_000, metavar="N", help="of a text (default: 20,000)")
    parser.add_argument(
        "--read_timeout", type=float, default=10.0, metavar="S", help="seconds for a request to arrive (default: 10)"
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="seconds until it is answered (default: 30)"
    )
    parser.add_argument(
        "--batch", type=int, default=256, metavar="N", help="texts that are computed together (default: 256)"
    )
    add_checkpoint_flags(parser)
    arguments = parser.parse_args()
    for name in ("max_body", "max_texts", "max_characters", "read_timeout", "timeout", "batch"):
        if getattr(arguments, name) <= 0:
            parser.error(f"argument --{name}: has to be more than 0")
    return arguments


def main() -> None:
    """Serve until a signal ends it."""
    arguments = parse()
    with one_line_errors():
        _serve(arguments)


def _serve(arguments: argparse.Namespace) -> None:
    checkpoint = find_checkpoint(arguments.ckpt_path, arguments.root)
    read_checkpoint(checkpoint)
    device = chosen_device(arguments.device, "--device")
    try:
        from spam_classifier.serving.http_server import http_server
        from spam_classifier.serving.web_app import Service
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is missing: pip install 'spam_classifier[serve]'") from error
    local = arguments.host in ("127.0.0.1", "localhost", "::1")
    service = Service(
        api_key=os.environ.get(KEY_VARIABLE) or None,
        host_names=["127.0.0.1", "localhost", "[::1]"] if local else None,
        most_body_bytes=arguments.max_body,
        most_texts=arguments.max_texts,
        most_characters=arguments.max_characters,
        reading_seconds=arguments.read_timeout,
        seconds=arguments.timeout,
        batch_texts=arguments.batch,
    )
    if not local and service.api_key is None:
        print(f"note: whoever reaches {arguments.host} can use it: {KEY_VARIABLE} is not set", file=sys.stderr)
    listening = _listen(arguments.host, arguments.port)
    server = http_server(service)
    failures: list[Exception] = []

    def load() -> None:
        try:
            service.classifier = load_classifier(checkpoint, device)
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
    threading.Thread(target=load, daemon=True).start()
    server.run(sockets=[listening])
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
