"""JSON lines: what they may hold, what comes out, and what is refused with the line named."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.corpora import read_corpus
from spam_classifier.errors import UserError


def messages(path: Path, content: str | bytes, **options: str) -> list[tuple[str, str]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    frame = read_corpus(str(path), **options)
    return list(zip(frame["label"], frame["text"], strict=True))


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ('" spam "', "spam"),
        ("1", "1"),
        ("-0", "-0"),
        ("1.50", "1.50"),
        ("1e5", "1e5"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("true", "true"),
        ("false", "false"),
    ],
)
def test_labels_as_they_are_written(tmp_path: Path, label: str, expected: str) -> None:
    content = f'{{"text": "hello", "label": {label}}}\n'
    assert messages(tmp_path / "a.jsonl", content) == [(expected, "hello")]


def test_columns_blank_lines_and_line_ends(tmp_path: Path) -> None:
    content = '\ufeff{"id": 1, "Body": "a\\nb", "topic": "x"}\r\n\n  \n{"topic": "y", "Body": "c\u2028d\\u0000"}'
    read = messages(tmp_path / "a.NDJSON", content, text_column="body", label_column="topic")
    assert read == [("x", "a\nb"), ("y", "c\u2028d\x00")]


def test_exact_name_before_any_case(tmp_path: Path) -> None:
    content = '{"Text": "wrong", "text": "right", "label": "ham"}'
    assert messages(tmp_path / "a.jsonl", content) == [("ham", "right")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("\ufeff \n\n", "is empty"),
        ('{"label": "ham", "text": "a"}\n{"label": "ham"\n', "line 2: malformed JSON (Expecting ',' delimiter, column"),
        ('{"label": NaN, "text": "a"}', "line 1: malformed JSON (NaN is no JSON)"),
        ("[" * 200_000, "line 1: malformed JSON"),
        ('["ham", "a"]', "line 1: no JSON object"),
        ("\n1\n", "line 2: no JSON object"),
        ('{"label": "ham", "body": "a"}', "line 1: the columns are 'label', 'body', without"),
        ('{"label": null, "text": "a"}', "line 1: the label has to be a string, a number or a boolean"),
        ('{"label": ["x"], "text": "a"}', "line 1: the label has to be a string, a number or a boolean"),
        ('{"label": "x", "text": 5}', "line 1: the text has to be a string"),
        ('{"label": "x", "text": null}', "line 1: the text has to be a string"),
        ('{"label": "x", "text": true}', "line 1: the text has to be a string"),
        ('{"label": "x", "text": " \\n"}', "line 1: empty text"),
        ('{"label": "", "text": "a"}', "line 1: empty label"),
        ('{"label": "x", "text": "\\ud83d!"}', "line 1: half of a surrogate pair"),
        ('{"label": "x", "text": "a"}\n{"label": "x", "text": "é"}'.encode("latin-1"), "line 2: not UTF-8"),
    ],
)
def test_refused(tmp_path: Path, content: str | bytes, problem: str) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(UserError) as caught:
        messages(path, content)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_label_that_is_not_expected(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"label": 0, "text": "a"}\n{"label": 2, "text": "b"}\n')
    with pytest.raises(UserError, match="line 2: label '2' is none of 0, 1"):
        read_corpus(str(tmp_path / "a.jsonl"), labels=["0", "1"])


filled = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(filled, filled), min_size=1), st.booleans())
def test_any_text_reads_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], ascii: bool
) -> None:
    lines = [json.dumps({"label": label, "text": text}, ensure_ascii=ascii) for label, text in rows]
    read = messages(tmp_path_factory.mktemp("any") / "a.jsonl", "\n".join(lines))
    assert read == [(label.strip(), text) for label, text in rows]
