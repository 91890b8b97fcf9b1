"""Hostile corpora: directories and archives."""

import io
import os
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data import download
from spam_classifier.data.corpora import read_corpus
from spam_classifier.data.download import ExpectedFile, read_archive

NAMES = st.sampled_from(
    [*(b"ham", b"spam", b".hidden", b"\xff", b"\x1b[2J", b"a\nb", b"x" * 200), *("é".encode(), b"-rf", b"con.txt")]
)
FILES = st.sampled_from([b"1.txt", b"2.TXT", b"3.md", b".4.txt", b"\xff.txt", b"\x1b]0;5.txt", b"\n.txt", b"link.txt"])
CONTENTS = st.one_of(st.binary(max_size=20), st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")))
KINDS = st.sampled_from(["file", "file", "file", "directory", "pipe", "link", "loop"])


@given(
    files=st.dictionaries(st.tuples(NAMES, FILES), st.tuples(KINDS, CONTENTS), max_size=5), with_labels=st.booleans()
)
def test_directories(unharmed: Callable, scratch: Path, files: dict, with_labels: bool) -> None:
    root = scratch / "folders"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for (folder, name), (kind, content) in files.items():
        path = root / os.fsdecode(folder) / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        if kind == "directory":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind in ("link", "loop"):
            path.symlink_to(path if kind == "loop" else "/nowhere")
        else:
            path.write_bytes(content)
    unharmed(lambda: read_corpus(str(root), labels=["ham", "spam"] if with_labels else None))


MESSAGES = b"ham\tSee you at 7\nspam\tWIN now\n"
OTHER_PACKINGS = (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
EXPECTED = ExpectedFile("SMSSpamCollection", len(MESSAGES), sha256(MESSAGES).hexdigest())


def archive(*names: str, content: bytes = MESSAGES, packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", packing) as members:
        for name in names:
            members.writestr(name, content)
    return written.getvalue()


def link(target: str) -> bytes:
    """An archive with a symbolic link."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as members:
        member = zipfile.ZipInfo(EXPECTED.name)
        member.external_attr = 0o120777 << 16
        members.writestr(member, target)
    return written.getvalue()


NAME = EXPECTED.name
ARCHIVES = [
    archive(NAME),
    archive("readme", NAME),
    archive(f"../{NAME}", f"/{NAME}", f"C:\\{NAME}", NAME),
    archive(f"../../{NAME}"),
    archive(NAME, packing=zipfile.ZIP_LZMA),
    *(archive(NAME, content=bytes(10**6), packing=kind) for kind in (zipfile.ZIP_DEFLATED, *OTHER_PACKINGS)),
    link("/etc/passwd"),
]
ZIP_TOKENS = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"\x01\0\x10\0" + b"\xff" * 16)


@given(data=st.data())
def test_archives(data: st.DataObject, damaged: Callable, unharmed: Callable, scratch: Path) -> None:
    path = scratch / "corpus.zip"
    path.write_bytes(data.draw(st.sampled_from(ARCHIVES).flatmap(lambda whole: damaged(whole, ZIP_TOKENS))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "MEMBER", EXPECTED)
        messages = unharmed(lambda: read_archive(path, str(path)))
        assert messages in (None, MESSAGES)
        assert (unharmed(lambda: read_corpus(str(path))) is None) == (messages is None)
