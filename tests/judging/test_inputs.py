"""Uploads: the same readers as for files, chosen by the name's suffix; formats that are refused, and the way out."""

import bz2
import gzip
import io
import shlex
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from spam_classifier.data.columns import Layout
from spam_classifier.data.rows import Json, Row
from spam_classifier.errors import UserError
from spam_classifier.judging.inputs import open_input, open_upload

PARQUET = pd.DataFrame({"id": [1], "Text": ["hello"]}).to_parquet()


@pytest.mark.parametrize(
    ("name", "content", "values"),
    [
        ("a.csv", b'id,Text\n1,"hello"\n', ["1", "hello"]),
        ("A.TSV", b"id\ttext\n1\thello\n", ["1", "hello"]),
        ("b.tsv", b"ham\thello\n", ["ham", "hello"]),
        ("a.csv", b"id;message\n1;hello\n", ["1", "hello"]),
        ("a.csv", "v1,v2,,\nham,hello, you,\n".encode("utf-16"), ["ham", "hello, you"]),
        ("a.jsonl", b'\xef\xbb\xbf{"id": 1.0, "text": "hello"}', [Json("1.0"), "hello"]),
        ("a.ndjson", b'{"id": {"b": 1}, "text": "hello"}\n', [Json('{"b": 1}'), "hello"]),
        ("a.json", b'{"id": {"b": 1}, "text": "hello"}\n', [Json('{"b": 1}'), "hello"]),
        ("a.txt", b"hello\tyou\r\n", ["hello\tyou"]),
        ("a", b"hello\r\n", ["hello"]),
        ("a.parquet", PARQUET, [1, "hello"]),
    ],
)
def test_every_format(name: str, content: bytes, values: list) -> None:
    found = open_upload(name, content, Layout())
    (row,) = found.rows
    assert isinstance(row, Row)
    assert list(row.values) == values
    assert row.text == values[-1]
    assert found.name == name
    assert found.columns in (None, row.names)


def test_lines_of_a_label_and_a_text_are_no_texts_as_a_whole() -> None:
    """A .txt as the SMS Spam Collection is one: the labels are not judged along with the texts."""
    lines = [f"{label}\t{text} {number}" for number in range(5) for label, text in (("ham", "hi"), ("spam", "win"))]
    found = open_upload("a.txt", "\n".join(lines).encode(), Layout())
    assert [row.text for row in found.rows][:2] == ["hi 0", "win 0"]
    assert "no header" in found.notes.line()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.doc",
            b"hello",
            "a.doc: unknown format; accepted are .csv, .tsv, .txt, .jsonl, .ndjson, .json, .parquet, .eml",
        ),
        ("a.csv", b"", "a.csv is empty"),
        (
            "a.csv",
            b"id,words\n1,a\n",
            "a.csv, line 1: the columns are 'id', 'words', and none is known as that of texts",
        ),
        ("a.parquet", b"PAR1", "a.parquet cannot be read as Parquet"),
        ("a.xlsx", b"PK", 'a.xlsx is a spreadsheet: save it as "CSV UTF-8" in Excel'),
        ("a.msg", b"\xd0\xcf\x11\xe0", "a.msg is Outlook's own format: save each mail as .eml"),
    ],
)
def test_refused(name: str, content: bytes, message: str) -> None:
    with pytest.raises(UserError) as caught:
        open_upload(name, content, Layout())
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_columns_are_named_in_the_words_of_the_one_who_asks() -> None:
    content = b"answer,said\nham,hello you\nham,hi\nspam,win\nspam,call\n"
    with pytest.raises(UserError, match=r"; type text_column said$"):
        open_upload("a.csv", content, Layout(flags=""))
    with pytest.raises(UserError, match=r"; type --text_column said$"):
        open_upload("a.csv", content, Layout())


TABLE = b"label,text\nham,hello\n"


def packed(kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.csv", TABLE)
    else:
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            entry = tarfile.TarInfo("a.csv")
            entry.size = len(TABLE)
            archive.addfile(entry, io.BytesIO(TABLE))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "unpacked"),
    [
        ("a.csv.gz", gzip.compress(TABLE), "a.csv"),
        ("a.csv.bz2", bz2.compress(TABLE), "a.csv"),
        ("a b.tar.gz", packed("tar"), "unpacked/a.csv"),
        ("a.zip", packed("zip"), "unpacked/a.csv"),
    ],
    ids=["gz", "bz2", "tar", "zip"],
)
def test_the_way_out_works_as_it_is_typed(
    name: str, content: bytes, unpacked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        open_input(Path(name), Layout(), None)
    command = str(caught.value).partition("unpack it with ")[2]
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    (row,) = open_input(Path(unpacked), Layout(), None).rows
    assert row.text == "hello"


def test_an_array_of_json_becomes_lines_as_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text('[{"id": 7, "text": "2024-01-01"}, {"id": 8, "text": "caf\\u00e9"}]')
    with pytest.raises(UserError) as caught:
        open_input(Path("a.json"), Layout(), None)
    subprocess.run(shlex.split(str(caught.value).partition("line by line, ")[2]), check=True, capture_output=True)
    assert [row.text for row in open_input(Path("a.jsonl"), Layout(), None).rows] == ["2024-01-01", "café"]
