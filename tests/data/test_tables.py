"""Rows of .tsv, .csv and .jsonl: what is read, and what is refused with its line."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.corpora import read_corpus
from spam_classifier.errors import UserError

Read = Callable[..., list[tuple[str, str]]]


def rows(path: Path, content: str | bytes, **options: str) -> list[tuple[str, str]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    frame = read_corpus(str(path), **options)
    assert list(frame.columns) == ["label", "text"]
    return list(zip(frame["label"], frame["text"], strict=True))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return lambda name, content, **options: rows(tmp_path / name, content, **options)


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
    """The one line that says why a file is refused; it has to name the file."""

    def refuse(name: str, content: str | bytes, **options: object) -> str:
        with pytest.raises(UserError) as caught:
            rows(tmp_path / name, content, **options)
        message = str(caught.value)
        assert message.startswith(str(tmp_path / name))
        assert "\n" not in message
        return message

    return refuse


class TestTsv:
    def test_nothing_is_quoted_and_nothing_is_missing(self, read: Read) -> None:
        messages = [("ham", '"unbalanced'), ("spam", "NA"), ("ham", "null"), ("spam", ' ""x"" '), ("ham", "nan")]
        assert read("a.tsv", "".join(f"{label}\t{text}\n" for label, text in messages)) == messages

    def test_only_line_feeds_end_a_line(self, read: Read) -> None:
        text = "a\u0085b\u2028c\rd\x0be\x0cf\x1cg\x00h"
        assert read("a.tsv", f"ham\t{text}\r\nspam\t{text}\n") == [("ham", text), ("spam", text)]

    @pytest.mark.parametrize("content", ["ham\thi\nspam\tho", "\ufeffham\thi\r\n\r\nspam\tho\r\n\n\n"])
    def test_line_ends_byte_order_mark_and_blank_lines(self, read: Read, content: str) -> None:
        assert read("a.tsv", content) == [("ham", "hi"), ("spam", "ho")]

    def test_header(self, read: Read) -> None:
        content = "\ufeffid\tText\tLABEL\n1\thello\tham\n2\twin\tspam\n"
        assert read("a.tsv", content) == [("ham", "hello"), ("spam", "win")]
        assert read("a.tsv", content, label_column="id") == [("1", "hello"), ("2", "win")]
        two = "Kind\tMessage\nham\thello\n"
        assert read("a.tsv", two, text_column="message", label_column="kind") == [("ham", "hello")]
        assert read("a.tsv", "ham\thi\n", text_column="body") == [("ham", "hi")]  # without a header


class TestCsv:
    def test_quoting(self, read: Read) -> None:
        content = 'label,text\r\nham,"a, ""b""\r\nc\nd"\r\nspam,it is "free"\r\nham,NA\r\n'
        assert read("a.csv", content) == [("ham", 'a, "b"\r\nc\nd'), ("spam", 'it is "free"'), ("ham", "NA")]

    def test_columns_by_name(self, read: Read) -> None:
        content = "\ufeffid,Text,Label,note\n1,hello,1,x\n\n2,win,0,y\n\n"
        assert read("a.csv", content) == [("1", "hello"), ("0", "win")]
        assert read("a.csv", content, text_column="NOTE", label_column="id") == [("1", "x"), ("2", "y")]

    def test_exact_name_before_any_case(self, read: Read, refusal: Callable) -> None:
        content = "Text,text,label\nwrong,right,ham\n"
        assert read("a.csv", content) == [("ham", "right")]
        assert read("a.csv", content, text_column="Text") == [("ham", "wrong")]
        assert "'Text', 'text', 'label'" in refusal("a.csv", content, text_column="TEXT")
        assert "--data.text_column" in refusal("a.csv", content, text_column="label")

    def test_field_of_more_than_the_default_limit(self, read: Read) -> None:
        text = "word " * 40_000
        assert read("a.csv", f"label,text\nham,{text}\n") == [("ham", text)]


class TestJsonLines:
    @pytest.mark.parametrize(
        "label", ["1", "-0", "1.50", "1e5", "12345678901234567890123", "true", "false", '" spam "']
    )
    def test_labels_as_they_are_written(self, read: Read, label: str) -> None:
        content = f'{{"text": "hello", "label": {label}}}\n'
        assert read("a.jsonl", content) == [(label.strip('" '), "hello")]

    def test_columns_blank_lines_and_line_ends(self, read: Read) -> None:
        content = '\ufeff{"id": 1, "Body": "a\\nb", "topic": "x"}\r\n\n  \n{"topic": "y", "Body": "c\u2028d\\u0000"}'
        messages = [("x", "a\nb"), ("y", "c\u2028d\x00")]
        assert read("a.NDJSON", content, text_column="body", label_column="topic") == messages

    def test_other_members_do_not_matter(self, read: Read) -> None:
        content = '{"Text": "wrong", "text": "right", "label": "ham", "id": [1e999]}'
        assert read("a.jsonl", content) == [("ham", "right")]


REFUSED = {
    "a.tsv": [
        ("ham\thello\nspam\n", "line 2: the number of fields is 1, not 2"),
        ("ham\thello\n\n\nspam\ta\tb\n", "line 4: the number of fields is 3, not 2"),
        ("kind\tid\tmessage\nham\t1\thello\n", "line 1: the columns are 'kind', 'id', 'message', without one"),
        ("text\tid\tlabel\nhello\t1\tham\nhello\tham\n", "line 3: the number of fields is 2, not 3"),
        ("ham\thello\nspam\t\n", "line 2: no text"),
        ("ham\thello\nspam\t \u00a0\r\n", "line 2: no text"),
        ("ham\thello\n\thi\n", "line 2: no label"),
        ("ham\thello\n  \thi\n", "line 2: no label"),
        ("\ufeff", "is empty"),
        ("\r\n\n", "is empty"),
        ("label\ttext\n", "no messages"),
        ("ham\thello\n".encode("utf-16"), "line 1: not UTF-8"),
    ],
    "a.csv": [
        ("label,body\nham,hello\n", "line 1: the columns are 'label', 'body', without one 'label' and one 'text'"),
        ("\nkind,text\nham,hello\n", "line 2: the columns are 'kind', 'text', without"),
        ("label;text\nham;hello\n", "the columns are 'label;text'"),
        ("label,text,text\nham,hello,hi\n", "the columns are 'label', 'text', 'text'"),
        ("label,Text,TEXT\nham,hello,hi\n", "the columns are 'label', 'Text', 'TEXT'"),
        ("v1,v2,,\nham,hello,,\n", "name them with --data.label_column and --data.text_column"),
        ("label,text\nham,hello\nspam,a,b\n", "line 3: the number of fields is 3, not 2 ('label', 'text')"),
        ('label,text\nham,"a\nb"\n\nspam\n', "line 5: the number of fields is 1, not 2"),
        ('label,text\nham,"a\nb"\nspam,"open\nham,c\n', "line 4: malformed CSV (unexpected end of data)"),
        ('label,text\nham,"open\nspam,"b"\n', "line 2: malformed CSV"),
        ('label,text\nham,"a" b\n', "line 2: malformed CSV"),
        ('label,text\nham,"a\nb"\nspam,\n', "line 4: no text"),
        ('label,text\nham,a\nspam," \n "\n', "line 3: no text"),
        ('label,text\nham,a\n"",b\n', "line 3: no label"),
        (b'label,text\nham,a\nham,"b\n\xe9"\nham,c\n', "line 3: not UTF-8"),
        ("label,text\n", "no messages"),
        ("", "is empty"),
    ],
    "a.jsonl": [
        ("\ufeff \n\n", "no messages"),
        ('{"label": "a", "text": "a"}\n{"label": "b"\n', "line 2: malformed JSON (Expecting ',' delimiter, column"),
        ('{"label": NaN, "text": "a"}', "line 1: malformed JSON (NaN is no JSON)"),
        ("[" * 200_000, "line 1: malformed JSON"),
        ('["ham", "a"]', "line 1: no JSON object"),
        ("\n1\n", "line 2: no JSON object"),
        ('{"label": "ham", "body": "a"}', "line 1: no member 'label' and 'text', only 'label', 'body'"),
        ('{"label": null, "text": "a"}', "line 1: the label is not a string, a number or a boolean"),
        ('{"label": ["x"], "text": "a"}', "line 1: the label is not a string, a number or a boolean"),
        ('{"label": "x", "text": 5}', "line 1: the text is not a string"),
        ('{"label": "x", "text": null}', "line 1: no text"),
        ('{"label": "x", "text": true}', "line 1: the text is not a string"),
        ('{"label": "x", "text": " \\n"}', "line 1: no text"),
        ('{"label": "", "text": "a"}', "line 1: no label"),
        ('{"label": "x", "text": "\\ud83d!"}', "line 1: not UTF-8, or half of a surrogate pair"),
    ],
}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [(name, content, problem) for name, table in REFUSED.items() for content, problem in table],
)
def test_refused(refusal: Callable, name: str, content: str | bytes, problem: str) -> None:
    assert problem in refusal(name, content)


@pytest.mark.parametrize(
    ("name", "content", "line", "label"),
    [
        ("a.tsv", "0\tgoal\nham\tvote\n\nart\tpaint\n", 4, "art"),
        ("a.csv", 'label,text\n0,"a\nb"\nHam,c\n', 4, "Ham"),
        ("a.jsonl", '{"label": 0, "text": "a"}\n{"label": 2, "text": "b"}\n', 2, "2"),
    ],
)
def test_any_labels_unless_named(read: Read, refusal: Callable, name: str, content: str, line: int, label: str) -> None:
    assert read(name, content)[-1][0] == label
    message = refusal(name, content, labels=["0", "ham"])
    assert f"line {line}: label '{label}' is none of 0, ham" in message
    assert "--data.labels" in message
    assert len(refusal(name, content.replace(label, label * 1000), labels=["0", "ham"])) < 400


@pytest.mark.parametrize(
    ("name", "start", "line"),
    [
        ("a.csv", "label,text\n", "ham,hi\n"),
        ("a.tsv", "", "ham\thi\n"),
        ("a.jsonl", "", '{"label": 1, "text": "hi"}\n'),
    ],
)
def test_undecodable_byte_far_into_a_file(refusal: Callable, name: str, start: str, line: str) -> None:
    content = (start + line * 20_000).encode() + b"\xe9\n"
    message = refusal(name, content)
    assert f"line {content.count(10)}: not UTF-8" in message
    assert "iconv -f latin1 -t utf-8" in message


# Any text; quotes and line separators more often than by chance.
characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from('",\r\n\t\u0085\u2028\x00')
filled = st.text(characters, min_size=1).filter(str.strip)
messages = st.lists(st.tuples(filled, filled), min_size=1)
# What a line of a .tsv can hold: no separator, no part of a line end, no byte order mark at its beginning.
tsv_field = (
    st.text(characters.filter(lambda character: character not in "\t\n"), min_size=1)
    .filter(str.strip)
    .filter(lambda text: not text.endswith("\r") and not text.startswith("\ufeff"))
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@given(written=st.lists(st.tuples(tsv_field, tsv_field), min_size=1), line_end=st.sampled_from(["\n", "\r\n"]))
def test_any_tsv_reads_back(scratch: Path, written: list[tuple[str, str]], line_end: str) -> None:
    content = "".join(f"{label}\t{text}{line_end}" for label, text in written)
    assert rows(scratch / "a.tsv", content) == [(label.strip(), text) for label, text in written]


@given(
    written=messages,
    style=st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
)
def test_any_csv_reads_back(scratch: Path, written: list[tuple[str, str]], style: tuple[str, int]) -> None:
    path = scratch / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=style[0], quoting=style[1])
        writer.writerows([("label", "text"), *written])
    assert rows(path, path.read_bytes()) == [(label.strip(), text) for label, text in written]


@given(written=messages, ascii=st.booleans())
def test_any_json_lines_read_back(scratch: Path, written: list[tuple[str, str]], ascii: bool) -> None:
    lines = [json.dumps({"label": label, "text": text}, ensure_ascii=ascii) for label, text in written]
    assert rows(scratch / "a.jsonl", "\n".join(lines)) == [(label.strip(), text) for label, text in written]
