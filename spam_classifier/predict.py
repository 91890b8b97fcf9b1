"""Classify texts: ``python -m spam_classifier.predict "text" ...``."""

import argparse
from pathlib import Path

from spam_classifier.errors import one_line_errors
from spam_classifier.inference.classifier import load_classifier
from spam_classifier.runs.checkpoints import find_checkpoint


def main() -> None:
    """Print the label and its probability for each text."""
    parser = argparse.ArgumentParser(
        prog="python -m spam_classifier.predict",
        description="Classify texts with a trained run: its label and the label's probability, a line each.",
    )
    parser.add_argument("texts", nargs="+", metavar="text", help="a message to classify")
    parser.add_argument("--ckpt_path", help="a checkpoint's path, best or last (default: best of the newest run)")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="directory that holds lightning_logs (default: this one)"
    )
    arguments = parser.parse_args()
    with one_line_errors():
        checkpoint = find_checkpoint(arguments.ckpt_path, arguments.root)
        print(f"checkpoint {checkpoint}")
        predictions = load_classifier(checkpoint).predict(arguments.texts)
        for text, prediction in zip(arguments.texts, predictions, strict=True):
            print(f"{prediction.label}\t{prediction.probability:.4f}\t{text}")


if __name__ == "__main__":
    main()
