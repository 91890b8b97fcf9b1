"""One command at a time."""

from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from spam_classifier.errors import UserError
from spam_classifier.whole_file import writing


def held_lock(path: Path, guarded: Path, refusal: str) -> AcquireReturnProxy:
    """A lock file that this process holds until it is released, or to the end of a ``with``.

    Args:
        path: The lock file.
        guarded: What it guards, as an error names it.
        refusal: What to tell the user where another process holds it.

    Raises:
        UserError: Another process holds it, or it can't be made.
    """
    with writing(guarded):
        try:
            return FileLock(path).acquire(timeout=0)
        except Timeout as error:
            raise UserError(refusal) from error
