"""Uploads: the same readers as for files, chosen by the name's suffix."""

import io
from email.message import EmailMessage

import pandas as pd
import pytest

from spam_classifier.data.rows import Json, Rejected, Row
from spam_classifier.errors import UserError
from spam_classifier.judging.inputs import open_upload

MAIL = EmailMessage()
MAIL["Subject"] = "Prize"
MAIL.set_content("Call now")
PARQUET = io.BytesIO()
pd.DataFrame({"id": [1], "Text": ["hello"]}).to_parquet(PARQUET)


@pytest.mark.parametrize(
    ("name", "content", "values"),
    [
        ("a.csv", b'id,Text\n1,"hello"\n', ["1", "hello"]),
        ("A.TSV", b"id\ttext\n1\thello\n", ["1", "hello"]),
        ("b.tsv", b"ham\thello\n", ["ham", "hello"]),
        ("a.jsonl", b'\xef\xbb\xbf{"id": 1.0, "text": "hello"}', [Json("1.0"), "hello"]),
        ("a.ndjson", b'{"id": {"b": 1}, "text": "hello"}\n', [Json('{"b": 1}'), "hello"]),
        ("a.txt", b"hello\r\n", ["hello"]),
        ("a.parquet", PARQUET.getvalue(), [1, "hello"]),
        ("../a.eml", MAIL.as_bytes(), ["../a.eml", "Prize\nCall now"]),
    ],
)
def test_every_kind(name: str, content: bytes, values: list) -> None:
    found = open_upload(name, content, "text")
    (row,) = found.rows
    assert isinstance(row, Row)
    assert row.values == values or list(row.values) == values
    assert row.text == values[-1]
    assert found.name == name
    assert found.identity is None
    assert found.columns in (None, row.names)


def test_bad_rows_are_rejected_and_the_others_go_on() -> None:
    found = open_upload("a.csv", b'body,id\nfine,1\n"",2\n\xe9,3\nlast,4\n', "BODY")
    assert [row.text if isinstance(row, Row) else (row.place, row.reason) for row in found.rows] == [
        "fine",
        (3, "no text"),
        (4, "not UTF-8"),
        "last",
    ]
    assert found.where(3) == "a.csv, line 3"


def test_json_lines_into_a_table_and_into_json_lines() -> None:
    content = b'{"text": "a", "id": 1}\n{"text": "b"}\n{"text": "c", "x": 1}\n{"text": "d", "predicted": 1}\n'
    found = open_upload("a.jsonl", content, "text", ".csv")
    assert found.columns == ["text", "id"]
    first, second, *others = found.rows
    assert [list(row.values) for row in (first, second)] == [["a", "1"], ["b", None]]
    assert all(isinstance(row, Rejected) for row in others)
    *rows, last = open_upload("a.jsonl", content, "text", ".jsonl").rows
    assert [row.text for row in rows] == ["a", "b", "c"]
    assert last.reason == "has a member 'predicted', which the output adds itself"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.doc", b"hello", "a.doc: unknown format; accepted are .csv, .tsv, .jsonl, .ndjson, .txt, .parquet, .eml"),
        ("noname", b"hello", "noname: unknown format"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"id,body\n1,a\n", "a.csv, line 1: the columns are 'id', 'body', without one 'text'; name that of"),
        ("a.parquet", b"PAR1", "a.parquet cannot be read as Parquet"),
    ],
)
def test_refused(name: str, content: bytes, message: str) -> None:
    with pytest.raises(UserError) as caught:
        open_upload(name, content, "text")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
