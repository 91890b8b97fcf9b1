"""Whether a message's probability has the same bits alone and in any company, by every way to compute it.

    python benchmarks/same_bits.py --corpus sms+spam+collection.zip    # GPT-2 124M's shape: a quarter of an hour
    python benchmarks/same_bits.py --corpus sms+spam+collection.zip --layers 4 --width 128

Each message of the corpus is classified by itself. Then all are classified again: in 100 companies of random messages
in random order, by ``predict``, and by the server over 64 connections. The weights are
random, trained for a few steps. It ends with status 1 if any probability differs.
"""

import argparse
import asyncio
import csv
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl
import torch
from brief_training import train_briefly
from serve import load, serve

from spam_classifier import Classifier, SpamClassifier, SpamDataModule, load_classifier
from spam_classifier.runs.provenance import versions

COMPANIES, CONNECTIONS = 100, 64


def train(arguments: argparse.Namespace, checkpoint: Path) -> list[str]:
    """Train ten steps and write a checkpoint; returns all messages of the corpus."""
    pl.seed_everything(1)
    data = SpamDataModule(arguments.corpus, padding="batch", balance="none", batch_size=8)
    model = SpamClassifier(
        "random", arguments.layers, arguments.width, token_position="last_real", frozen_prefix="off", learning_rate=1e-3
    )
    train_briefly(model, data, 10, checkpoint)
    texts = [text for split in data.splits.values() for text in split["text"]]
    return texts[: arguments.messages]


def in_companies(classifier: Classifier, texts: Sequence[str]) -> list[float]:
    """The messages in a random order, cut into companies of random sizes, with one thread and two by turns."""
    chance = random.Random(0)
    order = chance.sample(range(len(texts)), len(texts))
    cuts = sorted(chance.sample(range(1, len(texts)), min(COMPANIES, len(texts)) - 1))
    found = [0.0] * len(texts)
    threads = torch.get_num_threads()
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(texts)], strict=True)):
        torch.set_num_threads(1 + number % 2)
        company = order[start:end]
        for row, prediction in zip(company, classifier.predict([texts[row] for row in company]), strict=True):
            found[row] = prediction.probability
    torch.set_num_threads(threads)
    return found


def by_predict(checkpoint: Path, texts: Sequence[str], directory: Path) -> list[float]:
    """What ``predict`` writes."""
    table, labels = directory / "texts.csv", directory / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    command = [sys.executable, "-m", "spam_classifier.predict", "--ckpt_path", checkpoint, "--input", table]
    command += ["--output", labels, "--accelerator", "cpu"]
    subprocess.run([str(word) for word in command], check=True, stderr=subprocess.DEVNULL)
    with labels.open(newline="", encoding="utf-8") as file:
        return [float(row["probability"]) for row in csv.DictReader(file)]


def by_server(checkpoint: Path, texts: list[str]) -> list[float]:
    """What the server answers, a message in each request."""
    server, port = serve(checkpoint, 256, "cpu")
    _, answers = asyncio.run(load(port, texts, len(texts), CONNECTIONS))
    server.send_signal(signal.SIGTERM)
    server.wait()
    return [answer.probability for answer in sorted(answers, key=lambda answer: answer.message)]


def main() -> None:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="uci")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--messages", type=int, help="only the first ones (default: all)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        checkpoint = directory / "model.ckpt"
        texts = train(arguments, checkpoint)
        classifier = load_classifier(checkpoint)
        alone = [classifier.predict([text])[0].probability for text in texts]
        ways = {
            f"in {COMPANIES} companies": lambda: in_companies(classifier, texts),
            "by predict": lambda: by_predict(checkpoint, texts, directory),
            f"server, {CONNECTIONS} connections": lambda: by_server(checkpoint, texts),
        }
        print(f"PyTorch {versions()['torch']}, {torch.backends.cpu.get_cpu_capability()}\n")
        print("| computed | messages | with other bits than alone |")
        print("| --- | --- | --- |")
        others = 0
        for way, compute in ways.items():
            other = sum(a != b for a, b in zip(alone, compute(), strict=True))
            print(f"| {way} | {len(texts):,} | {other:,} |", flush=True)
            others += other
    sys.exit(others > 0)


if __name__ == "__main__":
    main()
