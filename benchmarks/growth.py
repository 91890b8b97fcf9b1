"""How the time and the memory of fine-tuning grow with the corpus and with the epochs.

    python benchmarks/growth.py --corpus uci

Trains a GPT-2 of --layers blocks with random weights as configs/recommended.yaml does, on the balanced corpus: for five
epochs on 1, 4 and 16 copies, each with its words in another order, and on one copy for 1, 5 and 20 epochs. Each run has
a process of its own. The last run keeps the hidden states on disk.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
from brief_training import QUIET
from own_process import in_own_process

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.data.corpora import fetch_corpus, read_corpus
from spam_classifier.data.splits import class_names, undersample
from spam_classifier.runs.provenance import peak_of_process


def write_copies(corpus: pd.DataFrame, copies: int, path: Path) -> None:
    """Write the corpus several times; in all copies but the first the words of each message are shuffled."""
    shuffle = random.Random(0)
    frames = [corpus]
    for _ in range(copies - 1):
        texts = [" ".join(shuffle.sample(words, len(words))) for words in corpus["text"].str.split()]
        frames.append(corpus.assign(text=texts))
    pd.concat(frames).to_csv(path, index=False)


def run(csv: Path, epochs: int, memory: float, layers: int, width: int) -> dict[str, float]:
    """One training run in this process."""
    base = peak_of_process() / 1e6
    pl.seed_everything(1)
    data = SpamDataModule(str(csv), padding="batch", batch_by_length=True)
    data.setup("fit")
    model = SpamClassifier("random", layers, width, token_position="last_real", prefix_memory=memory)
    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", **QUIET)
    start = time.perf_counter()
    trainer.fit(model, data)
    seconds = time.perf_counter() - start
    peak = peak_of_process() / 1e6
    kept = [states.tokens for _, states in model.reuse._kept.values() if states is not None]
    return {
        "messages": sum(len(rows) for rows in data.splits.values()),
        "seconds": seconds,
        "base_MB": base,
        "peak_MB": peak,
        "states_MB": sum(tensor.numel() * tensor.element_size() for tensor in kept) / 1e6,
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="uci", help="uci, sample, or the path of a corpus")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--largest", type=int, default=16, help="most copies of the corpus")
    arguments = parser.parse_args()
    fetch_corpus(arguments.corpus)
    corpus = read_corpus(arguments.corpus).messages
    corpus, _ = undersample(corpus, class_names(corpus), seed=123)
    plan = [(copies, 5, 2.0) for copies in (1, 4, 16) if copies <= arguments.largest]
    plan += [(1, 1, 2.0), (1, 20, 2.0), (min(4, arguments.largest), 5, 0.0)]
    print("| corpus | epochs | memory for states | messages | seconds | peak memory over imports, MB | states, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as directory:
        for copies, epochs, memory in plan:
            csv = Path(directory) / f"{copies}.csv"
            write_copies(corpus, copies, csv)
            print(f"{copies} x, {epochs} epochs", file=sys.stderr)
            figures = in_own_process(run, csv, epochs, memory, arguments.layers, arguments.width)
            over = figures["peak_MB"] - figures["base_MB"]
            print(
                f"| {copies} x | {epochs} | {memory:.0f} GB | {figures['messages']:,} | {figures['seconds']:.1f} "
                f"| {over:,.0f} | {figures['states_MB']:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
