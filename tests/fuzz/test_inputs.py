"""Hostile files: tables and lines, as corpora and as input of ``predict``, and e-mails."""

import io
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.columns import Layout
from spam_classifier.data.corpora import read_corpus
from spam_classifier.data.folders import folder_input, folder_texts
from spam_classifier.data.html_text import html_text
from spam_classifier.data.mails import MailError, mail_input, read_mail
from spam_classifier.data.rows import Rejected, Row, Source
from spam_classifier.judging.columns import csv_lines
from spam_classifier.judging.inputs import open_input

TEXTS = ["See you at 7", 'WIN "1,000" now\ncall', "café, at noon", "prize"]
TOKENS = (
    *(b'""', b'"\n"', b",", b"\t", b"text", b"label", b'{"text":', b"null", b"1e999999", b"NaN", b"\\ud800"),
    *(b'{"a":' * 20_000, b"[" * 20_000, b"9" * 5_000, b'"predicted"', b" " * 200_000, b"\xe2\x80\xa8", b'"' * 999),
    *(b"," * 999, b'{"label": "a", "label": 1, "text": 2}', b"sep=;\n", b"sep=\0\n", b";", b"|", b"'", b'\\"', b"\r"),
    *(b"v1,v2,,,\n", b"\n,\n", b"\xe9", b"\x81", b"\xff\xfe\0\0", b"\n".join([b"\xa4"] * 99), b'\t"', b"[1]\n"),
)
MAIL = (
    b"From: a@example.com\r\nSubject: =?utf-8?q?Caf=C3=A9?= prize\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\n'
    b"Content-Type: text/plain; charset=latin-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCaf=E9 now\r\n"
    b"--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+SGk8L2I+\r\n--b--\r\n"
)
MAILBOX = b"".join(b"From a@example.com Mon Jan  1 10:00:00 2024\r\n" + MAIL + b"\r\n>From a\r\n\r\n" for _ in range(3))
MAIL_TOKENS = (
    *(
        b"<p hidden>",
        b"<td style='font-size:0'>",
        b"<style>.a{display:none}",
        b"\xe2\x80\x8b",
        b"=?gb2312?b?",
        b"\x1b$B",
    ),
    *(b"charset=gb2312", b"charset=iso-2022-jp", b"charset=utf-16", b"\xb5\xc7", b"-----BEGIN PGP MESSAGE-----"),
    *(b"Content-Type: multipart/mixed; boundary=c\n\n--c\n", b"Content-Type: message/rfc822\n\n", b"--b\n", b"--b--\n"),
    *(
        b"Content-Type: multipart/mixed; boundary=\n\n",
        b"Content-Type: text/html\n\n<a/",
        b"<!--",
        b"<![CDATA[",
        b"<a x='",
    ),
    *(b"; charset=punycode", b"; charset=zlib", b"; charset=utf-7", b"; charset=\xff", b"; charset*0*=utf-8''%00;\""),
    *(b"Content-Transfer-Encoding: x-uuencode\n\nbegin 666 x\n", b"Content-Disposition: attachment;" + b"a=b;" * 400),
    *(b"Subject: " + b"=?utf-8?b?4pyT?=" * 300 + b"\n", b"Content-Type: " + b";" * 5_000 + b"\n", b"<a/" * 5_000),
    *(b"=?utf-8?q?", b"X: " + b"(" * 5_000, b"a" * 100_000, b"\n" * 5_000, b"&#x110000;", b"<script>", b"</"),
    b"".join(b"Content-Type: multipart/mixed; boundary=n%d\n\n--n%d\n" % (number, number) for number in range(60)),
)


