"""Where labelled messages come from: the SMS Spam Collection, the embedded sample, or files of the user.

Everywhere here ``corpus`` is what the user gave as ``--data.corpus`` or as a split of its own: ``uci`` (the SMS Spam
Collection of Almeida, Gómez Hidalgo and Yamakami, DocEng 2011, CC BY 4.0), ``sample`` (comes with the package), or a
path:

- ``.zip``: the UCI archive;
- a file of another format: see ``formats``;
- a directory: a folder or an .mbox per class, with messages as .txt files or as e-mails.
"""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from spam_classifier.data.columns import Layout
from spam_classifier.data.download import fetch_collection, read_archive, read_collection
from spam_classifier.data.folders import class_folders, folder_input
from spam_classifier.data.formats import MAILS, TABLES, open_messages, refuse_other_format, suffix_of
from spam_classifier.data.rows import Input, Rejected, Row, Rows, Source
from spam_classifier.data.tables import collection_table
from spam_classifier.errors import UserError
from spam_classifier.files import file_sha256

UCI, SAMPLE = "uci", "sample"
LABELS = ("ham", "spam")  # of uci and sample
ROWS_AT_ONCE = 50_000  # Python objects at a time, before they go into the frame
SHOWN = 5  # bad rows that a message names
BadRows = Literal["refuse", "skip"]


class LeftOut(NamedTuple):
    """A row that is not used, and why."""

    corpus: str
    place: int | str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """The labelled messages of a corpus."""

    messages: pd.DataFrame  # string columns ``label`` and ``text``, a RangeIndex, texts as written
    notes: str  # what was assumed, joined or dropped as it was read, in one line; "" if there is nothing to say
    left_out: list[LeftOut]  # the bad rows that were skipped
    first: dict[str, str]  # where each label occurs first, for messages
    read_from: tuple[str, str]  # the columns of labels and texts, as the flags take them
    sha256: str | None  # its digest, as ``corpus_sha256`` has it; None of a table, which is read piece by piece


def fetch_corpus(corpus: str, cache_dir: str | None = None, *, flag: str = "--data.corpus") -> None:
    """Download ``uci`` unless it is cached, and refuse what ``read_corpus`` can't read. Arguments as there."""
    if corpus == UCI:
        fetch_collection(cache_dir)
    elif corpus != SAMPLE:
        _checked_path(corpus, flag)


def read_corpus(
    corpus: str,
    layout: Layout | None = None,
    *,
    labels: Sequence[str] | None = None,
    bad_rows: BadRows = "refuse",
    cache_dir: str | None = None,
    flag: str = "--data.corpus",
) -> Corpus:
    """Read all labelled messages of a corpus, in file order; never uses the network.

    ``layout`` is what the user says of a file's columns and encoding, ``flag`` the one that names the corpus, for
    messages. The others are arguments of SpamDataModule. Of a directory, only the classes in ``labels`` are read.
    """
    layout = replace(layout or Layout(), labelled=True, flags="--data.")
    found, digest = _found(corpus, cache_dir, flag), hashlib.sha256()
    is_table = False
    if isinstance(found, bytes):
        digest.update(found)
        source = collection_table(Source(corpus, partial(io.BytesIO, found)))
    elif found.is_dir():
        source = folder_input(found, labels)
        source = replace(source, rows=_digested(source.rows, found, digest))
    else:
        is_table = True
        source = open_messages(Source(corpus, lambda: found.open("rb")), suffix_of(found), layout)
    bad: list[Rejected] = []
    first: dict[str, str] = {}
    pieces = list(_pieces(source, bad, first))
    if bad and bad_rows == "refuse":
        raise UserError(_bad_rows(source, bad))
    if not pieces:
        raise UserError(f"{corpus} has no messages: add labelled ones, or name another file")
    if bad:
        source.notes.counts["bad rows left out"] = len(bad)
        source.notes.first["bad rows left out"] = f"{source.unit} {bad[0].place}, {bad[0].reason}"
    left_out = [LeftOut(corpus, row.place, row.reason) for row in bad]
    messages = pd.concat(pieces, ignore_index=True)
    sha256 = None if is_table else digest.hexdigest()
    return Corpus(messages, source.notes.line(), left_out, first, source.read_from, sha256)


