"""Run configs as one table of experiments: ``python -m spam_classifier.experiments``."""

import argparse
import sys
from pathlib import Path

from spam_classifier.command_line import CommandLine, add_root_flag, parse_with_flags_of_fit
from spam_classifier.errors import UserError, importing, one_line_errors
from spam_classifier.find_config import EXPERIMENTS, find_config

DESCRIPTION = """Train configs and put the results into one table: which choices matter on your corpus?
The default configs are the book's table of experiments, a file for each row: other positions, other trainable
layers, LoRA, larger models, padding, attention without the causal mask.

A seed draws the splits, the initial weights and the order of the messages; all rows have the same splits.
Several seeds give mean and spread, and each config is compared with the first one seed by seed. Choose by
the validation figures, and report those of --test: the validation split has also chosen the checkpoint, the
temperature and the threshold.

What is finished is not run again: after Ctrl-C or a failure, repeat the command. A row that fails is named
in the table, and the others continue. The best checkpoint of each run is kept. experiments.md, .csv and
.png are rewritten after each run."""
EPILOG = """Flags after -- go to every fit. The config of a row in a folder overrides them, as it is what the table is
about; they override a config that is given as a file. Runs with other flags need another --name.

Examples of arguments:
  (none)                                            the whole table, validation figures
  01 03 16 --seeds 1 2 3                            three rows, mean and spread over three seeds
  --test                                            also the test split, once the choice is made
  --name mine -- --data.corpus messages.csv         on your messages
  --name small --shrink 12 -- --data.corpus sample  small random models, no network
  --configs recommended book --seeds 1 2 3 4 5 --baselines
  --configs recommended --sizes 8 16 32 64 128      a learning curve

Rows 06 to 09 and 12 are GPT-2 of 355M to 1558M parameters: they need a GPU, and many gigabytes of disk for
weights and checkpoints."""


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own arguments, and the flags of ``fit``."""
    parser = CommandLine(
        EXPERIMENTS,
        usage="%(prog)s [rows ...] [options] [-- flags of fit]",
        description=DESCRIPTION,
        epilog=EPILOG,
        flags_of_fit=True,
    )
    add = parser.add_argument
    add("rows", nargs="*", help="numbers (3 or 03) or names (03_head_only) of rows (default: all)")
    add(
        "--configs",
        nargs="+",
        metavar="NAME",
        default=[EXPERIMENTS],
        help="configs of fit, or folders of them, a row each: files, or names of packaged ones as in fit --config "
        f"(default: {EXPERIMENTS}, the book's table)",
    )
    add(
        "--seeds",
        type=int,
        nargs="+",
        metavar="N",
        default=[123],
        help="train each row with these seeds (default: 123, the book's)",
    )
    add("--sizes", type=int, nargs="+", metavar="N", help="training messages per class, for a learning curve")
    add("--steps", type=int, metavar="N", help="training steps of each run with --sizes (default: 300)")
    add("--baselines", action="store_true", help="also linear models on the same splits")
    add("--test", action="store_true", help="also evaluate the test split")
    add(
        "--shrink",
        type=int,
        metavar="N",
        help="random weights, and the layers (at least 2) and heads (at least 1) of each model divided by N",
    )
    add(
        "--name",
        default=EXPERIMENTS,
        help=f"keep the runs and the table in lightning_logs/NAME (default: {EXPERIMENTS})",
    )
    add_root_flag(parser)
    arguments, flags = parse_with_flags_of_fit(parser, words)
    if Path(arguments.name).name != arguments.name:
        parser.error(f"--name {arguments.name}: give a name, the directory for lightning_logs is --root")
    if arguments.steps is not None and not arguments.sizes:
        parser.error("--steps has no effect without --sizes")
    arguments.steps = 300 if arguments.steps is None else arguments.steps
    numbers = {"--seeds": arguments.seeds, "--sizes": arguments.sizes or [], "--steps": [arguments.steps]}
    numbers["--shrink"] = [] if arguments.shrink is None else [arguments.shrink]
    for flag, values in numbers.items():
        if len(set(values)) < len(values):
            raise UserError(f"{flag} {' '.join(map(str, values))} names one twice: name each once")
        if flag != "--seeds" and min(values, default=1) < 1:
            raise UserError(f"{flag} must be at least 1, not {min(values)}")
    arguments.configs = [find_config(name, "--configs", folders=True) for name in arguments.configs]
    return arguments, flags


def main() -> None:
    """Run what is not finished, and print the table."""
    with one_line_errors():
        arguments, flags = parse(sys.argv[1:])
        with importing():
            from spam_classifier.comparing.grid import Grid
        grid = Grid(arguments, flags)
        print(grid.run(), flush=True)
        print(f"all columns: {grid.directory / 'experiments.md'}", file=sys.stderr)
        if grid.errors:
            raise UserError(f"runs that failed: {', '.join(map(str, grid.errors))}; the same command tries them again")


if __name__ == "__main__":
    main()
