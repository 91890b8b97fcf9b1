"""Compare a run with linear baselines on its own splits: ``python -m spam_classifier.baseline``."""

import sys

from spam_classifier.command_line import CommandLine, add_run_flags
from spam_classifier.errors import importing, one_line_errors
from spam_classifier.runs.find import find_checkpoint, run_directory

DESCRIPTION = """Train TF-IDF words with logistic regression and TF-IDF characters with a linear SVM on the splits of a
run, compare them with its classifier, and add the comparison to the run's report. The test split is compared once
test has evaluated it."""
EPILOG = """examples:
  %(prog)s
  %(prog)s --ckpt_path lightning_logs/version_0"""


def main() -> None:
    """Print the comparison for a run."""
    parser = CommandLine("baseline", description=DESCRIPTION, epilog=EPILOG)
    add_run_flags(parser)
    arguments = parser.parse_args()
    with one_line_errors():
        with importing():
            from spam_classifier.comparing.baselines import compare
            from spam_classifier.evaluation.text_tables import aligned_table, percent
            from spam_classifier.runs.metrics import read_metrics
        directory = run_directory(find_checkpoint(arguments.ckpt_path, arguments.root))
        compared = compare(directory)
        metrics = read_metrics(directory)
        lines = [
            {
                "split": split,
                "model": title,
                "accuracy": percent(figures["acc"]),
                "balanced accuracy": percent(figures.get("balanced_acc")),
                "F1": percent(figures.get("f1")),
                "p": f"{figures['against']['p']:.2g}" if "against" in figures else None,
            }
            for split, baselines in compared.items()
            for title, figures in {"GPT-2": metrics[split], **baselines}.items()
        ]
        print(f"{aligned_table(lines)}\n\np: McNemar's exact test against GPT-2 on the same messages", flush=True)
        print(f"report: {directory / 'report.html'}", file=sys.stderr)


if __name__ == "__main__":
    main()
