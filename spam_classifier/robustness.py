"""Measure how much spam gets through with tricks: ``python -m spam_classifier.robustness``."""

import sys

from spam_classifier.command_line import CommandLine, add_accelerator_flag, add_run_flags, add_windows_flag
from spam_classifier.errors import importing, one_line_errors
from spam_classifier.runs.find import find_checkpoint, run_directory

DESCRIPTION = """Alter the spam of a run's test split by tricks of spammers, such as letters of other alphabets, broken
words or benign text. Count how much of it is then taken for ham, by the run's model and by linear models on the same
splits. Ham is never altered; its false positives are printed, too. The table and an example of each trick go into the
run's report, and every altered message into robustness.csv in the run directory.

What helps: --data.normalise and --data.augment of fit, and --windows."""
EPILOG = """examples:
  %(prog)s
  %(prog)s --windows 64
  %(prog)s --ckpt_path lightning_logs/version_0 --mails"""


def main() -> None:
    """Print how much gets through, by trick and model."""
    parser = CommandLine("robustness", description=DESCRIPTION, epilog=EPILOG)
    add_run_flags(parser)
    parser.add_argument("--mails", action="store_true", help="also tricks of e-mails in HTML")
    parser.add_argument("--seed", type=int, default=123, metavar="N", help="of the tricks (default: 123)")
    add_windows_flag(parser)
    add_accelerator_flag(parser)
    arguments = parser.parse_args()
    with one_line_errors():
        checkpoint = find_checkpoint(arguments.ckpt_path, arguments.root)
        with importing():
            from spam_classifier.comparing.robustness import measure
            from spam_classifier.evaluation.text_tables import aligned_table, interval, percent
            from spam_classifier.inference.classifier import chosen_device, load_classifier
        device = chosen_device(arguments.accelerator)
        classifier = load_classifier(checkpoint, device, windows=arguments.windows)
        directory = run_directory(checkpoint)
        figures = measure(directory, classifier, arguments.seed, of_mails=arguments.mails)
        first, second = classifier.labels
        untouched = [
            {
                "model": model,
                "F1": percent(own["f1"]),
                f"{first} taken for {second}": percent(own["false_positives"]["share"]),
            }
            for model, own in figures["untouched"].items()
        ]
        through = [
            {
                "trick": name,
                **{
                    model: f"{percent(own['share'])} ({interval(own['interval'])})"
                    for model, own in trick["through"].items()
                },
            }
            for name, trick in figures["tricks"].items()
        ]
        print(f"{aligned_table(untouched)}\n\n{second} that is taken for {first}, with 95% intervals:\n")
        print(aligned_table(through), flush=True)
        print(f"every message: {directory / 'robustness.csv'}\nreport: {directory / 'report.html'}", file=sys.stderr)


if __name__ == "__main__":
    main()
