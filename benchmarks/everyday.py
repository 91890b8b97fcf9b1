"""How many everyday messages a run labels right, beside linear models that learn from the same train split.

    python benchmarks/everyday.py lightning_logs/version_0

The messages are those of tests/everyday_messages.tsv: 20 spam and 20 ham, as somebody types them who tries a spam
filter. They were written before the embedded sample, and no setting was chosen with them. The run is one of
configs/quickstart.yaml, or any other whose labels are ham and spam.
"""

import argparse
from pathlib import Path

import pandas as pd

from spam_classifier import load_classifier
from spam_classifier.comparing.baselines import predict_baselines
from spam_classifier.data.splits import TRAIN, VALIDATION
from spam_classifier.evaluation.predictions import read_messages

MESSAGES = Path(__file__).parents[1] / "tests/everyday_messages.tsv"
EVERYDAY = "everyday"
LABELS = ["ham", "spam"]


def read_everyday() -> pd.DataFrame:
    """The messages, columns ``label`` and ``text``."""
    rows = [line.split("\t") for line in MESSAGES.read_text(encoding="utf-8").splitlines()]
    return pd.DataFrame(rows, columns=["label", "text"])


def main() -> None:
    """Print a line for each model and one for each message that the run gets wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory")
    run = parser.parse_args().run
    messages = read_everyday()
    predictions = load_classifier(run).predict(messages["text"].tolist())
    right = [prediction.label == label for prediction, label in zip(predictions, messages["label"], strict=True)]
    print(f"{sum(right)} of {len(right)}  {run}")
    splits = {name: read_messages(run / f"{name}.csv") for name in (TRAIN, VALIDATION)} | {EVERYDAY: messages}
    for title, found in predict_baselines(splits, LABELS, balanced=False).items():
        print(f"{int((found[EVERYDAY].predicted == found[EVERYDAY].labels).sum())} of {len(right)}  {title}")
    for prediction, label, text in zip(predictions, messages["label"], messages["text"], strict=True):
        if prediction.label != label:
            print(f"{label} taken for {prediction.label} ({prediction.probabilities['spam']:.2f} spam): {text}")


if __name__ == "__main__":
    main()
