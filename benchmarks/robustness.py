"""How much spam gets through with tricks, with and without each defence.

    python benchmarks/robustness.py
    python benchmarks/robustness.py --corpora sms --defences plain both

``sms`` is --sms, the SMS Spam Collection or the archive that SPAM_CLASSIFIER_UCI_ARCHIVE names, with the config
from_scratch; ``mails`` is --mails, a folder of mails for each class, with the config emails. Each is trained with no
defence, with --data.normalise, with --data.augment 1 and with both, and every run is measured with texts cut and with
--windows of 64 and 512 tokens. The seed draws splits, weights, altered copies and order. The linear models have no
windows. What is finished in --directory is not done again.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from spam_classifier.data.corpora import UCI
from spam_classifier.evaluation.text_tables import markdown_table, percent

ARCHIVE = "SPAM_CLASSIFIER_UCI_ARCHIVE"
DEFENCES = {
    "plain": [],
    "normalise": ["--data.normalise", "true"],
    "augment": ["--data.augment", "1"],
    "both": ["--data.normalise", "true", "--data.augment", "1"],
}
READING = ("cut", "windows")
WINDOWS = {"sms": 64, "mails": 512}  # tokens of a window


def call(command: str, *flags: object) -> None:
    """Run a command of the package; what it says goes to stderr, and stdout is left to the tables."""
    subprocess.run(
        [sys.executable, "-m", f"spam_classifier.{command}", *map(str, flags)], stdout=sys.stderr, check=True
    )


def measured(corpus: str, defence: str, root: Path, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Train and measure what is missing under ``root``: the figures of ``metrics.json`` by how texts are read."""
    run = root / "lightning_logs" / "version_0"
    if not (root / "trained").exists():
        config = ["--config", "emails" if corpus == "mails" else "from_scratch"]
        source = ["--data.corpus", arguments.mails if corpus == "mails" else arguments.sms]
        seeds = ["--seed_everything", arguments.seed, "--data.split_seed", arguments.seed]
        call("train", "fit", *config, *source, "--root", root, *seeds, *DEFENCES[defence], *arguments.flags)
        call("train", "test", "--root", root)
        (root / "trained").touch()
    figures = {}
    for reading in READING:
        kept = root / f"{reading}.json"
        if not kept.exists():
            flags = ["--windows", WINDOWS[corpus]] if reading == "windows" else []
            call("robustness", "--ckpt_path", run, *flags, *(["--mails"] if corpus == "mails" else []))
            kept.write_text(json.dumps(json.loads((run / "metrics.json").read_text(encoding="utf-8"))["robustness"]))
        figures[reading] = json.loads(kept.read_text())
    return figures


def tables(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A Markdown table for each model: tricks down, defences across, with F1 and false positives below."""
    first = next(iter(found.values()))["cut"]
    parts = []
    for number, model in enumerate(first["untouched"]):
        columns = {
            defence if reading == "cut" else f"{defence}, windows": figures
            for reading in (READING if number == 0 else ["cut"])
            for defence, by_reading in found.items()
            for figures in [by_reading[reading]]
        }
        rows = [
            {"trick": name}
            | {column: percent(own["tricks"][name]["through"][model]["share"]) for column, own in columns.items()}
            for name in first["tricks"]
        ]
        untouched = {column: own["untouched"][model] for column, own in columns.items()}
        rows.append({"trick": "F1 of all untouched"} | {name: percent(own["f1"]) for name, own in untouched.items()})
        rows.append(
            {"trick": "ham taken for spam"}
            | {name: percent(own["false_positives"]["share"]) for name, own in untouched.items()}
        )
        parts.append(f"{model}\n\n{markdown_table(rows)}")
    return "\n\n".join(parts)


def main() -> None:
    """Train, measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", nargs="+", choices=["sms", "mails"], default=["sms", "mails"])
    parser.add_argument("--defences", nargs="+", choices=DEFENCES, default=list(DEFENCES))
    parser.add_argument("--sms", default=os.environ.get(ARCHIVE, UCI), help="corpus (default: %(default)s)")
    parser.add_argument("--mails", default="spamassassin", help="folder of mails (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", type=Path, default=Path("robustness_benchmark"), help="for finished runs")
    parser.add_argument("flags", nargs="*", help="flags of fit, after --")
    arguments = parser.parse_args()
    for corpus in arguments.corpora:
        found = {}
        for defence in arguments.defences:
            root = arguments.directory / f"{corpus}.{defence}"
            found[defence] = measured(corpus, defence, root, arguments)
        spam = next(iter(found.values()))["cut"]["tricks"]["no trick"]["through"]["GPT-2"]["messages"]
        print(f"{corpus}: share of {spam} spam messages that is taken for ham\n\n{tables(found)}\n", flush=True)


if __name__ == "__main__":
    main()
