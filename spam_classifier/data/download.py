"""The SMS Spam Collection: downloaded once, verified, kept in the cache directory."""

import hashlib
import io
import os
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from pooch import HTTPDownloader, os_cache
from tqdm import tqdm

from spam_classifier.errors import UserError

UCI_URLS = (
    "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
    "https://f001.backblazeb2.com/file/LLMs-from-scratch/sms%2Bspam%2Bcollection.zip",
)
ARCHIVE_NAME = "sms+spam+collection.zip"
CACHE_VARIABLE = "SPAM_CLASSIFIER_CACHE"
ROUNDS = 2  # each URL is tried this often
PAUSE = 1.0  # seconds between two rounds
TIMEOUT = 20.0  # seconds without a connection, or without a further byte
LIMIT = 60.0  # seconds for one download: a server that sends a byte now and then is no better than one that stalls
MOST_BYTES = 10_000_000  # of an archive, which has 200 kB
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile has the others unpack all they are given at once


@dataclass(frozen=True)
class ExpectedFile:
    """What a file has to be. Size in bytes, SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


# The archive is packed anew now and then, so only the file in it can be told by its hash.
MEMBER = ExpectedFile("SMSSpamCollection", 477_907, "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d")


def cache_directory(cache_dir: str | None = None) -> Path:
    """Where downloads are kept: ``cache_dir``, else $SPAM_CLASSIFIER_CACHE, else the user's own cache."""
    chosen = cache_dir or os.environ.get(CACHE_VARIABLE) or os_cache("spam_classifier")
    return Path(os.path.expanduser(chosen))  # noqa: PTH111  (Path.expanduser fails for a user it cannot find)


def fetch_collection(cache_dir: str | None = None) -> None:
    """Make sure that the verified ``SMSSpamCollection`` lies in the cache directory.

    It stays if it is there and right. Else it is taken out of an archive placed there by hand, or out of a
    downloaded one, and put in place in one step: other processes never see a part of it.

    Args:
        cache_dir: As for ``cache_directory``.

    Raises:
        UserError: No source gives the right file, or the cache directory cannot be written.
    """
    cache = cache_directory(cache_dir)
    member, archive = cache / MEMBER.name, cache / ARCHIVE_NAME
    failures: list[str] = []
    try:
        if member.exists():
            try:
                _read_member(member)
                return
            except UserError as error:
                failures.append(str(error))
        sources: list[Callable[[], bytes]] = [partial(_download, url) for url in UCI_URLS]
        if archive.exists():
            sources.insert(0, partial(read_archive, archive, str(archive)))
        _place(_first_success(sources, failures, cache), member)
    except OSError as error:
        raise UserError(
            f"cannot use the cache directory {cache}: {error.strerror}; choose another with "
            f"--data.cache_dir or the environment variable {CACHE_VARIABLE}"
        ) from error


def read_collection(cache_dir: str | None = None) -> bytes:
    """The cached ``SMSSpamCollection``, verified; never touches the network.

    Raises:
        UserError: It is not in the cache directory, or damaged.
    """
    cache = cache_directory(cache_dir)
    try:
        return _read_member(cache / MEMBER.name)
    except UserError as error:
        raise _unavailable([str(error)], cache) from error


def read_archive(archive: Path | IO[bytes], source: str) -> bytes:
    """``SMSSpamCollection`` out of the zip archive, verified. No other member is read and no file written.

    Args:
        archive: Path, or the open archive.
        source: What error messages call it.

    Raises:
        UserError: This is no zip archive, it is damaged, or it does not hold the expected file.
    """
    try:
        size = archive.stat().st_size if isinstance(archive, Path) else archive.seek(0, io.SEEK_END)
        if size > MOST_BYTES:
            raise UserError(f"{source} has {size:,} bytes, more than the {MOST_BYTES:,} of any archive of the messages")
        with zipfile.ZipFile(archive) as members:
            try:
                member = members.getinfo(MEMBER.name)
            except KeyError:
                raise UserError(f"{source}: holds no file {MEMBER.name}") from None
            if member.compress_type not in PACKINGS:
                raise UserError(f"{source}: {MEMBER.name} is packed by another method than deflation, and not unpacked")
            with members.open(member) as file:
                return _read_verified(file, member.file_size, f"{source}: {MEMBER.name}")
    except UserError:
        raise
    except Exception as error:  # damage surfaces as whatever exception the zip reader or a decompressor meets
        raise UserError(f"{source}: not a readable zip archive ({error})") from error


def _read_member(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _read_verified(file, path.stat().st_size, str(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error


def _read_verified(file: IO[bytes], size: int, source: str) -> bytes:
    """All of the file if it is ``MEMBER``; never more than one byte over, whatever ``size`` declares."""
    if size != MEMBER.size:
        raise UserError(f"{source} has {size} bytes instead of {MEMBER.size} (SHA-256 {MEMBER.sha256})")
    data = file.read(MEMBER.size + 1)
    digest = hashlib.sha256(data).hexdigest()
    if digest != MEMBER.sha256:
        raise UserError(f"{source} has the SHA-256 {digest} instead of {MEMBER.sha256}")
    return data


class _Archive(io.BytesIO):
    """An archive on its way, which stops the download where it can't be the one that is wanted."""

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Take more of it."""
        written = super().write(data)
        if self.tell() > MOST_BYTES:
            raise UserError(f"over {MOST_BYTES:,} bytes")
        return written


def _download(url: str) -> bytes:
    archive, failures = _Archive(), [f"not here after {LIMIT:.0f} seconds"]
    # A thread can be left behind, wherever it waits: for a name, a connection, a header or a byte.
    download = threading.Thread(target=_download_into, args=(archive, url, failures), daemon=True)
    download.start()
    download.join(LIMIT)
    if failures:
        raise UserError(f"{url}: {failures[-1]}")
    return read_archive(archive, url)


def _download_into(archive: IO[bytes], url: str, failures: list[str]) -> None:
    """Download; ``failures`` ends in the reason where that fails, and is empty where it does not."""
    # The total is a guess until the response tells it; pooch takes a bar without one for no bar.
    with tqdm(desc=MEMBER.name, total=MEMBER.size, unit="B", unit_scale=True, leave=False, disable=None) as progress:
        try:
            HTTPDownloader(progressbar=progress, timeout=TIMEOUT)(url, archive, None)
        except Exception as error:  # of whatever kind, its place is in the list
            response = getattr(error, "response", None)
            told = str(error) if isinstance(error, UserError) else type(error).__name__
            failures.append(told if response is None else f"HTTP {response.status_code}")
        else:
            failures.clear()


def _first_success(sources: list[Callable[[], bytes]], failures: list[str], cache: Path) -> bytes:
    """What the first source that works returns; ``failures`` holds what was tried before."""
    for round_number in range(ROUNDS):
        time.sleep(round_number * PAUSE)
        for source in sources:
            try:
                return source()
            except UserError as error:
                failures.append(str(error))
    raise _unavailable(failures, cache)


def _unavailable(failures: list[str], cache: Path) -> UserError:
    return UserError(
        f"cannot get the SMS Spam Collection ({'; '.join(dict.fromkeys(failures))}): place {ARCHIVE_NAME} in "
        f"{cache} by hand, or pass its path as --data.corpus PATH.zip, or use --data.corpus sample"
    )


def _place(data: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incomplete-", dir=path.parent) as scratch:
        complete = Path(scratch, path.name)
        complete.write_bytes(data)
        complete.replace(path)
