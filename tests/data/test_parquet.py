"""Parquet files: the types they may hold, what is refused, and what is said where pyarrow is missing."""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data import parquet
from spam_classifier.data.columns import Layout
from spam_classifier.data.corpora import read_corpus
from spam_classifier.errors import UserError


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def messages(path: Path, text_column: str | list[str] | None = None, label_column: str | None = None) -> list:
    frame = read_corpus(str(path), Layout(text_column, label_column)).messages
    return list(zip(frame["label"], frame["text"], strict=True))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array(["ham", " spam "]), ["ham", "spam"]),
        (pa.array(["ham", "spam"], pa.large_string()), ["ham", "spam"]),
        (pa.array(["ham", "spam"]).dictionary_encode(), ["ham", "spam"]),
        (pa.array([0, -1], pa.int8()), ["0", "-1"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([1.0, 0.0]), ["1.0", "0.0"]),
    ],
)
def test_labels(tmp_path: Path, labels: pa.Array, expected: list[str]) -> None:
    path = write(tmp_path / "a.parquet", text=["hello", " NA\n"], other=[1.0, 2.0], label=labels)
    assert messages(path) == list(zip(expected, ["hello", " NA\n"], strict=True))


def test_columns_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", Body=pa.array(["x"], pa.large_string()), **{"the.topic": ["y"]})
    assert messages(path, text_column="body", label_column="the.topic") == [("y", "x")]
    assert messages(path, text_column="1", label_column="2") == [("y", "x")]
    path = write(tmp_path / "b.parquet", subject=["a", ""], body=["b", "c"], category=["x", "y"])
    assert messages(path, text_column=["subject", "body"]) == [("x", "a\nb"), ("y", "c")]


def test_names_of_classes_that_the_file_keeps(tmp_path: Path) -> None:
    """As the ``datasets`` library writes a ClassLabel."""
    features = {"sms": {"_type": "Value"}, "label": {"names": ["ham", "spam"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"sms": ["hello", "win"], "label": [0, 1]}).replace_schema_metadata(metadata)
    pq.write_table(table, tmp_path / "a.parquet")
    found = read_corpus(str(tmp_path / "a.parquet"))
    assert found.messages.values.tolist() == [["ham", "hello"], ["spam", "win"]]
    assert found.notes.endswith("labels named as the file says: ham, spam")


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"text": ["a"], "kind": ["b"]}, "the columns are 'text', 'kind', and none is known as that of labels"),
        ({"text": [1], "label": ["b"]}, "the texts in 'text' are of type int64"),
        ({"text": ["a"], "label": [[1]]}, "the labels are of type list"),
        ({"text": ["a", None], "label": ["b", "c"]}, "row 2: no text"),
        ({"text": ["a", "b"], "label": [1, None]}, "row 2: no label"),
        ({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}, "has no messages"),
        ({"text": pa.array([b"caf\xe9"]).view(pa.string()), "label": ["a"]}, "row 1: not UTF-8"),
    ],
)
def test_refused(tmp_path: Path, columns: dict[str, Any], problem: str) -> None:
    path = write(tmp_path / "a.parquet", **columns)
    with pytest.raises(UserError) as caught:
        messages(path)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_are_counted_over_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 2)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c", "d", " "], "label": list("xyxyx")}), path, row_group_size=3)
    with pytest.raises(UserError, match="row 5: no text"):
        messages(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"label,text\nham,hello\n" * 10])
def test_no_parquet(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.parquet cannot be read as Parquet \("):
        messages(tmp_path / "a.parquet")


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", text=["a"], label=["b"])
    monkeypatch.delitem(sys.modules, "spam_classifier.data.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow: \S+ -m pip install pyarrow"):
        read_corpus(str(path))


filled = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(filled, filled), min_size=1))
def test_any_text_reads_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("any") / "a.parquet"
    labels, texts = (list(column) for column in zip(*rows, strict=True))
    assert messages(write(path, label=labels, text=texts)) == [(label.strip(), text) for label, text in rows]
