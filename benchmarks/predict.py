"""Classify a large file with ``spam_classifier.predict``: rows per second and memory.

    python benchmarks/predict.py
    python benchmarks/predict.py --rows 20000    # a minute

Writes two CSVs of messages as benchmarks/corpus.py does, one of --rows rows and one of a tenth of that, trains a small
GPT-2 for a few steps, and classifies each file in a new process.
"""

import argparse
import csv
import sys
import tempfile
import time
from pathlib import Path

from brief_training import train_briefly
from corpus import peak_mib, write_corpus
from own_process import in_own_process

from spam_classifier import SpamClassifier, SpamDataModule


def train(corpus: Path, checkpoint: Path) -> None:
    """Train a small GPT-2 for ten steps."""
    model = SpamClassifier("random", layers=2, width=64, heads=2, trainable="all", token_position="last_real")
    train_briefly(model, SpamDataModule(str(corpus), padding="batch"), 10, checkpoint)


def classify(flags: list[str]) -> dict[str, float]:
    """Run ``spam_classifier.predict`` in this process."""
    from spam_classifier import predict

    base, start = peak_mib(), time.perf_counter()
    sys.argv = ["predict", *flags]
    predict.main()
    return {"seconds": time.perf_counter() - start, "peak": peak_mib() - base}


def rows_of(path: Path) -> int:
    """Number of rows of a CSV without its header."""
    with path.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        checkpoint = directory / "model.ckpt"
        print("| rows in | rows out | seconds | rows per second | peak memory over imports, MiB |")
        print("| --- | --- | --- | --- | --- |", flush=True)
        for rows in (arguments.rows // 10, arguments.rows):
            corpus, output = directory / f"{rows}.csv", directory / f"{rows}-judged.csv"
            write_corpus(rows, corpus)
            if not checkpoint.exists():
                in_own_process(train, corpus, checkpoint)
            flags = ["--input", str(corpus), "--ckpt_path", str(checkpoint), "--accelerator", "cpu", "--output"]
            taken = in_own_process(classify, [*flags, str(output)])
            figures = f"{taken['seconds']:.1f} | {rows / taken['seconds']:,.0f} | {taken['peak']:,.0f}"
            print(f"| {rows_of(corpus):,} | {rows_of(output):,} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