@cache
def valid(suffix: str) -> bytes:
    frame = pd.DataFrame({"label": ["1", "2", "1", "2"], "text": TEXTS})
    if suffix == ".eml":
        return MAIL
    if suffix.endswith(".csv"):
        table = frame.to_csv(index=False, sep=";" if suffix == "semicolon.csv" else ",")
        if suffix == "spilled.csv":
            return b"v1,v2,,,\n" + b"".join(b'ham,"see you",,,\nspam,"WIN "," 1,000",,\n' for _ in range(5))
        if suffix == "backslash.csv":
            return b"label,text\n" + b'1,"he said \\"hi\\", ok"\n2,"x"\n' * 3
        return table.encode({"utf16.csv": "utf-16", "semicolon.csv": "cp1252"}.get(suffix, "utf-8"))
    if suffix == "quoted.tsv":
        return frame.to_csv(index=False, sep="\t", quoting=1).encode()
    if suffix in (".tsv", "labels.txt"):
        return b"label\ttext\n" + b"".join(f"1\t{text.splitlines()[0]}\n".encode() for text in TEXTS)
    if suffix in (".jsonl", ".json"):
        rows = ({"label": 1, "id": [1, {"a": None}], "text": text} for text in TEXTS)
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if suffix == ".txt":
        return "\n".join(TEXTS).encode()
    written = io.BytesIO()
    frame.to_parquet(written)
    return written.getvalue()


KINDS = [".csv", "utf16.csv", "semicolon.csv", "spilled.csv", "backslash.csv", ".tsv", "quoted.tsv", "labels.txt"]
KINDS += [".jsonl", ".json", ".parquet", ".txt", ".eml"]


@pytest.mark.parametrize("suffix", KINDS)
@given(data=st.data())
def test_files(data: st.DataObject, suffix: str, damaged: Callable, unharmed: Callable, scratch: Path) -> None:
    path = scratch / f"input{suffix}"
    path.write_bytes(data.draw(damaged(valid(suffix), MAIL_TOKENS if suffix == ".eml" else TOKENS)))
    into = data.draw(st.sampled_from([None, ".csv", ".jsonl", ".parquet"]))

    def rows() -> list[Row | Rejected]:
        found = list(open_input(path, Layout(), into).rows)
        csv_lines([row.values for row in found if isinstance(row, Row)]).encode()
        return found

    for row in unharmed(rows) or []:
        assert isinstance(row, Row | Rejected)
        assert isinstance(row, Rejected) or row.text.strip()
    bad_rows = data.draw(st.sampled_from(["refuse", "skip"]))
    found = unharmed(lambda: read_corpus(str(path), bad_rows=bad_rows)) if suffix not in (".txt", ".eml") else None
    if found is not None:
        frame = found.messages
        assert (frame["label"].str.strip() != "").all()
        assert (frame["text"].str.strip() != "").all()


@given(data=st.data())
def test_emails(data: st.DataObject, damaged: Callable, unharmed: Callable) -> None:
    raw = data.draw(damaged(MAIL, MAIL_TOKENS))

    def text() -> str:
        try:
            return read_mail(raw).text
        except MailError as error:  # which rejects this row alone
            return str(error)

    assert unharmed(text).encode() is not None
    unharmed(lambda: html_text(raw.decode("utf-8", "replace")))


@given(data=st.data())
def test_mailboxes(data: st.DataObject, damaged: Callable, unharmed: Callable, scratch: Path) -> None:
    """A file, and a directory that holds it, give as many mails of the same texts."""
    raw = data.draw(damaged(MAILBOX, (*MAIL_TOKENS, b"From a@b 10:00\n", b"\n>From ", b"\nFrom ", b"\r\nFrom a@b\r\n")))
    (scratch / "folder").mkdir(exist_ok=True)
    (scratch / "folder/inbox.mbox").write_bytes(raw)
    single = unharmed(lambda: list(mail_input(Source("inbox", lambda: io.BytesIO(raw))).rows))
    for read in (lambda: folder_texts(scratch / "folder"), lambda: folder_input(scratch / "folder", None)):
        rows = unharmed(lambda read=read: list(read().rows))
        assert [row[1] for row in rows] == [row[1] for row in single]
    for row in single:
        assert row[1].encode()


def test_directory_of_emails(unharmed: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MAIL)
    os.mkfifo(tmp_path / "pipe.eml")
    (tmp_path / "gone.eml").symlink_to("nowhere")
    rows = unharmed(lambda: list(open_input(tmp_path, Layout(), None).rows))
    assert [row[1] for row in rows] == ["Café prize\nCafé now", "not a file", "not a file"]
