"""Train a run again from its directory and compare: ``python -m spam_classifier.rerun lightning_logs/version_3``."""

import argparse
import sys
from pathlib import Path

from spam_classifier.comparing.launch import flags_behind_dashes
from spam_classifier.errors import importing, one_line_errors

DESCRIPTION = """Train a run again with the settings and the seed in its directory, test it if the run was tested, and
compare: on the same machine with the same versions the weights and the figures are equal bit for bit. The new run is
kept next to the old one, in rerun_0 or the next free number. Flags after -- go to fit and override the run's own
settings. The exit status is 0 if all is equal, else 1."""


def main() -> None:
    """Check, train, compare."""
    own, flags = flags_behind_dashes(sys.argv[1:])
    parser = argparse.ArgumentParser(
        prog="python -m spam_classifier.rerun", description=DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument("run", type=Path, help="the run directory")
    run = parser.parse_args(own).run.resolve()
    with one_line_errors():
        with importing():
            from spam_classifier.comparing.reproduce import reproduce
        sys.exit(0 if reproduce(run, flags) else 1)


if __name__ == "__main__":
    main()
