"""What it takes to judge a large file with ``spam_classifier.predict``: rows per second, memory, and a kill half-way.

    python benchmarks/predict.py
    python benchmarks/predict.py --rows 20000    # a minute

Writes two CSVs of messages as benchmarks/corpus.py does, one of --rows and one of a tenth of it, trains a small GPT-2
for a few steps, and judges both files, each in a process of its own. Then the large one is judged again, killed
half-way, gone on with, and compared with the first.
"""

import argparse
import csv
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from brief_training import train_briefly
from corpus import peak_mib, write_corpus
from own_process import in_own_process

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.files import file_sha256


def train(corpus: Path, checkpoint: Path) -> None:
    """A small GPT-2 after ten steps: how well it judges does not matter here."""
    model = SpamClassifier("random", layers=2, width=64, heads=2, trainable="all", token_position="last_real")
    train_briefly(model, SpamDataModule(str(corpus), padding="batch"), 10, checkpoint)


def judge(flags: list[str]) -> dict[str, float]:
    """Judge in this process."""
    from spam_classifier import predict

    base, start = peak_mib(), time.perf_counter()
    sys.argv = ["predict", *flags]
    predict.main()
    return {"seconds": time.perf_counter() - start, "peak": peak_mib() - base}


def rows_of(path: Path) -> int:
    """Rows of a CSV without its header."""
    with path.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def killed_half_way(command: list[str], output: Path, rows: int) -> int:
    """Judge in a process that is killed; returns how many rows it had brought to the disk."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    state = output.with_name(f"{output.name}.incomplete.json")
    done = 0
    while done < rows / 2:
        if process.poll() is not None:
            raise SystemExit("it ended before it could be killed: take more --rows")
        time.sleep(0.01)
        done = json.loads(state.read_text())["tally"][0] if state.exists() else 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    return json.loads(state.read_text())["tally"][0]


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
            taken = in_own_process(judge, [*flags, str(output)])
            figures = f"{taken['seconds']:.1f} | {rows / taken['seconds']:,.0f} | {taken['peak']:,.0f}"
            print(f"| {rows_of(corpus):,} | {rows_of(output):,} | {figures} |", flush=True)
        again = directory / "again.csv"
        command = [sys.executable, "-m", "spam_classifier.predict", *flags, str(again)]
        kept = killed_half_way(command, again, rows)
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        same = "the same file" if file_sha256(again) == file_sha256(output) else "another file"
        print(f"\nkilled with {kept:,} rows on the disk, gone on with: {same} (SHA-256 {file_sha256(again)[:16]})")
        sys.exit(same != "the same file")


if __name__ == "__main__":
    main()
