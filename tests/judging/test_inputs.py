"""Uploads: the same readers as for files, chosen by the name's suffix."""

import pandas as pd
import pytest

from spam_classifier.data.rows import Json, Row
from spam_classifier.errors import UserError
from spam_classifier.judging.inputs import open_upload

PARQUET = pd.DataFrame({"id": [1], "Text": ["hello"]}).to_parquet()


@pytest.mark.parametrize(
    ("name", "content", "values"),
    [
        ("a.csv", b'id,Text\n1,"hello"\n', ["1", "hello"]),
        ("A.TSV", b"id\ttext\n1\thello\n", ["1", "hello"]),
        ("b.tsv", b"ham\thello\n", ["ham", "hello"]),
        ("a.jsonl", b'\xef\xbb\xbf{"id": 1.0, "text": "hello"}', [Json("1.0"), "hello"]),
        ("a.ndjson", b'{"id": {"b": 1}, "text": "hello"}\n', [Json('{"b": 1}'), "hello"]),
        ("a.txt", b"hello\r\n", ["hello"]),
        ("a.parquet", PARQUET, [1, "hello"]),
        ("../a.eml", b"Subject: Prize\n\nCall now\n", ["../a.eml", "Prize\nCall now"]),
    ],
)
def test_every_format(name: str, content: bytes, values: list) -> None:
    found = open_upload(name, content, "text")
    (row,) = found.rows
    assert isinstance(row, Row)
    assert list(row.values) == values
    assert row.text == values[-1]
    assert found.name == name
    assert found.identity is None
    assert found.columns in (None, row.names)


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
