"""Train and evaluate: ``python -m spam_classifier.train {fit,validate,test}``."""

import sys

from spam_classifier.errors import importing, one_line_errors
from spam_classifier.training.help import print_help
from spam_classifier.training.typed import asks_for_help, for_lightning, refuse_other_subcommands


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    with one_line_errors():
        if asks_for_help(words):
            print_help(words)
            return
        refuse_other_subcommands(words)
        for_lightning(words)  # refuses what is wrong without Lightning, which takes seconds to import
        with importing():
            from spam_classifier.training.cli import run
        run()


if __name__ == "__main__":
    main()
