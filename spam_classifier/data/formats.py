"""The formats of files of messages, and the reader of each."""

from pathlib import PurePath

from spam_classifier import hints
from spam_classifier.data.columns import Layout
from spam_classifier.data.json_lines import json_lines
from spam_classifier.data.mails import SUFFIXES as MAILS
from spam_classifier.data.mails import looks_like_mail, mail_input
from spam_classifier.data.rows import Input, Source
from spam_classifier.data.tables import delimited_table
from spam_classifier.errors import UserError

TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
TARS = (".tar", ".tgz", ".tbz2", ".tar.gz", ".tar.bz2", ".tar.xz")
START = 4096  # bytes that show a mail


def open_messages(source: Source, suffix: str, layout: Layout) -> Input:
    """The rows of a file."""
    mails = suffix in MAILS or (suffix not in TABLES and _starts_as_mail(source))
    if not mails:
        refuse_other_format(source.name, suffix)
    if suffix == ".parquet":
        from spam_classifier.data.parquet import parquet_table  # an extra, which may be missing

        return parquet_table(source, layout)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return json_lines(source, layout)
    if mails:
        if layout.labelled:
            raise UserError(
                f"{source.name} holds mails without labels: put those of each class into a folder or an .mbox of its "
                f"name, and give the directory that holds these, as {layout.flag('corpus')} DIRECTORY"
            )
        return mail_input(source)
    return delimited_table(source, suffix or ".txt", layout)


def _starts_as_mail(source: Source) -> bool:
    with source.open() as file:
        start = file.read(START)
    return looks_like_mail(start)


def refuse_other_format(name: str, suffix: str) -> None:
    """Refuse a file by the ending of its name, with the way to a format that can be read."""
    if suffix in (*TABLES, *MAILS, ""):
        return
    lower = name.lower()
    if suffix in SPREADSHEETS:
        way = 'a spreadsheet: save it as "CSV UTF-8" in Excel, or as "Text CSV" in LibreOffice, and give that file'
    elif lower.endswith(TARS):
        way = f"an archive: unpack it with {_command('tarfile', '-e', name, 'unpacked')}"
    elif suffix == ".zip":
        way = f"an archive: unpack it with {_command('zipfile', '-e', name, 'unpacked')}"
    elif suffix == ".gz":
        way = f"compressed: unpack it with {_command('gzip', '-d', name)}"
    elif suffix in (".bz2", ".xz"):
        module = {".bz2": "bz2", ".xz": "lzma"}[suffix]
        copy = f"shutil.copyfileobj({module}.open(r'{name}'), open(r'{name[: -len(suffix)]}', 'wb'))"
        way = f'compressed: unpack it with {hints.python()} -c "import {module}, shutil; {copy}"'
    elif suffix in (".msg", ".pst"):
        way = "Outlook's own format: save each mail as .eml, or export the folder as .mbox"
    else:
        raise UserError(_unknown(name))
    raise UserError(f"{name} is {way}")


def _unknown(name: str) -> str:
    return f"{name}: unknown format; accepted are {', '.join((*TABLES, *MAILS))}"


def _command(module: str, *words: str) -> str:
    return f"{hints.python()} -m {module} {' '.join(map(hints.quoted, words))}"


def suffix_of(path: PurePath) -> str:
    """The ending of a file's name that tells its format; "" if it is none."""
    suffix = path.suffix.lower()
    return suffix if suffix[1:].isalpha() or suffix in (".bz2",) else ""