def corpus_sha256(
    corpus: str, *, labels: Sequence[str] | None = None, cache_dir: str | None = None, flag: str = "--data.corpus"
) -> str:
    """SHA-256 of a corpus: of its file or the archive's member, of a directory's messages and their names.

    Arguments as for ``read_corpus``.
    """
    found, digest = _found(corpus, cache_dir, flag), hashlib.sha256()
    if isinstance(found, bytes):
        return hashlib.sha256(found).hexdigest()
    if not found.is_dir():
        return file_sha256(found)
    for _ in _digested(folder_input(found, labels).rows, found, digest):
        pass
    return digest.hexdigest()


def _digested(rows: Rows, directory: Path, digest: Any) -> Rows:
    """The rows of a directory as they are; each message goes into the digest with the name of its file."""
    for row in rows:
        if isinstance(row, Row):
            name, content = os.fsencode(Path(str(row.place)).relative_to(directory).as_posix()), row.text.encode()
            digest.update(b"%d %s %d %s" % (len(name), name, len(content), content))
        yield row


def _found(corpus: str, cache_dir: str | None, flag: str) -> bytes | Path:
    """The bytes of ``uci``, of ``sample`` or of the UCI archive; the path of any other corpus."""
    if corpus == UCI:
        return read_collection(cache_dir)
    if corpus == SAMPLE:
        return resources.files("spam_classifier.data").joinpath("sample.tsv").read_bytes()
    path = _checked_path(corpus, flag)
    if path.is_dir() or path.suffix.lower() != ".zip":
        return path
    try:
        return read_archive(path, corpus)
    except UserError as error:
        raise UserError(
            f"{error}; a .zip has to be the UCI archive, messages of your own go in as .tsv or .csv"
        ) from error


def _checked_path(corpus: str, flag: str) -> Path:
    path = Path(corpus)
    try:
        os.stat(corpus)  # noqa: PTH116  (an empty path is no file; Path takes it for the directory at hand)
        if path.is_dir():
            problem = "" if class_folders(path) else "a directory without a folder per class"
        else:
            path.open("rb").close()
            problem = ""
    except OSError as error:
        problem = str(error.strerror)
    if problem:
        raise UserError(
            f"cannot read {flag} {corpus}: {problem}; accepted are {UCI}, {SAMPLE}, the path of a "
            f"{', '.join(TABLES[:-1])} or {TABLES[-1]}, or a directory with a folder or an .mbox of messages per class"
        )
    suffix = suffix_of(path)
    if not path.is_dir() and suffix not in (".zip", *MAILS):
        refuse_other_format(corpus, suffix)
    return path


def _pieces(source: Input, bad: list[Rejected], first: dict[str, str]) -> Iterator[pd.DataFrame]:
    """The messages as frames of ROWS_AT_ONCE; adds the bad rows, and where each label occurs first."""
    labels: list[str | None] = []
    texts: list[str] = []
    # Of a million rows kept as Python objects the garbage collector would take seconds.
    for row in source.rows:
        if isinstance(row, Rejected):
            bad.append(row)
            continue
        place, text, _, _, label = row
        if label not in first:
            first[str(label)] = source.where(place)
        labels.append(label)
        texts.append(text)
        if len(texts) == ROWS_AT_ONCE:
            yield pd.DataFrame({"label": labels, "text": texts}, dtype="str")
            labels, texts = [], []
    if texts:
        yield pd.DataFrame({"label": labels, "text": texts}, dtype="str")


def _bad_rows(source: Input, bad: Sequence[Rejected]) -> str:
    """One line on all bad rows, of which the first ones are named."""
    way = "leave such rows out with --data.bad_rows skip"
    if len(bad) == 1:
        return f"{source.where(bad[0].place)}: {bad[0].reason}; {bad[0].remedy}, or {way}"
    shown = "; ".join(f"{source.unit} {row.place}: {row.reason}" for row in bad[:SHOWN])
    more = f"; and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
    return f"{source.name} has {len(bad):,} bad rows: {shown}{more}; correct them, or {way}"
