"""Rows of .tsv, .csv and .jsonl: what is read, and what is refused with its line."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.columns import Layout
from spam_classifier.data.corpora import Corpus, read_corpus
from spam_classifier.errors import UserError

Read = Callable[..., list[tuple[str, str]]]


def corpus(path: Path, content: str | bytes, bad_rows: str = "refuse", **said: Any) -> Corpus:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    layout = Layout(said.get("text_column"), said.get("label_column"), encoding=said.get("encoding"))
    return read_corpus(str(path), layout, bad_rows=bad_rows)


def rows(path: Path, content: str | bytes, **said: Any) -> list[tuple[str, str]]:
    frame = corpus(path, content, **said).messages
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


FLAGS = "give --data.label_column and --data.text_column, a column's name or its number from 1"
REFUSED = {
    "a.tsv": [
        ("ham\thello\nspam\n", "line 2: the number of fields is 1, not 2"),
        ("ham\thello\n\n\nspam\ta\tb\n", "line 4: the number of fields is 3, not 2"),
        ("a\tid\tmessage\nham\t1\thello\n", "line 1: the columns are 'a', 'id', 'message', and none is known as that"),
        ("text\tid\tlabel\nhello\t1\tham\nhello\tham\n", "line 3: the number of fields is 2, not 3"),
        ("ham\thello\nspam\t\n", "line 2: no text"),
        ("ham\thello\nspam\t \u00a0\r\n", "line 2: no text"),
        ("ham\thello\n\thi\n", "line 2: no label"),
        ("ham\thello\n  \thi\n", "line 2: no label"),
        ("\ufeff", "is empty"),
        ("\r\n\n", "is empty"),
        ("label\ttext\n", "no messages"),
        ("ham\thello\n".encode("utf-16")[:-1], "begins as UTF-16 and is damaged"),
    ],
    "a.csv": [
        (
            "a,b\nham,hello\nham,hi\nspam,win\nspam,call\n",
            "the columns are 'a', 'b', and none is known as that of labels",
        ),
        ("\na,b,c\nham,hello,x\n", "line 2: the columns are 'a', 'b', 'c', and none is known as that of labels or"),
        ("label,text,text\nham,hello,hi\n", "the columns are 'label', 'text', 'text'"),
        ("label,Text,TEXT\nham,hello,hi\n", "the columns are 'label', 'Text', 'TEXT'"),
        ("label,text\nham,hello\nspam,a,b\n", "line 3: the number of fields is 3, not 2 ('label', 'text')"),
        ('label,text\nham,"a\nb"\n\nspam\n', "line 5: the number of fields is 1, not 2"),
        ('label,text\nham,"a\nb"\nspam,"open\nham,c\n', "line 4: malformed (unexpected end of data)"),
        ('label,text\nham,"open\nspam,"b"\n', "line 2: malformed"),
        ('label,text\nham,"a" b\n', "line 2: malformed"),
        ('label,text\nham,"a\nb"\nspam,\n', "line 4: no text"),
        ('label,text\nham,a\nspam," \n "\n', "line 3: no text"),
        ('label,text\nham,a\n"",b\n', "line 3: no label"),
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
        (
            '{"label": "ham", "words": "a"}',
            "the columns are 'label', 'words', and none is known as that of texts; give",
        ),
        ('{"label": null, "text": "a"}', "line 1: no label"),
        ('{"label": ["x"], "text": "a"}', "line 1: the label is not a string, a number or a boolean"),
        ('{"label": "x", "text": 5}', "line 1: the text is not a string"),
        ('{"label": "x", "text": null}', "line 1: no text"),
        ('{"label": "x", "text": true}', "line 1: the text is not a string"),
        ('{"label": "x", "text": " \\n"}', "line 1: no text"),
        ('{"label": "", "text": "a"}', "line 1: no label"),
        ('{"label": "x", "text": "\\ud83d!"}', "line 1: half of a surrogate pair"),
    ],
    "a.json": [('[{"label": "ham", "text": "a"}]', "is one JSON array: write it line by line")],
}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [(name, content, problem) for name, table in REFUSED.items() for content, problem in table],
)
def test_refused(refusal: Callable, name: str, content: str | bytes, problem: str) -> None:
    assert problem in refusal(name, content)


MESSAGES = [
    (label, f"{text} {number}")
    for number in range(20)
    for label, text in (("ham", "see you at the café"), ("spam", "win £500, now"))
]
ONE_QUOTED = [*MESSAGES[:-1], ("spam", 'it is "free", now')]
LINE = [("ham", "a\nb"), *MESSAGES]


def written(messages: list[tuple[str, str]], header: list[str] | None = None, **style: Any) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, **{"lineterminator": "\n", **style})
    writer.writerows([*([header] if header else []), *messages])
    return file.getvalue()


NAMES = ["label", "text"]
PLAIN = written(MESSAGES, NAMES)
BACKSLASHES = {"quoting": csv.QUOTE_ALL, "doublequote": False, "escapechar": "\\"}
READ = {  # name: file name, content, messages, and parts of the note
    "UTF-8 with a mark": ("a.csv", PLAIN.encode("utf-8-sig"), MESSAGES, []),
    "UTF-16, little-endian": ("a.csv", b"\xff\xfe" + PLAIN.encode("utf-16-le"), MESSAGES, []),
    "UTF-16, big-endian": ("a.csv", b"\xfe\xff" + PLAIN.encode("utf-16-be"), MESSAGES, []),
    "UTF-32": ("a.csv", PLAIN.encode("utf-32"), MESSAGES, []),
    "UTF-16 without a mark": ("a.csv", PLAIN.encode("utf-16-le"), MESSAGES, ["read as utf-16-le, a guess"]),
    "windows-1252": ("a.csv", PLAIN.encode("cp1252"), MESSAGES, ["read as windows-1252, a guess (--data.encoding)"]),
    "semicolon": ("a.csv", written(MESSAGES, NAMES, delimiter=";"), MESSAGES, ["fields separated by a semicolon"]),
    "tab in a .csv": ("a.csv", written(MESSAGES, NAMES, delimiter="\t"), MESSAGES, ["fields separated by a tab"]),
    "bar": ("a.csv", written(MESSAGES, NAMES, delimiter="|"), MESSAGES, ["fields separated by a bar"]),
    "comma in a .tsv": ("a.tsv", PLAIN, MESSAGES, ["fields separated by a comma"]),
    "Excel's line": ("a.csv", "sep=;\r\n" + written(MESSAGES, NAMES, delimiter=";"), MESSAGES, ["semicolon"]),
    "unusual separator": ("a.csv", "sep=^\n" + written(MESSAGES, NAMES, delimiter="^"), MESSAGES, ["by '^'"]),
    "backslashes": ("a.csv", written(ONE_QUOTED, NAMES, **BACKSLASHES), ONE_QUOTED, ["quotes escaped by backslashes"]),
    "single quotes": ("a.csv", written(MESSAGES, NAMES, quotechar="'"), MESSAGES, ["texts quoted by '"]),
    "a backslash at an end": ("a.csv", written([("ham", "C:\\")], NAMES, quoting=csv.QUOTE_ALL), [("ham", "C:\\")], []),
    "quoted .tsv": ("a.tsv", written(ONE_QUOTED, NAMES, delimiter="\t"), ONE_QUOTED, ['texts quoted by "']),
    "lines in a .tsv": ("a.tsv", written(LINE, NAMES, delimiter="\t"), LINE, ['texts quoted by "']),
    "all quoted": (
        "a.tsv",
        written(MESSAGES, NAMES, delimiter="\t", quoting=csv.QUOTE_ALL),
        MESSAGES,
        ['texts quoted by "'],
    ),
    "quotes that are text": (
        "a.tsv",
        "".join(f"{label}\t{text}\n" for label, text in [*MESSAGES, ("ham", '"yes"'), ("ham", '"no'), ("ham", '""')]),
        [*MESSAGES, ("ham", '"yes"'), ("ham", '"no'), ("ham", '""')],
        ["no header, labels in column 1 and texts in column 2"],
    ),
    "no header": ("a.csv", written(MESSAGES), MESSAGES, ["no header, labels in column 1 and texts in column 2"]),
    "text first": (
        "a.tsv",
        "".join(f"{text}\t{label}\n" for label, text in MESSAGES),
        MESSAGES,
        ["no header, labels in column 2 and texts in column 1"],
    ),
    "lines of a label and a text": ("a.txt", written(MESSAGES, delimiter="\t"), MESSAGES, ["no header"]),
    "usual names": (
        "a.csv",
        written(MESSAGES, ["Category", "Message"]),
        MESSAGES,
        ["labels from 'Category' (--data.label_column) and texts from 'Message' (--data.text_column)"],
    ),
    "an index": (
        "a.csv",
        written([(str(place), *message) for place, message in enumerate(MESSAGES)], ["", "label", "text"]),
        MESSAGES,
        [],
    ),
    "a comma too many in the header": ("a.csv", PLAIN.replace("label,text", "label,text,"), MESSAGES, []),
    "a comma too many in rows": ("a.csv", PLAIN.replace("\nham,", "\nham,", 1).replace(" 0\n", " 0,\n"), MESSAGES, []),
    "blank rows": (
        "a.csv",
        PLAIN.replace("\nspam,", "\n,\n\nspam,", 1),
        MESSAGES,
        ["blank rows dropped: 2"],
    ),
    "spilled": (
        "a.csv",
        "v1,v2,,,\n" + "".join(f"{row},,,\n" for row in PLAIN.splitlines()[1:]) + 'ham,"a ""b"" c"," d, e",f,\n',
        [*MESSAGES, ("ham", 'a "b" c, d, e,f')],
        ["texts joined with what follows them in columns without a name: 1"],
    ),
    "spilled, and written again by pandas": (
        "a.csv",
        "v1,v2,Unnamed: 2,Unnamed: 3\nham,a, b,\nspam,c,,\n",
        [("ham", "a, b"), ("spam", "c")],
        ["columns without a name: 1"],
    ),
    "subject": (
        "a.csv",
        "subject,body,label\nRe,hello,ham\n",
        [("ham", "hello")],
        ["'subject' is not read (--data.text_column \"[subject, body]\" joins them)"],
    ),
    "usual members": ("a.json", '{"sms": "hello", "class": 1}\n', [("1", "hello")], ["texts from 'sms'"]),
    "blank objects": (
        "a.jsonl",
        '{"text": "hello", "label": 1}\n{"text": null, "label": ""}\n\n',
        [("1", "hello")],
        ["blank rows dropped: 2"],
    ),
}


@pytest.mark.parametrize(("name", "content", "messages", "told"), READ.values(), ids=READ)
def test_what_people_have_is_read(
    tmp_path: Path, name: str, content: str | bytes, messages: list[tuple[str, str]], told: list[str]
) -> None:
    found = corpus(tmp_path / name, content)
    assert list(zip(found.messages["label"], found.messages["text"], strict=True)) == messages
    assert all(part in found.notes for part in told), found.notes
    assert told or not found.notes


def test_columns_that_the_user_names(read: Read) -> None:
    content = "id,subject,body,kind\n1,Re,hello,ham\n2,,win,spam\n"
    named = {"label_column": "kind", "text_column": ["subject", "body"]}
    assert read("a.csv", content, **named) == [("ham", "Re\nhello"), ("spam", "win")]
    numbered = {"label_column": "4", "text_column": ["2", "3"]}
    assert read("a.csv", content, **numbered) == [("ham", "Re\nhello"), ("spam", "win")]
    bare = content.partition("\n")[2]
    assert read("a.csv", bare, **numbered) == [("ham", "Re\nhello"), ("spam", "win")]  # the first line is a message
    lines = '{"subject": "Re", "body": "hello", "kind": "ham"}\n'
    assert read("a.jsonl", lines, **named) == [("ham", "Re\nhello")]


@pytest.mark.parametrize(
    ("content", "typed"),
    [
        (written(MESSAGES, ["answer", "was said"]), '--data.label_column answer --data.text_column "was said"'),
        (written([(text, "x", label) for label, text in MESSAGES]), "--data.label_column 3 --data.text_column 1"),
    ],
)
def test_a_refusal_of_columns_says_what_to_type(refusal: Callable, read: Read, content: str, typed: str) -> None:
    assert refusal("a.csv", content).endswith(f"; type {typed}")
    label, text = typed.removeprefix("--data.label_column ").split(" --data.text_column ")
    assert read("a.csv", content, label_column=label, text_column=text.strip('"')) == MESSAGES


def test_encoding_that_the_user_names(read: Read, refusal: Callable) -> None:
    greek = PLAIN.replace("café", "καφές").replace("£", "")
    messages = [(label, text.replace("café", "καφές").replace("£", "")) for label, text in MESSAGES]
    for name in ("windows-1253", "ISO-8859-7"):
        assert read("a.csv", greek.encode("iso-8859-7"), encoding=name) == messages
    assert read("a.csv", PLAIN.encode("cp1252"), encoding="latin1") == MESSAGES
    assert "is not utf-8: correct --data.encoding" in refusal("a.csv", PLAIN.encode("cp1252"), encoding="utf-8")
    with pytest.raises(UserError, match=r"--data\.encoding klingon: unknown encoding"):
        read("a.csv", PLAIN, encoding="klingon")


def test_a_damaged_line_among_utf_8_is_rejected_alone(read: Read, refusal: Callable) -> None:
    content = PLAIN.encode().replace("café 3".encode(), b"caf\xe9 3")
    assert "line 8: not utf-8; correct it, or name the file's encoding with --data.encoding" in refusal(
        "a.csv", content
    )
    kept = [message for message in MESSAGES if message != ("ham", "see you at the café 3")]
    assert read("a.csv", content, bad_rows="skip") == kept


def test_all_bad_rows_are_counted_and_can_be_left_out(tmp_path: Path, refusal: Callable) -> None:
    content = "label,text\nham,\nham,hi\n,hello\nspam,a,b\n" + "ham,\n" * 7
    message = refusal("a.csv", content)
    assert "a.csv has 10 bad rows: line 2: no text; line 4: no label; line 5: the number of fields is 3" in message
    assert "and 5 more; correct them, or leave such rows out with --data.bad_rows skip" in message
    found = corpus(tmp_path / "a.csv", content, bad_rows="skip")
    assert found.messages.values.tolist() == [["ham", "hi"]]
    assert len(found.left_out) == 10
    assert found.left_out[0][1:] == (2, "no text")
    assert "bad rows left out: 10 (first: line 2, no text)" in found.notes
    only_bad = "label,text\nham,\n"
    with pytest.raises(UserError, match="has no messages"):
        corpus(tmp_path / "a.csv", only_bad, bad_rows="skip")


# Any text; quotes and line separators more often than by chance.
characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from('",\r\n\t\u0085\u2028\x00')
filled = st.text(characters, min_size=1).filter(str.strip)
messages = st.lists(st.tuples(filled, filled), min_size=1)
# What a line of a .tsv can hold: no separator, no part of a line end, no byte order mark or quote at its beginning.
tsv_field = (
    st.text(characters.filter(lambda character: character not in "\t\n"), min_size=1)
    .filter(str.strip)
    .filter(lambda text: not text.endswith("\r") and not text.startswith(("\ufeff", '"')))
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@given(written=st.lists(st.tuples(tsv_field, tsv_field), min_size=1), line_end=st.sampled_from(["\n", "\r\n"]))
def test_any_tsv_reads_back(scratch: Path, written: list[tuple[str, str]], line_end: str) -> None:
    content = "".join(f"{label}\t{text}{line_end}" for label, text in [("label", "text"), *written])
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
