"""Seconds and memory to prepare a corpus of a million messages.

    python benchmarks/corpus.py
    python benchmarks/corpus.py --rows 10000    # seconds

Writes a CSV of --rows messages in two classes, about 25 tokens each, with words drawn from the embedded sample. A new
process prepares it as the recipe does without balancing (read, split, encode), iterates over one epoch of training
batches, and does what a run does besides: the digest for checkpoints, the CSVs of the splits, the audit.
"""

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from own_process import in_own_process

from spam_classifier.runs.provenance import peak_of_process

WORDS = 20  # of a message, on average


def write_corpus(rows: int, path: Path) -> None:
    """Write messages of words from the embedded sample, the same for the same number of rows."""
    from spam_classifier.data.corpora import read_corpus

    draw = random.Random(0)
    words = read_corpus("sample").messages["text"].str.split().explode().tolist()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        for _ in range(rows):
            count = draw.randint(WORDS // 2, WORDS + WORDS // 2)
            writer.writerow([draw.choice(["ham", "spam"]), " ".join(draw.choices(words, k=count))])


def peak_mib() -> float:
    """Peak memory of this process so far."""
    return peak_of_process() / 2**20


def run(path: str) -> dict[str, Any]:
    """Prepare the corpus in this process, step by step."""
    from spam_classifier.data import datamodule
    from spam_classifier.data.encoding import EncodedMessages

    base = peak_mib()
    steps: dict[str, dict[str, float]] = {}

    def timed(step: str, work: Callable) -> Callable:
        def work_and_note(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = work(*arguments, **options)
            seconds = steps.get(step, {"seconds": 0.0})["seconds"] + time.perf_counter() - start
            steps[step] = {"seconds": seconds, "peak": peak_mib() - base}
            return result

        return work_and_note

    datamodule.read_corpus = timed("read", datamodule.read_corpus)
    datamodule.split = timed("split", datamodule.split)
    EncodedMessages.from_texts = timed("encode", EncodedMessages.from_texts)  # type: ignore[method-assign]
    data = datamodule.SpamDataModule(path, balance="none")
    timed("all of it", data.setup)("fit")
    timed("one epoch of batches", lambda: sum(1 for _ in data.train_dataloader()))()
    timed("digest", data.state_dict)()
    with tempfile.TemporaryDirectory() as directory:
        timed("write the splits", data.write_splits)(Path(directory))
    timed("audit", data.audit)()
    rows = {name: len(messages) for name, messages in data.encoded.items()}
    tokens = sum(len(messages.tokens) for messages in data.encoded.values())
    return {"steps": steps, "rows": rows, "tokens": tokens}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "corpus.csv"
        write_corpus(arguments.rows, path)
        megabytes = path.stat().st_size / 1e6
        figures = in_own_process(run, str(path))
    rows = sum(figures["rows"].values())
    print(f"{rows:,} rows, {megabytes:.0f} MB, {figures['tokens'] / rows:.1f} tokens a message\n")
    print("| step | rows | seconds | rows per second | peak memory over imports so far, MiB |")
    print("| --- | --- | --- | --- | --- |")
    for step, taken in figures["steps"].items():
        own = figures["rows"]["train"] if step == "one epoch of batches" else rows
        rate = own / taken["seconds"]
        print(f"| {step} | {own:,} | {taken['seconds']:.2f} | {rate:,.0f} | {taken['peak']:,.0f} |")


if __name__ == "__main__":
    main()
