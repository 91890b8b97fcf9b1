"""Seconds of a search against separate trainings with the same settings, and whether their figures have the same bits.

    python benchmarks/search.py --corpus sms+spam+collection.zip    # GPT-2 124M's shape: hours
    python benchmarks/search.py --corpus sms+spam+collection.zip --layers 2 --width 64

Searches the packaged space, or --space, from the config ``recommended``, with random weights from a file. Then the
first trial and --separate of the others, drawn at random, are trained again from their configs, each as a ``fit`` of
its own and to its end, as nobody prunes there. The seconds of all separate trainings are those of the first and, for
the others, the mean of the drawn ones times their number. It ends with status 1 if a figure of a trial that was not
pruned differs.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from finetune import write_weights
from own_process import in_own_process

from spam_classifier.runs.metrics import read_metrics

COMPARED = ("curves", "train", "validation")  # of metrics.json


def timed(command: str, *words: object) -> float:
    """Run a command of the package; returns its seconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", f"spam_classifier.{command}", *map(str, words)], check=True)
    return time.perf_counter() - start


def figures(root: Path) -> dict[str, Any]:
    """The figures of the run under a root."""
    metrics = read_metrics(root / "lightning_logs/version_0")
    return {name: metrics.get(name) for name in COMPARED}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--space", help="file of another space than the packaged one")
    parser.add_argument("--separate", type=int, default=5, help="how many others to train again, 0 for all")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=None, help="default: width / 64")
    parser.add_argument("--accelerator", default="cpu")
    arguments = parser.parse_args()
    arguments.heads = arguments.heads or max(1, arguments.width // 64)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        in_own_process(write_weights, arguments, str(directory / "weights"))
        flags = ["--data.corpus", Path(arguments.corpus).resolve(), "--model.weights", directory / "weights"]
        own = ["recommended", "--trials", arguments.trials, "--confirm", 0, "--root", directory]
        own += ["--space", Path(arguments.space).resolve()] if arguments.space else []
        searched = timed("search", *own, "--accelerator", arguments.accelerator, "--", *flags)
        kept = directory / "lightning_logs/search"
        states = pd.read_csv(kept / "search.csv")["state"]
        others = range(1, len(states))
        chosen = [0, *random.Random(0).sample(others, min(arguments.separate or len(others), len(others)))]
        seconds, same = [], []
        for number in chosen:
            root = directory / f"separate_{number}"
            seconds.append(timed("train", "fit", "--config", kept / f"trials/{number}/trial.yaml", "--root", root))
            if states[number] == "complete":
                same.append(figures(root) == figures(kept / f"trials/{number}"))
    separate = seconds[0] + sum(seconds[1:]) / max(1, len(seconds) - 1) * len(others)
    print(
        f"{(states == 'complete').sum()} of {len(states)} trials were complete; {len(chosen)} were trained separately\n"
    )
    print("| search, s | separate trainings, s | times as fast | complete trials compared | the same bits |")
    print("| --- | --- | --- | --- | --- |")
    print(f"| {searched:,.0f} | {separate:,.0f} | {separate / searched:.1f} | {len(same)} | {sum(same)} |")
    sys.exit(not all(same))


if __name__ == "__main__":
    main()
