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
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from importlib import resources
from pathlib import Path

import pandas as pd

from spam_classifier.data.class_folders import class_folders, folder_records
from spam_classifier.data.delimited import csv_records, tsv_records
from spam_classifier.data.download import fetch_collection, read_archive, read_collection
from spam_classifier.data.json_lines import json_lines_records
from spam_classifier.data.records import Record, Source
from spam_classifier.errors import UserError
from spam_classifier.files import file_sha256

UCI, SAMPLE = "uci", "sample"
LABELS = ("ham", "spam")  # of uci and sample
TEXT_READERS: dict[str, Callable[[Source, str, str], Iterator[Record]]] = {
    ".tsv": tsv_records,
    ".csv": csv_records,
    ".jsonl": json_lines_records,
    ".ndjson": json_lines_records,
}
SUFFIXES = (".zip", *TEXT_READERS, ".parquet")
ROWS_AT_ONCE = 50_000  # that are Python objects before they go into the frame


def fetch_corpus(corpus: str, cache_dir: str | None = None, *, flag: str = "--data.corpus") -> None:
    """Make sure that ``read_corpus`` will find the corpus: download ``uci`` unless cached, look for a file.

    Args:
        corpus: ``uci``, ``sample``, or a path.
        cache_dir: Where downloads are kept; default: $SPAM_CLASSIFIER_CACHE, else the user's cache directory.
        flag: Where the user named it.

    Raises:
        UserError: ``corpus`` names nothing that can be read, or the download fails.
    """
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
        text_column: Column of the text in a file with named columns, in this case or, if unique, in any other.
        label_column: Column of the label, likewise.
        labels: All labels that may occur; default: ham and spam in ``uci`` and ``sample``, else any. Of a directory
            only the folders of these names are read.
        cache_dir: Where ``fetch_corpus`` put its download.
        flag: Where the user named the corpus.

    Returns:
        Frame with the string columns ``label`` and ``text`` and a RangeIndex.

    Raises:
        UserError: The corpus is missing or malformed, or a message has no text or no expected label. Names
            the line as a text editor counts them, the row of a .parquet, or the message's file.
    """
    unit = "line"
    if corpus in (UCI, SAMPLE):
        labels = labels or LABELS
        raw = read_collection(cache_dir) if corpus == UCI else _sample()
        records = tsv_records(Source(corpus, partial(io.BytesIO, raw)), label_column, text_column)
    elif (path := _checked_path(corpus, flag)).is_dir():
        unit, records = "file", folder_records(path, labels)
    elif (suffix := path.suffix.lower()) == ".parquet":
        from spam_classifier.data.parquet import parquet_records  # an extra, which others need not have

        unit, records = "row", parquet_records(path, label_column, text_column)
    elif suffix == ".zip":
        records = tsv_records(Source(corpus, partial(io.BytesIO, _own_archive(path))), label_column, text_column)
    else:
        records = TEXT_READERS[suffix](Source(corpus, lambda: path.open("rb")), label_column, text_column)

    def where(place: int | str) -> str:
        return str(place) if unit == "file" else f"{corpus}, {unit} {place}"

    pieces = list(_checked_pieces(records, where, labels))
    if not pieces:
        raise UserError(f"{corpus} has no messages: add labelled ones, or name another file")
    return pd.concat(pieces, ignore_index=True)


def corpus_sha256(
    corpus: str,
    *,
    labels: Sequence[str] | None = None,
    cache_dir: str | None = None,
    flag: str = "--data.corpus",
) -> str:
    """SHA-256 of a corpus: of its file, or of the archive's member; in a directory of the messages and their names.

    Args:
        corpus: ``uci``, ``sample``, or a path.
        labels: As for ``read_corpus``; the next two, too.
        cache_dir: Where ``fetch_corpus`` put its download.
        flag: Where the user named the corpus.

    Raises:
        UserError: The corpus is missing.
    """
    if corpus in (UCI, SAMPLE):
        return hashlib.sha256(read_collection(cache_dir) if corpus == UCI else _sample()).hexdigest()
    path = _checked_path(corpus, flag)
    if path.is_dir():
        digest = hashlib.sha256()
        for message, label, text in folder_records(path, labels):
            name, content = os.fsencode(f"{label}/{Path(str(message)).name}"), text.encode()
            digest.update(b"%d %s %d %s" % (len(name), name, len(content), content))
        return digest.hexdigest()
    if path.suffix.lower() == ".zip":
        return hashlib.sha256(_own_archive(path)).hexdigest()
    return file_sha256(path)


def _sample() -> bytes:
    return resources.files("spam_classifier.data").joinpath("sample.tsv").read_bytes()


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


def _own_archive(path: Path) -> bytes:
    try:
        return read_archive(path, str(path))
    except UserError as error:
        raise UserError(
            f"{error}; a .zip has to be the UCI archive, messages of your own go in as .tsv or .csv"
        ) from error


def _checked_pieces(
    records: Iterator[Record], where: Callable[[int | str], str], labels: Collection[str] | None
) -> Iterator[pd.DataFrame]:
    """The messages as frames of ROWS_AT_ONCE; blank texts and labels are refused, and labels that are not expected."""
    own_labels, texts = [], []
    # One at a time: a million records kept at once would cost the garbage collector seconds.
    for place, label, text in records:
        label = label.strip()
        if not label or not text or text.isspace():
            raise UserError(f"{where(place)}: empty {'text' if label else 'label'}; fill it in or delete the message")
        if labels and label not in labels:
            raise UserError(
                f"{where(place)}: label {reprlib.repr(label)} is none of {', '.join(labels)}; correct it, or name all "
                "labels with --data.labels"
            )
        own_labels.append(label)
        texts.append(text)
        if len(texts) == ROWS_AT_ONCE:
            yield _frame(own_labels, texts)
            own_labels, texts = [], []
    if texts:
        yield _frame(own_labels, texts)


def _frame(labels: list[str], texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"label": labels, "text": texts}, dtype="str")
