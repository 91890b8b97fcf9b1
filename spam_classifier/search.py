"""Search the settings of a config that suit a corpus: ``python -m spam_classifier.search``."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from spam_classifier import hints
from spam_classifier.command_line import CommandLine, add_root_flag, parse_with_flags_of_fit
from spam_classifier.errors import UserError, importing, one_line_errors
from spam_classifier.find_config import find_config

PACKAGED_SPACE = Path(__file__).parent / "comparing/search_space.yaml"
DESCRIPTION = """Train a config again and again with other values of some settings, and keep the values with the lowest
validation loss. What is tried next follows from what was found (Optuna's tree-structured Parzen estimator), and
trials that lag behind after a validation are stopped. The test split is not looked at.

The first trial is the config itself. At the end the best is compared with it on the test splits of fresh seeds, as
the lowest of many losses is lower than it deserves.

search.md, .csv and .png, and the best config, best.yaml, are kept in lightning_logs/NAME and rewritten after each
trial. After Ctrl-C or a failure, repeat the command: it continues. With more --trials it goes on."""
EPILOG = """A space is a YAML file with a line for each setting:
  model.learning_rate: {{low: 1.0e-5, high: 1.0e-3, log: true}}
  trainer.max_epochs: {{low: 2, high: 8}}
  data.batch_size: [8, 16, 32]
The default is {space}

Examples of arguments:
  recommended
  from_scratch --trials 50 --name mine -- --data.corpus messages.csv
  recommended --space space.yaml --confirm 10"""


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own arguments, and the flags of ``fit``."""
    parser = CommandLine(
        "search",
        usage="%(prog)s CONFIG [options] [-- flags of fit]",
        description=DESCRIPTION,
        epilog=EPILOG.format(space=PACKAGED_SPACE),
        flags_of_fit=True,
    )
    add = parser.add_argument
    add("config", metavar="CONFIG", help="a config of fit: a file, or the name of a packaged one as in fit --config")
    add("--space", type=Path, default=PACKAGED_SPACE, metavar="FILE", help="what to try (default: see below)")
    add(
        "--trials",
        type=int,
        default=20,
        metavar="N",
        help="how many trainings, the config itself included (default: 20)",
    )
    add(
        "--seed",
        type=int,
        default=123,
        metavar="N",
        help="draws splits, initial weights, the order of messages and what is tried (default: 123, the book's)",
    )
    add(
        "--confirm",
        type=int,
        default=5,
        metavar="N",
        help="compare the best with the config on as many other seeds, with the test split (default: 5; 0 for not)",
    )
    add("--name", default="search", help="keep everything in lightning_logs/NAME (default: search)")
    add_root_flag(parser)
    arguments, flags = parse_with_flags_of_fit(parser, words)
    if Path(arguments.name).name != arguments.name:
        parser.error(f"--name {arguments.name}: give a name, the directory for lightning_logs is --root")
    for name, least in (("trials", 1), ("seed", 0), ("confirm", 0)):
        if (value := getattr(arguments, name)) < least:
            raise UserError(f"--{name} must be at least {least}, not {value}")
    if not arguments.space.is_file():
        raise UserError(f"--space {arguments.space}: no such file; copy {PACKAGED_SPACE} to begin with")
    arguments.config = find_config(arguments.config, "CONFIG")
    return arguments, flags


def main() -> None:
    """Run the trials that are missing, and print them."""
    with one_line_errors():
        arguments, flags = parse(sys.argv[1:])
        if find_spec("optuna") is None:
            raise UserError(f"a search needs Optuna: {hints.install('search')}")
        with importing():
            from spam_classifier.comparing.trials import Search
        search = Search(arguments, flags)
        print(search.run(), flush=True)
        print(f"kept in {search.directory}", file=sys.stderr)


if __name__ == "__main__":
    main()
