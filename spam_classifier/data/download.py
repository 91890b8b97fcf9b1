"""The SMS Spam Collection: downloaded once, verified, kept in the cache directory."""

import hashlib
import io
import os
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from platformdirs import user_cache_dir

from spam_classifier.errors import UserError
from spam_classifier.network import Obstacle, obstacle

UCI_URLS = (
    "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
    "https://f001.backblazeb2.com/file/LLMs-from-scratch/sms%2Bspam%2Bcollection.zip",
)
ARCHIVE_NAME = "sms+spam+collection.zip"
CACHE_VARIABLE = "SPAM_CLASSIFIER_CACHE"
TIMEOUT = 20.0  # seconds without a connection, or without a further byte
LIMIT = 60.0  # seconds for one download
MOST_BYTES = 10_000_000  # of an archive, which has 200 kB
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks the others as a whole, whatever their size


class ExpectedFile(NamedTuple):
    """A file's name, its size in bytes and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


# The archive is repacked now and then, so only the hash of the file in it is known.
MEMBER = ExpectedFile("SMSSpamCollection", 477_907, "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d")


def cache_directory(cache_dir: str | None = None) -> Path:
    """Where downloads are kept: ``cache_dir``, else $SPAM_CLASSIFIER_CACHE, else the user's cache directory."""
    chosen = cache_dir or os.environ.get(CACHE_VARIABLE) or user_cache_dir("spam_classifier")
    return Path(os.path.expanduser(chosen))  # noqa: PTH111  (Path.expanduser fails for a user it cannot find)


def fetch_collection(cache_dir: str | None = None) -> None:
    """Make sure that the verified ``SMSSpamCollection`` is in the cache directory.

    If it is not there, or wrong, it is taken from an archive placed there by hand, from the UCI or from the mirror.
    """
    cache = cache_directory(cache_dir)
    member, archive = cache / MEMBER.name, cache / ARCHIVE_NAME
    failures: list[UserError] = []
    try:
        if member.exists():
            try:
                _read_member(member)
                return
            except UserError as error:
                failures.append(error)
        sources: list[Callable[[], bytes]] = [partial(_download, url) for url in UCI_URLS]
        if archive.exists():
            sources.insert(0, partial(read_archive, archive, str(archive)))
        for source in sources:
            try:
                _place(source(), member)
                return
            except UserError as error:
                failures.append(error)
    except OSError as error:
        raise UserError(
            f"cannot use the cache directory {cache}: {error.strerror}; choose another with "
            f"--data.cache_dir or the environment variable {CACHE_VARIABLE}"
        ) from error
    raise _unavailable(failures, cache)


def read_collection(cache_dir: str | None = None) -> bytes:
    """The cached ``SMSSpamCollection``; refused if it is missing or damaged. Never uses the network."""
    cache = cache_directory(cache_dir)
    try:
        return _read_member(cache / MEMBER.name)
    except UserError as error:
        raise _unavailable([error], cache) from error


def read_archive(archive: Path | IO[bytes], source: str) -> bytes:
    """The verified ``SMSSpamCollection`` of a zip archive. No other member is read, and no file is written."""
    try:
        size = archive.stat().st_size if isinstance(archive, Path) else archive.seek(0, io.SEEK_END)
        if size > MOST_BYTES:
            raise UserError(f"{source} has {size:,} bytes, more than the {MOST_BYTES:,} of any archive of the messages")
        with zipfile.ZipFile(archive) as members:
            if MEMBER.name not in members.namelist():
                raise UserError(f"{source}: holds no file {MEMBER.name}")
            member = members.getinfo(MEMBER.name)
            if member.compress_type not in PACKINGS:
                raise UserError(f"{source}: {MEMBER.name} is packed by another method than deflation")
            with members.open(member) as file:
                return _read_verified(file, member.file_size, f"{source}: {MEMBER.name}")
    except UserError:
        raise
    except Exception as error:  # what the zip reader or a decompressor raises at damage
        raise UserError(f"{source}: not a readable zip archive ({error})") from error


def _read_member(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _read_verified(file, path.stat().st_size, str(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error


def _read_verified(file: IO[bytes], size: int, source: str) -> bytes:
    if size != MEMBER.size:
        raise UserError(f"{source} has {size} bytes instead of {MEMBER.size} (SHA-256 {MEMBER.sha256})")
    data = file.read(MEMBER.size + 1)  # the size that an archive states may be wrong
    digest = hashlib.sha256(data).hexdigest()
    if digest != MEMBER.sha256:
        raise UserError(f"{source} has the SHA-256 {digest} instead of {MEMBER.sha256}")
    return data


class _Unreachable(UserError):  # noqa: N818  # what it says is what a user reads
    def __init__(self, url: str, obstacle: Obstacle) -> None:
        super().__init__(f"{url}: {obstacle.cause}")
        self.url, self.obstacle = url, obstacle


def _download(url: str) -> bytes:
    from huggingface_hub.utils import get_session  # the client that GPT-2 is downloaded with

    archive, end = io.BytesIO(), time.monotonic() + LIMIT
    try:
        headers = {"Accept-Encoding": "identity"}
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
            if response.status_code != 200:
                raise UserError(f"{url}: HTTP {response.status_code}")
            for piece in response.iter_raw():
                archive.write(piece)
                if archive.tell() > MOST_BYTES:
                    raise UserError(f"{url}: over {MOST_BYTES:,} bytes")
                if time.monotonic() > end:
                    raise UserError(f"{url}: not here after {LIMIT:.0f} seconds")
    except UserError:
        raise
    except Exception as error:  # of many kinds, from the client and the sockets below it
        if found := obstacle(error, url):
            raise _Unreachable(url, found) from error
        raise UserError(f"{url}: {type(error).__name__}") from error
    return read_archive(archive, url)


def _unavailable(failures: list[UserError], cache: Path) -> UserError:
    causes = [str(error) for error in failures if not isinstance(error, _Unreachable)]
    hindered: dict[Obstacle, list[str]] = {}
    for error in failures:
        if isinstance(error, _Unreachable):
            hindered.setdefault(error.obstacle, []).append(error.url)
    causes += [f"{' and '.join(urls)}: {found.cause}" for found, urls in hindered.items()]
    remedies = dict.fromkeys(found.remedy for found in hindered)
    by_hand = f"place {ARCHIVE_NAME} in {cache} by hand"
    return UserError(
        f"cannot get the SMS Spam Collection ({'; '.join(dict.fromkeys(causes))}): {', or '.join([*remedies, by_hand])}"
        ", or pass its path as --data.corpus PATH.zip, or use --data.corpus sample"
    )


def _place(data: bytes, path: Path) -> None:
    """Write a file under a temporary name and rename it: other processes never see a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incomplete-", dir=path.parent) as scratch:
        complete = Path(scratch, path.name)
        complete.write_bytes(data)
        complete.replace(path)
