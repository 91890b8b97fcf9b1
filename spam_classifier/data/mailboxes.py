"""Mails of a file: a single one, or a mailbox (mbox) with one after the other."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import partial
from itertools import chain, pairwise
from typing import IO

from spam_classifier.data.mails import COLUMNS, ENVELOPE, MOST_BYTES, mail_row
from spam_classifier.data.rows import Input, Notes, Rows, Source

MAILBOXES = (".mbox", ".mbx")
SUFFIXES = (".eml", *MAILBOXES)
START = b"From "
LONGEST_LINE = 2**16  # bytes read at once
AT_ONCE = 2**20

_HEADER = re.compile(rb">?From |[!-9;-~]+:")
_QUOTED = re.compile(rb"^>(>*From )", re.M)


def mail_input(source: Source) -> Input:
    """The mails of a file. Each of a mailbox is a row, and its place is its number, from 1."""
    notes = Notes()
    with source.open() as file:
        mails = split_mails(file)
        only = next(mails, b"")
        several = next(mails, None) is not None
    column = "mail" if several else "file"
    rows = _mailbox_rows(source, notes) if several else iter([mail_row(only, source.name, column, notes)])
    return Input(source.name, column, [column, *COLUMNS], rows, None if several else 1, notes=notes)


def _mailbox_rows(source: Source, notes: Notes) -> Rows:
    with source.open() as file:
        for number, mail in enumerate(split_mails(file), start=1):
            yield mail_row(mail, number, "mail", notes)


def split_mails(file: IO[bytes]) -> Iterator[bytes]:
    """The mails of a file, one at a time; of one that is too large no more than ``read_mail`` needs to refuse it.

    In a mailbox a line that begins with ``From `` precedes each mail, and lines of mails that begin so are quoted
    with ``>``. Not all programs quote, so such a line counts if a header follows, and it names a time, an address or
    just ``-``, as Mozilla's.
    """
    mark = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
    file.seek(mark)
    head = file.read(AT_ONCE)
    if not head.startswith(START):
        yield head + file.read(MOST_BYTES + 1 - len(head))
        return
    if len(head) < AT_ONCE and b"\n" + START not in head:  # most often; the loop takes longer
        yield _QUOTED.sub(rb"\1", head.partition(b"\n")[2])
        return
    file.seek(mark)
    file.readline()
    mail: list[bytes] = []
    size, at_start = 0, True
    lines = iter(partial(file.readline, LONGEST_LINE), b"")
    for line, following in pairwise(chain(lines, [b""])):
        if at_start and line.startswith(START) and ENVELOPE.match(line) and _HEADER.match(following):
            yield _joined(mail)
            mail, size = [], 0
            continue
        if size <= MOST_BYTES:
            mail.append(_QUOTED.sub(rb"\1", line) if at_start and line.startswith(b">") else line)
            size += len(line)
        at_start = line.endswith(b"\n")
    yield _joined(mail)


def _joined(lines: list[bytes]) -> bytes:
    """A mail without the blank line that separates it from the next one."""
    return b"".join(lines[:-1] if lines and not lines[-1].strip(b"\r\n") else lines)
