"""Where labelled messages come from: the SMS Spam Collection, the embedded sample, or files of the user.

Everywhere here ``corpus`` is what the user gave as ``--data.corpus`` or as a split of its own: ``uci`` (the SMS Spam
Collection of Almeida, Gómez Hidalgo and Yamakami, DocEng 2011, CC BY 4.0), ``sample`` (comes with the package), or a
path:

- ``.zip``: the UCI archive;
- ``.tsv``: a label, a tab and a text on each line, as in the UCI archive, or named columns under a header.
  Nothing is quoted, so a text may hold any character but a tab or a line feed;
- ``.csv``: named columns under a header, quoted as in RFC 4180;
- ``.jsonl``, ``.ndjson``: a JSON object on each line;
- ``.parquet``: named columns;
- a directory: a folder per class, a ``.txt`` per message.
"""

import hashlib
import io
import os
import reprlib
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from importlib import resources
from pathlib import Path

import pandas as pd

from spam_classifier.data.download import fetch_collection, read_archive, read_collection
from spam_classifier.data.folders import class_folders, folder_input
from spam_classifier.data.rows import Input, Layout, Rejected, Row, Source
from spam_classifier.data.tables import open_table, tsv_table
from spam_classifier.errors import UserError
from spam_classifier.files import file_sha256

UCI, SAMPLE = "uci", "sample"
LABELS = ("ham", "spam")  # of uci and sample
SUFFIXES = (".zip", ".tsv", ".csv", ".jsonl", ".ndjson", ".parquet")
ROWS_AT_ONCE = 50_000  # Python objects at a time, before they go into the frame


def fetch_corpus(corpus: str, cache_dir: str | None = None, *, flag: str = "--data.corpus") -> None:
    """Download ``uci`` unless it is cached, and refuse what ``read_corpus`` can't read. Arguments as there."""
    if corpus == UCI:
        fetch_collection(cache_dir)
    elif corpus != SAMPLE:
        _checked_path(corpus, flag)


def read_corpus(
    corpus: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    labels: Sequence[str] | None = None,
    cache_dir: str | None = None,
    flag: str = "--data.corpus",
) -> pd.DataFrame:
    """Read all labelled messages of a corpus, in file order, texts exactly as written; never uses the network.

    Args:
        corpus: ``uci``, ``sample``, or a path.
        text_column: Column of the text in a file with named columns.
        label_column: Column of the label, likewise.
        labels: All labels that may occur; default: ham and spam in ``uci`` and ``sample``, else any. Of a directory
            only the folders of these names are read.
        cache_dir: Where downloads are kept; default: $SPAM_CLASSIFIER_CACHE, else the user's cache directory.
        flag: The flag that names the corpus, for messages.

    Returns:
        Frame with the string columns ``label`` and ``text`` and a RangeIndex.

    Raises:
        UserError: The corpus is missing, or a row can't be read or has another label; names its line, row or file.
    """
    layout = Layout(text_column, label_column, "name them with --data.label_column and --data.text_column")
    if corpus in (UCI, SAMPLE):
        labels = labels or LABELS
    raw = _collection(corpus, cache_dir, flag)
    if raw is not None:
        source = tsv_table(Source(corpus, partial(io.BytesIO, raw)), layout)
    elif (path := _checked_path(corpus, flag)).is_dir():
        source = folder_input(path, labels)
    else:
        source = open_table(Source(corpus, lambda: path.open("rb")), path.suffix.lower(), layout)
    pieces = list(_checked_pieces(source, labels))
    if not pieces:
        raise UserError(f"{corpus} has no messages: add labelled ones, or name another file")
    return pd.concat(pieces, ignore_index=True)


def corpus_sha256(
    corpus: str, *, labels: Sequence[str] | None = None, cache_dir: str | None = None, flag: str = "--data.corpus"
) -> str:
    """SHA-256 of a corpus: of its file or the archive's member, of a directory's messages and their names.

    Arguments as for ``read_corpus``.
    """
    raw = _collection(corpus, cache_dir, flag)
    if raw is not None:
        return hashlib.sha256(raw).hexdigest()
    path = _checked_path(corpus, flag)
    if not path.is_dir():
        return file_sha256(path)
    digest = hashlib.sha256()
    for row in _accepted(folder_input(path, labels)):
        name, content = os.fsencode("/".join(Path(str(row.place)).parts[-2:])), row.text.encode()
        digest.update(b"%d %s %d %s" % (len(name), name, len(content), content))
    return digest.hexdigest()


def _collection(corpus: str, cache_dir: str | None, flag: str) -> bytes | None:
    """The bytes of ``uci``, of ``sample`` or of the UCI archive; None for any other corpus."""
    if corpus == UCI:
        return read_collection(cache_dir)
    if corpus == SAMPLE:
        return resources.files("spam_classifier.data").joinpath("sample.tsv").read_bytes()
    path = _checked_path(corpus, flag)
    if path.is_dir() or path.suffix.lower() != ".zip":
        return None
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
            problem = "" if path.suffix.lower() in SUFFIXES else "unknown format"
    except OSError as error:
        problem = str(error.strerror)
    if problem:
        raise UserError(
            f"cannot read {flag} {corpus}: {problem}; accepted are {UCI}, {SAMPLE}, the path of a "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, or a directory with a folder of .txt files per class"
        )
    return path


def _accepted(source: Input) -> Iterator[Row]:
    """The rows of an input; refuses it at the first one that is rejected."""
    for row in source.rows:
        if isinstance(row, Rejected):
            raise UserError(f"{source.where(row.place)}: {row.reason}; {row.remedy}")
        yield row


def _checked_pieces(source: Input, expected: Collection[str] | None) -> Iterator[pd.DataFrame]:
    """The messages as frames of ROWS_AT_ONCE; labels that are not expected are refused."""
    labels, texts = [], []
    # Of a million rows kept as Python objects the garbage collector would take seconds.
    for row in _accepted(source):
        if expected and row.label not in expected:
            raise UserError(
                f"{source.where(row.place)}: label {reprlib.repr(row.label)} is none of {', '.join(expected)}; correct "
                "it, or name all labels with --data.labels"
            )
        labels.append(row.label)
        texts.append(row.text)
        if len(texts) == ROWS_AT_ONCE:
            yield pd.DataFrame({"label": labels, "text": texts}, dtype="str")
            labels, texts = [], []
    if texts:
        yield pd.DataFrame({"label": labels, "text": texts}, dtype="str")
