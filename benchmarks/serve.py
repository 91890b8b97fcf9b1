"""Requests per second and latency of ``spam_classifier.serve``, with and without batching.

    python benchmarks/serve.py
    python benchmarks/serve.py --requests 2000 --layers 4 --width 128    # a minute
    python benchmarks/serve.py --accelerator gpu

Sends the same requests of one message each over --connections connections, to a server that computes each request alone
(--batch 1) and to one that computes all waiting requests together. Every answer is compared with the classifier's for
that message alone. The rate is also shown as a share of the classifier's own for all messages at once. The weights are
random, trained for a few steps; client and server are two processes.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import lightning.pytorch as pl
import torch
from brief_training import train_briefly

from spam_classifier import SpamClassifier, SpamDataModule, load_classifier

FARTHEST = {"cpu": 1e-5, "gpu": 1e-4}  # that a probability may be from the message's alone


class Answered(NamedTuple):
    """An answer to a request: which message it is for, its seconds, status, label and probability."""

    message: int
    seconds: float
    status: int
    label: str
    probability: float


def train(arguments: argparse.Namespace, checkpoint: Path) -> list[str]:
    """Train ten steps and write a checkpoint; returns the messages to send."""
    pl.seed_everything(1)
    corpus = {"corpus": arguments.corpus} if arguments.corpus else {}
    data = SpamDataModule(**corpus, padding="batch", batch_size=8)
    shape = (arguments.layers, arguments.width, arguments.heads)
    model = SpamClassifier("random", *shape, token_position="last_real", frozen_prefix="off", learning_rate=1e-3)
    train_briefly(model, data, 10, checkpoint)
    return data.splits["test"]["text"].tolist()[: arguments.messages]


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: int, text: str) -> Answered:
    """Send one request over an open connection."""
    body = json.dumps({"texts": [text]}).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    start = time.perf_counter()
    writer.write(head.encode() + b"\r\n\r\n" + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", answer)
    assert length
    found = json.loads(await reader.readexactly(int(length[1])))
    (prediction,) = found["predictions"]
    status = int(answer.split()[1])
    return Answered(message, time.perf_counter() - start, status, prediction["label"], prediction["probability"])


async def load(port: int, texts: list[str], requests: int, connections: int) -> tuple[float, list[Answered]]:
    """Send the texts in turn over several connections; returns the seconds and the answers."""
    left = iter(range(requests))
    answers: list[Answered] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            message = number % len(texts)
            answers.append(await ask(reader, writer, message, texts[message]))
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return time.perf_counter() - start, answers


def serve(checkpoint: Path, batch: int, accelerator: str) -> tuple[subprocess.Popen[str], int]:
    """Start the server and wait until it is ready; returns it and its port."""
    command = [sys.executable, "-m", "spam_classifier.serve", "--ckpt_path", checkpoint, "--port", 0, "--batch", batch]
    command += ["--accelerator", accelerator, "--timeout", 600]
    server = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = 0
    for line in server.stdout:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            port = int(found[1])
        if line == "ready\n":
            return server, port
    raise SystemExit("the server did not start")


def main() -> None:
    """Measure, compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--messages", type=int, default=300, help="different messages of the test split")
    parser.add_argument("--corpus", help="default: the SMS Spam Collection")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 256], help="texts computed together")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = Path(directory, "model.ckpt")
        texts = train(arguments, checkpoint)
        classifier = load_classifier(checkpoint, "cuda" if arguments.accelerator == "gpu" else "cpu")
        alone = [classifier.predict([text])[0] for text in texts]
        sent = [texts[number % len(texts)] for number in range(arguments.requests)]
        start = time.perf_counter()
        classifier.predict(sent)
        in_bulk = len(sent) / (time.perf_counter() - start)
        del classifier
        cores = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
        print(f"{arguments.requests:,} requests over {arguments.connections} connections; {cores}")
        print(f"all at once, without a server: {in_bulk:,.0f} messages/s\n")
        columns = "answered | requests/s | of all at once | p50, ms | p95, ms | farthest from alone"
        print(f"| computed together | {columns} |\n|{' --- |' * 7}")
        for batch in arguments.batches:
            server, port = serve(checkpoint, batch, arguments.accelerator)
            asyncio.run(load(port, texts, 2 * arguments.connections, arguments.connections))  # to warm up
            seconds, answers = asyncio.run(load(port, texts, arguments.requests, arguments.connections))
            server.send_signal(signal.SIGTERM)
            server.wait()
            answered = sum(answer.status == 200 for answer in answers)
            farthest = max(abs(answer.probability - alone[answer.message].probability) for answer in answers)
            other = sum(answer.label != alone[answer.message].label for answer in answers)
            if other or farthest > FARTHEST[arguments.accelerator] or answered < arguments.requests:
                raise SystemExit(f"{other} other labels, {farthest} off, {arguments.requests - answered} lost")
            cuts = statistics.quantiles((1000 * answer.seconds for answer in answers), n=100)
            rate = arguments.requests / seconds
            times = f"{cuts[49]:,.1f} | {cuts[94]:,.1f}"
            figures = f"{answered:,} | {rate:,.0f} | {rate / in_bulk:.0%} | {times} | {farthest:.1e}"
            print(f"| {f'up to {batch} texts' if batch > 1 else 'nothing'} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
