"""Run the book's recipe and compare its accuracies with the published ones.

    python benchmarks/reproduce_book.py [flags of "python -m spam_classifier.train fit"]

The published figures are those of chapter 6 of "Build a Large Language Model (From Scratch)" and of the first row of
its table of experiments, after five epochs on a reading of the corpus that misses two messages. About a quarter of the
rows of each split differ, so bands are compared: a band spans the 95% Wilson intervals (Wilson 1927) of both figures.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.errors import one_line_errors
from spam_classifier.evaluation.metrics import wilson_interval
from spam_classifier.runs.find import find_checkpoint

PUBLISHED = {"train": (0.9721, 0.9663), "validation": (0.9732, 0.9933), "test": (0.9567, 0.9500)}


def main() -> None:
    """Train, evaluate the last weights on all three splits as the book does, print the comparison."""
    fit = subprocess.run([sys.executable, "-m", "spam_classifier.train", "fit", *sys.argv[1:]], check=False)
    if fit.returncode:
        sys.exit(fit.returncode)
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("--trainer.default_root_dir", dest="root", type=Path, default=Path())
    last = find_checkpoint("last", flags.parse_known_args()[0].root)
    model, data = (kind.load_from_checkpoint(last, weights_only=True) for kind in (SpamClassifier, SpamDataModule))
    data.setup("test")
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, devices=1)

    print(f"\naccuracy of {last}\n")
    print(f"{'split':<12}{'rows':>6}{'measured':>12}{'chapter':>10}{'table':>10}{'band':>20}")
    outside = []
    for split, published in PUBLISHED.items():
        rows = len(data.splits[split])
        accuracy = trainer.validate(model, dataloaders=data.each_once(split), verbose=False)[0]["val/acc"]
        intervals = [wilson_interval(share, rows) for share in published]
        low, high = min(low for low, _ in intervals), max(high for _, high in intervals)
        if not low <= accuracy <= high:
            outside.append(split)
        chapter, table = published
        print(f"{split:<12}{rows:>6}{accuracy:>12.2%}{chapter:>10.2%}{table:>10.2%}{low:>11.2%} to{high:>7.2%}")
    if outside:
        sys.exit(f"outside the published band: {', '.join(outside)}")
    print("within the published bands")


if __name__ == "__main__":
    with one_line_errors():
        main()
