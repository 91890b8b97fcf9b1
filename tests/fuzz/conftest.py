"""What all fuzz tests share: damage done to valid files, and a look at what the code under test does meanwhile.

In ``make test`` each target gets 25 inputs, in CI 100, always the same ones; ``make fuzz`` gives it 10,000 new ones.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import currently_in_test_context, event
from hypothesis import strategies as st

from spam_classifier.errors import LONGEST_LINE, UserError, one_line

ROOM = 4 * 2**30  # bytes of address space that may be taken beyond what the process has
SECONDS = 60  # until an input is said to hang
WRITES = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.symlink": 1, "os.link": 1, "os.truncate": 0, "os.rmdir": 0}
CODE = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pickle.find_class", "socket.connect"}
NUMBERS = [0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 10**12, 2**63 - 1, 2**64 - 1]
TOKENS = [b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n", b"\x1b[31m", b"\xed\xa0\x80", b'"', b"\\"]

Damage = Callable[..., st.SearchStrategy[bytes]]


class Watch:
    """Takes down what Python's audit events tell of writing and of code, while it is on."""

    def __init__(self) -> None:
        self.allowed: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._take_down)

    def _take_down(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if name in CODE:
            self.seen.append(f"{name} {arguments}")
        elif name in WRITES:
            self._written(name, arguments[WRITES[name]])
        elif name == "open":
            path, mode, flags = arguments
            writes = mode and set(mode) & set("wax+")
            if writes or (mode is None and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                self._written(name, path)

    def _written(self, name: str, path: Any) -> None:
        if isinstance(path, int):
            return
        path = os.path.realpath(os.fsdecode(path))
        assert self.allowed is not None
        if not path.startswith((self.allowed, os.devnull)) and "__pycache__" not in path:
            self.seen.append(f"{name} {path}")


WATCH = Watch()


def _hangs(*_: object) -> None:
    pytest.fail(f"no answer within {SECONDS} seconds")


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="session")
def unharmed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[], Any]], Any]:
    """Call something that reads an input: it returns, or refuses with a UserError of one line; anything else fails."""
    allowed = os.path.realpath(tmp_path_factory.getbasetemp())

    def call(read: Callable[[], Any]) -> Any:
        WATCH.seen.clear()
        former = signal.signal(signal.SIGALRM, _hangs)
        signal.alarm(SECONDS)
        WATCH.allowed = allowed
        try:
            result = read()
        except UserError as error:
            result = None
            told = one_line(str(error))
            assert told.isprintable()
            assert 0 < len(told) < 10 * LONGEST_LINE
            outcome = "refused"
        else:
            outcome = "accepted"
        finally:
            WATCH.allowed = None
            signal.alarm(0)
            signal.signal(signal.SIGALRM, former)
        assert not WATCH.seen
        if currently_in_test_context():
            event(outcome)
        return result

    return call


@pytest.fixture(scope="module", autouse=True)
def bounded_memory() -> Iterator[None]:
    """Allocations that go beyond all measure fail, where the system can bound them."""
    status = Path("/proc/self/status")
    if not status.exists():
        yield
        return
    size = next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmSize"))
    former = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, former[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, former)


@pytest.fixture(scope="session")
def damaged() -> Damage:
    """A strategy of bytes: a valid file, damaged here and there, or any bytes."""

    @cache
    def strategy(valid: bytes, tokens: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
        places = st.integers(0, max(1, len(valid) - 1))
        harm = st.tuples(
            st.sampled_from(["flip", "cut", "drop", "repeat", "move", "insert", "insert", "number"]),
            places,
            st.integers(0, 255),
            st.sampled_from([*TOKENS, *tokens]),
            st.sampled_from(NUMBERS),
        )
        harmed = st.lists(harm, max_size=6).map(lambda all_harm: _damaged(valid, all_harm))
        return st.one_of(harmed, harmed, harmed, st.binary(max_size=300))

    return strategy


def _damaged(raw: bytes, all_harm: list[tuple[str, int, int, bytes, int]]) -> bytes:
    for what, place, size, token, number in all_harm:
        before, piece, behind = raw[:place], raw[place : place + size], raw[place + size :]
        value = number.to_bytes(8 if number >= 2**32 else 4, "little")
        raw = {
            "flip": before + bytes([size]) + raw[place + 1 :],
            "cut": before,
            "drop": before + behind,
            "repeat": before + piece * 9 + behind,
            "move": behind + piece + before,
            "insert": before + token + raw[place:],
            "number": before + value + raw[place + len(value) :],
        }[what]
    return raw
