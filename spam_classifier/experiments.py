"""Run configs as one table of experiments: ``python -m spam_classifier.experiments``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from spam_classifier.comparing.launch import flags_behind_dashes
from spam_classifier.errors import UserError, importing, one_line_errors

PROGRAM = "python -m spam_classifier.experiments"
DESCRIPTION = """Train configs and put the results into one table: which choices matter on your corpus?
configs/experiments holds the book's table of experiments, a file for each row: other positions, other
trainable layers, LoRA, larger models, padding, attention without the causal mask.

A seed draws the splits, the initial weights and the order of the messages; all rows have the same splits.
Several seeds give mean and spread, and each config is compared with the first one seed by seed. Choose by
the validation figures, and report those of --test: the validation split has also chosen the checkpoint, the
temperature and the threshold.

What is finished is not run again: after Ctrl-C or a failure, repeat the command. A row that fails is named
in the table, and the others continue. The best checkpoint of each run is kept. experiments.md, .csv and
.png are rewritten after each run."""
EPILOG = """Flags after -- go to every fit. The config of a row in a folder overrides them, as it is what the table is
about; they override a config that is given as a file. Runs with other flags need another --directory.
Examples:
  experiments                                       the whole table, validation figures
  experiments 01 03 16 --seeds 1 2 3                three rows, mean and spread over three seeds
  experiments --test                                also the test split, once the choice is made
  experiments --directory mine -- --data.corpus messages.csv                  on your messages
  experiments --shrink 12 --directory small -- --data.corpus sample           small random models, no network
  experiments --configs configs/recommended.yaml configs/book.yaml --seeds 1 2 3 4 5 --baselines
  experiments --configs configs/recommended.yaml --sizes 8 16 32 64 128       a learning curve

Rows 06 to 09 and 12 are GPT-2 of 355M to 1558M parameters: they need a GPU, and many gigabytes of disk for
weights and checkpoints."""


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own arguments, and the flags of ``fit``.

    Raises:
        UserError: A number is not possible, or given twice.
    """
    own, flags = flags_behind_dashes(words)
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [rows ...] [options] [-- flags of fit]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("rows", nargs="*", help="numbers (3 or 03) or names (03_head_only) of rows (default: all)")
    add(
        "--configs",
        type=Path,
        nargs="+",
        metavar="PATH",
        default=[Path("configs/experiments")],
        help="configs of fit, or folders of them, a row each (default: configs/experiments)",
    )
    add("--seeds", type=int, nargs="+", metavar="N", default=[123], help="(default: 123, the book's)")
    add("--sizes", type=int, nargs="+", metavar="N", help="training messages per class, for a learning curve")
    add("--steps", type=int, metavar="N", default=300, help="training steps of each run with --sizes (default: 300)")
    add("--baselines", action="store_true", help="also linear models on the same splits")
    add("--test", action="store_true", help="also evaluate the test split")
    add(
        "--shrink",
        type=int,
        metavar="N",
        help="random weights, and the layers (at least 2) and heads (at least 1) of each model divided by N",
    )
    add(
        "--directory",
        type=Path,
        default=Path("lightning_logs/experiments"),
        help="where the runs and the table are kept (default: lightning_logs/experiments)",
    )
    arguments = parser.parse_args(own)
    numbers = {"--seeds": arguments.seeds, "--sizes": arguments.sizes or [], "--steps": [arguments.steps]}
    numbers["--shrink"] = [] if arguments.shrink is None else [arguments.shrink]
    for flag, values in numbers.items():
        if len(set(values)) < len(values):
            raise UserError(f"{flag} {' '.join(map(str, values))} names one twice: name each once")
        if flag != "--seeds" and min(values, default=1) < 1:
            raise UserError(f"{flag} must be at least 1, not {min(values)}")
    return arguments, flags


def main() -> None:
    """Run what is not finished, and print the table."""
    with one_line_errors():
        arguments, flags = parse(sys.argv[1:])
        with importing():
            from spam_classifier.comparing.grid import Grid
        grid = Grid(arguments, flags)
        print(grid.run(), flush=True)
        print(f"kept in {grid.directory}", file=sys.stderr)
        if grid.errors:
            raise UserError(f"runs that failed: {', '.join(map(str, grid.errors))}; the same command tries them again")


if __name__ == "__main__":
    main()
