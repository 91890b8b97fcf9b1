"""The exceptions a user is meant to read, how the commands print them, and text that is safe to print."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

GRACE = 3.0  # seconds that a process gives others to end by themselves
LONGEST_LINE = 2_000  # characters of a message to the user
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

    Of several processes of a job on a machine the first one speaks, and ends the others; one that fails alone is heard
    after a while.

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
        number = os.environ.get("LOCAL_RANK", "0")
        if number != "0":
            time.sleep(GRACE)
        alone = "" if number == "0" else f"process {number}: "
        print(f"error: {alone}{one_line(str(error))}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print("stopped", file=sys.stderr)
        sys.exit(130)


def escape_control(text: str) -> str:
    r"""The text on one line, all that is not printed (control characters, marks of direction) as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def one_line(text: str) -> str:
    """The text as one line of a message: white space as single spaces, nothing unprintable, no middle if it is long.

    What is wrong stands at a message's beginning, and what to do at its end.
    """
    return escape_control(" ".join(_shortened(text).split()))


def _shortened(text: str) -> str:
    half = LONGEST_LINE // 2
    return text if len(text) <= LONGEST_LINE else f"{text[:half]} … {text[-half:]}"
