"""Train and evaluate: ``python -m spam_classifier.train {fit,validate,test}``."""

from spam_classifier.errors import importing, one_line_errors


def main() -> None:
    """Run the command line."""
    with one_line_errors():
        with importing():
            from spam_classifier.training.cli import run
        run()


if __name__ == "__main__":
    main()
