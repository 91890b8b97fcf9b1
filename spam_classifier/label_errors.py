"""List the labels of a run's messages that are probably wrong: ``python -m spam_classifier.label_errors``."""

import shutil
import sys

from spam_classifier.command_line import CommandLine, add_run_flags
from spam_classifier.errors import importing, one_line_errors
from spam_classifier.runs.find import find_checkpoint, run_directory

DESCRIPTION = """Find labels that are probably wrong in all splits of a run. Its settings are trained once for each fold
of the messages, on the other folds, so no message is judged by a model that has seen its label. The doubtful labels go
into label_errors.csv in the run directory, the most doubtful first, and into the report, with the share of labels that
is expected to be wrong. No label is changed: read the messages, and correct your corpus.

After Ctrl-C or a failure, repeat the command: folds that are finished are not trained again."""
EPILOG = """examples:
  %(prog)s
  %(prog)s --ckpt_path lightning_logs/version_0 --folds 10"""
SHOWN = 10


def main() -> None:
    """Print the share of wrong labels and the most doubtful ones."""
    parser = CommandLine("label_errors", description=DESCRIPTION, epilog=EPILOG)
    add_run_flags(parser)
    parser.add_argument("--folds", type=int, default=5, metavar="K", help="how many folds (default: 5)")
    parser.add_argument("--seed", type=int, default=123, metavar="N", help="of folds and trainings (default: 123)")
    arguments = parser.parse_args()
    if arguments.folds < 2:
        parser.error(f"--folds must be at least 2, not {arguments.folds}")
    if not 0 <= arguments.seed < 2**32:
        parser.error(f"--seed must be from 0 to 4294967295, not {arguments.seed}")
    with one_line_errors():
        directory = run_directory(find_checkpoint(arguments.ckpt_path, arguments.root))
        with importing():
            from spam_classifier.comparing.label_errors import find_label_errors
            from spam_classifier.evaluation.text_tables import counted, interval, percent, table_with_texts
        figures, candidates = find_label_errors(directory, arguments.folds, arguments.seed)
        labels, doubtful = counted(figures["messages"], "label"), counted(len(candidates), "label")
        print(f"{percent(figures['share'])} of {labels} are expected to be wrong, ", end="")
        print(f"95% interval {interval(figures['interval'])}; {doubtful} are doubtful")
        print(f"models that were not trained on a message agree with {percent(figures['agreement'])} of the labels")
        if len(candidates):
            shown = candidates.head(SHOWN).assign(score=candidates["score"].map("{:.4f}".format))
            order = ["given", "suggested", "score", "place", "text"]
            rows = [dict(zip(order, row, strict=True)) for row in shown[order].itertuples(index=False)]
            print(table_with_texts(rows, shutil.get_terminal_size((120, 24)).columns))
            print("score: the probability of the given label by such a model")
        print(f"all of them: {directory / 'label_errors.csv'}\nreport: {directory / 'report.html'}", file=sys.stderr)


if __name__ == "__main__":
    main()
