"""Train a run again from its directory and compare: ``python -m spam_classifier.rerun``."""

import sys

from spam_classifier.command_line import CommandLine, add_run_flags, parse_with_flags_of_fit
from spam_classifier.errors import importing, one_line_errors
from spam_classifier.runs.find import find_checkpoint, run_directory

DESCRIPTION = """Train a run again with the settings and the seed in its directory, test it if the run was tested, and
compare: on the same machine with the same versions the weights and the figures are equal bit for bit. The new run is
kept next to the old one, in rerun_0 or the next free number. Flags after -- go to fit and override the run's own
settings. The exit status is 0 if all is equal, else 1."""
EPILOG = """examples:
  %(prog)s
  %(prog)s --ckpt_path lightning_logs/version_0
  %(prog)s -- --seed_everything 7"""


def main() -> None:
    """Check, train, compare."""
    parser = CommandLine("rerun", description=DESCRIPTION, epilog=EPILOG, flags_of_fit=True)
    add_run_flags(parser)
    arguments, flags = parse_with_flags_of_fit(parser, sys.argv[1:])
    with one_line_errors():
        run = run_directory(find_checkpoint(arguments.ckpt_path, arguments.root))
        with importing():
            from spam_classifier.comparing.reproduce import reproduce
        sys.exit(0 if reproduce(run, flags) else 1)


if __name__ == "__main__":
    main()
