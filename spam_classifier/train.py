"""Train and evaluate: ``python -m spam_classifier.train {fit,validate,test}``."""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from spam_classifier.errors import importing, one_line_errors
from spam_classifier.training.help import print_help
from spam_classifier.training.typed import asks_for_help, for_lightning, refuse_other_subcommands

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback


def main(states: Path | None = None, callbacks: Sequence["Callback"] = ()) -> None:
    """Run the command line; the arguments are those of ``training.cli.run``."""
    words = sys.argv[1:]
    with one_line_errors():
        if asks_for_help(words):
            print_help(words)
            return
        refuse_other_subcommands(words)
        for_lightning(words)  # refuses what is wrong without Lightning, which takes seconds to import
        with importing(), without_collection():
            from spam_classifier.training.cli import run
        run(states, callbacks)


@contextmanager
def without_collection() -> Iterator[None]:
    """Import without garbage collection, and keep what was imported out of it for good.

    Lightning makes half a million objects that all stay. Each look through them takes a third of a second.
    """
    if "lightning" in sys.modules:  # what is not imported now may be garbage
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


if __name__ == "__main__":
    main()
