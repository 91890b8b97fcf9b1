"""A file of mails: a single one or a mailbox, whatever it is called."""

import io
import mailbox
import tracemalloc
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.mails import MOST_BYTES, mail_input, read_mail, split_mails
from spam_classifier.data.rows import Input, Rejected, Source

ENVELOPE = b"From a@example.com Mon Jan  1 10:00:00 2024\n"
COLUMNS = ["text", "lost_characters", "left_out"]


def opened(raw: bytes, name: str = "a.eml") -> Input:
    return mail_input(Source(name, lambda: io.BytesIO(raw)))


def test_single_mail() -> None:
    for before in (b"", ENVELOPE):
        found = opened(before + b"Subject: Prize\nContent-Type: a/b\n\nCall")
        assert (found.unit, found.columns, found.total) == ("file", ["file", *COLUMNS], 1)
        (row,) = found.rows
        assert row[:4] == ("a.eml", "Prize", found.columns, ["a.eml", "Prize", 0, "attachment a/b"])
        assert found.where(row.place) == "a.eml"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_mailbox(newline: bytes) -> None:
    mails = [
        b"Subject: 1\n\n>From here\n>>From there\n\n",
        b"Subject:\n\n\n",
        b"Subject: =?utf-8?b?4pyT4g==?=\n\nCall\n",
    ]
    found = opened(b"".join(ENVELOPE + mail + b"\n" for mail in mails).replace(b"\n", newline))
    assert (found.unit, found.columns, found.total) == ("mail", ["mail", *COLUMNS], None)
    first, second, third = found.rows
    assert (first.place, first.text, first.values[0]) == (1, "1\nFrom here\n>From there", 1)
    assert second == Rejected(2, "no text")
    assert (third.place, third.text.splitlines()[1]) == (3, "Call")
    assert found.where(3) == "a.eml, mail 3"
    assert found.notes.line() == "mails with lost characters: 1 (first: mail 3)"


@pytest.mark.parametrize(
    ("line", "mails"),
    [
        ("\nFrom a@example.com Mon Jan  1 10:00:00 2024\nSubject: b\n", 2),
        ("From - Mon Jan  1 10:00 2024\nX-Mozilla-Status: 0001\n", 2),  # not all programs leave a blank line
        ("From MAILER-DAEMON Mon Jan 1 10:00:00 2024\n>From x\nSubject: b\n", 2),
        ("\nFrom bob@example.com\nSubject: b\n", 2),
        ("\nFrom -\nSubject: b\n", 2),  # Mozilla's
        ("\nFrom here on it is not quoted\n", 1),
        ("\nFrom 10:00 on\n\nSubject: b", 1),
        ("\nFrom the desk of Bob\nNote: call\n", 1),
        (" From a@example.com Mon Jan  1 10:00:00 2024\nSubject: b\n", 1),
        ("x" * 2**16 + "From a@example.com 10:00\nSubject: b\n", 1),
    ],
)
def test_what_begins_a_mail(line: str, mails: int) -> None:
    content = ENVELOPE + b"Subject: a\n\nCall\n" + line.encode()
    for mark in (b"", b"\xef\xbb\xbf"):
        assert len(list(opened(mark + content).rows)) == mails


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp", "Cf"]), min_size=1, max_size=9)
BODIES = st.lists(
    st.one_of(WORDS, st.sampled_from(["", "From a@b.c Mon Jan  1 10:00:00 2024", ">From x", "Subject: b"]))
)


@given(mails=st.lists(st.tuples(WORDS, BODIES), min_size=2, max_size=5))
def test_mailbox_as_python_writes_it(
    mails: list[tuple[str, list[str]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It has as many mails, of the same texts, as there are when they are read one by one."""
    path = tmp_path_factory.mktemp("mbox") / "inbox"
    written = []
    box = mailbox.mbox(path)
    for subject, lines in mails:
        mail = EmailMessage()
        mail["Subject"] = subject
        mail.set_content("\n".join(lines))
        written.append(mail.as_bytes())
        box.add(mailbox.mboxMessage(mail))
    box.close()
    read = [row.text for row in opened(path.read_bytes()).rows]
    assert [text.replace(">From ", "From ") for text in read] == [
        read_mail(raw).text.replace(">From ", "From ") for raw in written
    ]


@pytest.mark.slow
def test_only_one_mail_is_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "inbox.mbox"
    with path.open("wb") as file:
        for number in range(32):
            file.write(ENVELOPE + b"Subject: %d\nContent-Type: application/pdf\n\n" % number)
            file.write((b"x" * 1023 + b"\n") * 1024 + b"\n")
    tracemalloc.start()
    try:
        found = mail_input(Source("inbox.mbox", lambda: path.open("rb")))
        assert [row.text for row in found.rows] == [str(number) for number in range(32)]
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


def test_mail_without_end_takes_bounded_memory_and_the_next_one_is_read() -> None:
    raw = ENVELOPE + b"Subject: a\n\n" + b"x" * (MOST_BYTES + 2**20) + b"\n\n" + ENVELOPE + b"Subject: b\n\nc\n"
    sizes = [len(mail) for mail in split_mails(io.BytesIO(raw))]
    assert MOST_BYTES < sizes[0] <= MOST_BYTES + 2**16 + 20
    first, second = opened(raw).rows
    assert isinstance(first, Rejected)
    assert second.text == "b\nc"
    assert len(next(split_mails(io.BytesIO(b"x" * (MOST_BYTES + 2**20))))) == MOST_BYTES + 1


def test_what_is_no_mail_is_rejected() -> None:
    for raw in (b"", b"Hello", bytes.fromhex("D0CF11E0A1B11AE1") + bytes(99)):
        (row,) = opened(raw).rows
        assert isinstance(row, Rejected)
        assert row.reason.startswith("no e-mail")
