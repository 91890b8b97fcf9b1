"""The one exception a user is meant to read, and how the commands print it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

from spam_classifier.visible_text import one_line


class UserError(Exception):
    """A mistake its user can mend: one line that names the thing at fault and the remedy.

    The commands print it as ``error: ...`` and exit with status 1, without a traceback.
    """


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Let a command end with one line instead of a traceback where its user made the mistake.

    Raises:
        SystemExit: With status 1 for a UserError, a Trainer that refuses its flags, or a file that can't be used;
            130 for Ctrl-C.
    """
    try:
        yield
    except (UserError, MisconfigurationException, OSError) as error:
        if isinstance(error, OSError) and error.filename is None:  # of no file, so nothing a user could mend
            raise
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"error: {one_line(str(error))}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
