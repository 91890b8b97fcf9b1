"""The one exception a user is meant to read, and how the commands print it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

GRACE = 3.0  # seconds that a process gives others to end by themselves


class UserError(Exception):
    """A mistake its user can mend: one line that names the thing at fault and the remedy.

    The commands print it as ``error: ...`` and exit with status 1, without a traceback.
    """


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Let a command end with one line instead of a traceback where its user made the mistake.

    Of several processes of a job on a machine the first one speaks, and ends the others; one that fails alone is heard
    after a while.

    Raises:
        SystemExit: With status 1 for a UserError, a Trainer that refuses its flags, or a file that can't be used;
            130 for Ctrl-C.
    """
    try:
        yield
    except (UserError, MisconfigurationException, OSError) as error:
        if isinstance(error, OSError) and error.filename is None:  # of no file, so nothing a user could mend
            raise
        number = os.environ.get("LOCAL_RANK", "0")
        if number != "0":
            time.sleep(GRACE)
        alone = "" if number == "0" else f"process {number}: "
        print(f"error: {alone}{' '.join(str(error).split())}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print("stopped", file=sys.stderr)
        sys.exit(130)
