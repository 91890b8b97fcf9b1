"""Where labelled messages come from: the SMS Spam Collection, the embedded sample, or a file of the user.

Everywhere here ``corpus`` is what the user gave as ``--data.corpus``: ``uci`` (the SMS Spam Collection of
Almeida, Gómez Hidalgo and Yamakami, DocEng 2011, CC BY 4.0), ``sample`` (comes with the package), or a path:

- ``.zip``: the UCI archive;
- ``.tsv``: a label, a tab and a text on each line, as in the UCI archive, or named columns under a header.
  Nothing is quoted, so a text may hold any character but a tab or a line feed;
- ``.csv``: named columns under a header, quoted as in RFC 4180.
"""

import csv
import io
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import chain
from pathlib import Path

import pandas as pd

from spam_classifier.data.download import fetch_collection, read_archive, read_collection
from spam_classifier.errors import UserError

UCI, SAMPLE = "uci", "sample"
LABELS = ("ham", "spam")  # of uci and sample
SUFFIXES = (".zip", ".tsv", ".csv")

Record = tuple[int, list[str]]  # the line it starts on, its fields


@dataclass(frozen=True)
class Columns:
    """The names of all columns of a file, and the places of two of them."""

    names: list[str]
    label: int
    text: int


def fetch_corpus(corpus: str, cache_dir: str | None = None) -> None:
    """Make sure that ``read_corpus`` will find the corpus: download ``uci`` unless cached, look for a file.

    Args:
        corpus: ``uci``, ``sample``, or a path.
        cache_dir: Where downloads are kept; default: $SPAM_CLASSIFIER_CACHE, else the user's cache directory.

    Raises:
        UserError: ``corpus`` names nothing that can be read, or the download fails.
    """
    if corpus == UCI:
        fetch_collection(cache_dir)
    elif corpus != SAMPLE:
        _checked_path(corpus)


def read_corpus(
    corpus: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    labels: Sequence[str] | None = None,
    cache_dir: str | None = None,
) -> pd.DataFrame:
    """Read all labelled messages of a corpus, in file order, texts exactly as written; never uses the network.

    Args:
        corpus: ``uci``, ``sample``, or a path.
        text_column: Column of the text in a file with a header, in this case or, if unique, in any other.
        label_column: Column of the label, likewise.
        labels: All labels that may occur; default: ham and spam in ``uci`` and ``sample``, else any.
        cache_dir: Where ``fetch_corpus`` put its download.

    Returns:
        Frame with the string columns ``label`` and ``text`` and a RangeIndex.

    Raises:
        UserError: The corpus is missing or malformed, or a message has no text or no expected label. Names
            the line as a text editor counts them.
    """
    suffix = ".tsv"
    if corpus == UCI:
        raw = read_collection(cache_dir)
    elif corpus == SAMPLE:
        raw = resources.files("spam_classifier.data").joinpath("sample.tsv").read_bytes()
    else:
        path = _checked_path(corpus)
        suffix = path.suffix.lower()
        raw = _own_archive(path) if suffix == ".zip" else path.read_bytes()
    if not labels and corpus in (UCI, SAMPLE):
        labels = LABELS

    parse = _parse_csv if suffix == ".csv" else _parse_tsv
    messages = parse(_decode(raw, corpus), corpus, label_column, text_column)
    _check_messages(messages, corpus, labels)
    return messages.reset_index(drop=True)


def _checked_path(corpus: str) -> Path:
    path = Path(corpus)
    try:
        path.open("rb").close()
        problem = "" if path.suffix.lower() in SUFFIXES else "unknown format"
    except OSError as error:
        problem = str(error.strerror)
    if problem:
        raise UserError(
            f"cannot read --data.corpus {corpus}: {problem}; accepted are {UCI}, {SAMPLE}, or the path of a "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )
    return path


def _own_archive(path: Path) -> bytes:
    try:
        return read_archive(path, str(path))
    except UserError as error:
        raise UserError(
            f"{error}; a .zip has to be the UCI archive, messages of your own go in as .tsv or .csv"
        ) from error


