"""What repeated messages are worth: the same config with and without the near-duplicates of a corpus.

    python benchmarks/repeats.py
    python benchmarks/repeats.py --seeds 1 2 3 --config from_scratch -- --data.corpus messages.csv

Trains the config and the linear models with --data.deduplicate none and near, over the same seeds, and evaluates the
test splits, by spam_classifier.experiments. Prints F1 with the repeats minus F1 without them, with the interval of
the corrected t-test (Nadeau and Bengio 2003). Finished runs are not repeated. About 25 minutes on two cores.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd

from spam_classifier.comparing.table import corrected_interval
from spam_classifier.runs.find import RUNS_DIRECTORY

WITH, WITHOUT = "none", "near"  # --data.deduplicate


def figures_of(deduplicate: str, arguments: argparse.Namespace) -> pd.DataFrame:
    """The figures of all seeds, as in ``experiments.csv``."""
    name = f"repeats_{deduplicate}"
    command = [sys.executable, "-m", "spam_classifier.experiments", "--baselines", "--test", "--name", name]
    command += ["--root", str(arguments.root), "--configs", arguments.config, "--seeds", *map(str, arguments.seeds)]
    flags = ["--data.deduplicate", deduplicate, *arguments.flags]
    subprocess.run([*command, "--", *flags], check=True, stdout=sys.stderr)
    return pd.read_csv(arguments.root / RUNS_DIRECTORY / name / "experiments.csv", keep_default_na=False)


def main() -> None:
    """Train, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="from_scratch")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--root", type=Path, default=Path(), help="directory that holds lightning_logs")
    parser.add_argument("flags", nargs="*", help="flags of fit, after --")
    arguments = parser.parse_args()
    runs = {deduplicate: figures_of(deduplicate, arguments) for deduplicate in (WITH, WITHOUT)}
    messages = runs[WITHOUT].groupby("split")["messages"].first().astype(int)
    print("| model | F1 with the repeats | without | difference | 95% interval | p |")
    print("| --- | --- | --- | --- | --- | --- |")
    tested = {name: run[run["split"] == "test"].set_index("seed") for name, run in runs.items()}
    for model in tested[WITH]["model"].unique():
        f1 = pd.DataFrame(
            {name: 100 * rows.loc[rows["model"] == model, "f1"].astype(float) for name, rows in tested.items()}
        )
        differences = f1[WITH] - f1[WITHOUT]
        mean, cells = differences.mean(), [f"{f1[name].mean():.2f} ± {f1[name].std():.2f}" for name in (WITH, WITHOUT)]
        interval = ["none: all are equal", ""]
        if differences.std() > 1e-9:
            reach, p = corrected_interval(differences, messages["test"] / messages["train"])
            interval = [f"{mean - reach:.2f} to {mean + reach:.2f}", f"{p:.2g}"]
        print(f"| {' | '.join([model, *cells, f'{mean:+.2f}', *interval])} |")


if __name__ == "__main__":
    main()
