"""The exceptions a user is meant to read, how the commands print them, and text that is safe to print."""

import difflib
import errno
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

GRACE = 3.0  # seconds that a process waits for others to end by themselves
LONGEST_LINE = 2_000  # characters of a message to the user
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}

GPU_IS_FULL = "the GPU's memory is full"


class UserError(Exception):
    """A mistake that the user can mend: one line that names what is wrong and what to do.

    The commands print it as ``error: ...`` and exit with status 1, without a traceback.
    """


class Diverged(UserError):  # noqa: N818  # what it says is what a user reads
    """The loss or the weights are NaN or infinite; ``what`` is not finite, and at which step."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}, the training has diverged: lower --model.learning_rate, set --trainer.gradient_clip_val 1 or, "
            "with another --trainer.precision, 32-true"
        )


def refuse_usage(message: str) -> NoReturn:
    """End a command that was typed wrongly with one line, and with status 2 as argparse does."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"error: {one_line(message)}", file=sys.stderr, flush=True)
    sys.exit(2)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean ...?`` for a misspelt word, or for a flag without its group; "" if nothing is like it."""
    known = list(known)
    close = [name for name in known if name.endswith(f".{word.lstrip('-')}")] or difflib.get_close_matches(word, known)
    return f"; did you mean {close[0]}?" if close else ""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End a command with one line instead of a traceback where the user made the mistake.

    Of several processes on a machine the first one prints, and ends the others. If another process fails alone, it
    prints after a while.

    Raises:
        SystemExit: With status 1 for a UserError, a file that can't be used or a full GPU; 130 for Ctrl-C.
    """
    try:
        yield
    except (UserError, OSError) as error:
        if isinstance(error, OSError) and error.filename is None:
            if error.errno not in DISK_ERRORS:  # no file is named, so the user could not mend anything
                raise
            error.strerror = f"{error.strerror}: check the output directory and the free space on its disk"
        number = os.environ.get("LOCAL_RANK", "0")
        if number != "0":
            time.sleep(GRACE)
        alone = "" if number == "0" else f"process {number}: "
        print(f"error: {alone}{one_line(str(error))}", file=sys.stderr, flush=True)
        sys.exit(1)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # PyTorch's, which is not imported here
            raise
        print(f"error: {GPU_IS_FULL}; --accelerator cpu computes without it", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print("stopped", file=sys.stderr)
        sys.exit(130)


@contextmanager
def importing() -> Iterator[None]:
    """Let Ctrl-C end the process at once while modules are imported; on busy cores, let threads wait without one.

    A KeyboardInterrupt in the middle of an import may surface as another error, with a traceback.
    """
    # OpenMP reads it as torch is imported. Its threads spin while they wait: with four busy processes on two cores the
    # quickstart takes 131 s instead of 57 s. On quiet cores spinning trains GPT-2 124M a seventh faster.
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > (os.cpu_count() or 1) / 2:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    def end(signum: int, frame: object) -> None:
        os.write(2, b"stopped\n")
        os._exit(130)

    former = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def escape_control(text: str) -> str:
    r"""The text on one line, control characters and marks of direction as ``\x1b``: safe to print on a terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def one_line(text: str) -> str:
    """The text as one printable line; the middle of a long one is left out, as problem and remedy are at its ends."""
    half = LONGEST_LINE // 2
    short = text if len(text) <= LONGEST_LINE else f"{text[:half]} … {text[-half:]}"
    return escape_control(" ".join(short.split()))