def _decode(raw: bytes, corpus: str) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{corpus}, line {line}: not UTF-8; convert the file from what it is, as in: "
            f"iconv -f latin1 -t utf-8 {corpus} > converted{Path(corpus).suffix}"
        ) from error
    if not text.strip("\r\n"):
        raise UserError(f"{corpus} is empty: write labelled messages into it, or pick another --data.corpus")
    return text


def _parse_tsv(text: str, corpus: str, label_column: str, text_column: str) -> pd.DataFrame:
    # Neither splitlines nor csv: quotes and all other line separators are part of a message.
    lines = text.replace("\r\n", "\n").split("\n")
    records = ((number, line.split("\t")) for number, line in enumerate(lines, start=1) if line)
    remedy = "put one tab between fields and none into a text (a quoted .csv can hold tabs)"
    first = next(records)
    columns = _named_columns(first[1], label_column, text_column)
    if columns is not None:
        return _collect_messages(records, columns, corpus, remedy)
    remedy += ", or name the columns of a header with --data.label_column and --data.text_column"
    return _collect_messages(chain([first], records), Columns(["label", "text"], 0, 1), corpus, remedy)


def _parse_csv(text: str, corpus: str, label_column: str, text_column: str) -> pd.DataFrame:
    records = _csv_records(text, corpus)
    line, header = next(records)
    columns = _named_columns(header, label_column, text_column)
    if columns is None:
        raise UserError(
            f"{corpus}, line {line}: the columns are {', '.join(map(repr, header))}, without one "
            f"{label_column!r} and one {text_column!r}; name them with --data.label_column and "
            "--data.text_column"
        )
    return _collect_messages(records, columns, corpus, "put a text that holds commas between quotes")


def _csv_records(text: str, corpus: str) -> Iterator[Record]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # the default is 128 KiB
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{corpus}, line {line}: malformed CSV ({error}); put a text that holds quotes, commas or line "
            "breaks between quotes, and double each quote in it"
        ) from error


def _named_columns(names: list[str], label_column: str, text_column: str) -> Columns | None:
    label, text = _find_column(names, label_column), _find_column(names, text_column)
    return None if label is None or text is None or label == text else Columns(names, label, text)


def _find_column(names: list[str], wanted: str) -> int | None:
    """Where the column stands that has this name, or else the only one that has it in another case."""
    exact = [index for index, name in enumerate(names) if name == wanted]
    any_case = [index for index, name in enumerate(names) if name.casefold() == wanted.casefold()]
    return next((found[0] for found in (exact, any_case) if len(found) == 1), None)


def _collect_messages(records: Iterable[Record], columns: Columns, corpus: str, remedy: str) -> pd.DataFrame:
    """Frame of ``label`` and ``text``, indexed by line; ``remedy`` is for records of another width."""
    lines, labels, texts = [], [], []
    # One at a time: a million lists of fields kept at once would cost the garbage collector seconds.
    for line, fields in records:
        if len(fields) != len(columns.names):
            raise UserError(
                f"{corpus}, line {line}: the number of fields is {len(fields)}, not {len(columns.names)} "
                f"({', '.join(columns.names)}); {remedy}"
            )
        lines.append(line)
        labels.append(fields[columns.label].strip())
        texts.append(fields[columns.text])
    if not lines:
        raise UserError(f"{corpus} has a header and no messages: add labelled ones, or pick another --data.corpus")
    return pd.DataFrame({"label": labels, "text": texts}, index=lines)


def _check_messages(messages: pd.DataFrame, corpus: str, labels: Sequence[str] | None) -> None:
    """Refuse blank texts and labels, and labels that are not expected; ``messages`` is indexed by line."""
    for column in ("label", "text"):
        blank = messages[column].str.strip() == ""
        if blank.any():
            raise UserError(f"{corpus}, line {blank.idxmax()}: empty {column}; fill it in or delete the row")
    if labels:
        unexpected = ~messages["label"].isin(labels)
        if unexpected.any():
            line = unexpected.idxmax()
            raise UserError(
                f"{corpus}, line {line}: label {reprlib.repr(messages.at[line, 'label'])} is none of "
                f"{', '.join(labels)}; correct it, or name all labels with --data.labels"
            )
