"""The exceptions a user is meant to read, and how the commands print them."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


class UserError(Exception):
    """A mistake its user can mend: one line that names the thing at fault and the remedy.

    The commands print it as ``error: ...`` and exit with status 1, without a traceback.
    """


class Diverged(UserError):  # noqa: N818  # what it says is what a user reads
    """A training has led to numbers that are none.

    Args:
        what: Which ones, and at which step.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}, the training has diverged: lower --model.learning_rate, set --trainer.gradient_clip_val 1 or, "
            "with another --trainer.precision, 32-true"
        )


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
        if isinstance(error, OSError) and error.filename is None:
            if error.errno not in DISK_ERRORS:  # of no file, so nothing a user could mend
                raise
            error.strerror = f"{error.strerror}: see to the directory that is written to and the space there"
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
