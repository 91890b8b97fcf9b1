"""Reading labelled messages: every corpus, every format, every way in which a file can be wrong."""

import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data import corpora, download
from spam_classifier.data.corpora import corpus_sha256, fetch_corpus, read_corpus
from spam_classifier.data.download import ExpectedFile
from spam_classifier.errors import UserError

Write = Callable[[str, str | bytes], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write_file


def rows(frame: pd.DataFrame) -> list[tuple[str, str]]:
    assert list(frame.columns) == ["label", "text"]
    assert frame.index.equals(pd.RangeIndex(len(frame)))
    return list(zip(frame["label"], frame["text"], strict=True))


def refusal(corpus: str, **options: object) -> str:
    """The one line that says why the corpus is refused; it has to name the corpus."""
    with pytest.raises(UserError) as caught:
        read_corpus(corpus, **options)
    message = str(caught.value)
    assert corpus in message
    assert "\n" not in message
    return message


class TestRealCorpus:
    def test_every_message_is_read(self, uci_archive: Path) -> None:
        frame = read_corpus(str(uci_archive))
        assert frame["label"].value_counts().to_dict() == {"ham": 4827, "spam": 747}
        with zipfile.ZipFile(uci_archive) as archive:
            lines = archive.read("SMSSpamCollection").decode().split("\n")
        assert ["\t".join(row) for row in rows(frame)] == lines[:-1]

    def test_messages_that_default_quoting_swallows(self, uci_archive: Path) -> None:
        with zipfile.ZipFile(uci_archive) as archive, archive.open("SMSSpamCollection") as member:
            swallowing = pd.read_csv(member, sep="\t", header=None, names=["label", "text"])
        frame = read_corpus(str(uci_archive))
        assert len(swallowing) == 5572
        assert len(frame) == 5574
        assert (~frame["text"].isin(swallowing["text"])).sum() >= 2

    def test_uci_is_read_from_the_cache(self, uci_archive: Path, tmp_path: Path) -> None:
        (tmp_path / "sms+spam+collection.zip").write_bytes(uci_archive.read_bytes())
        fetch_corpus("uci", str(tmp_path))
        pd.testing.assert_frame_equal(read_corpus("uci", cache_dir=str(tmp_path)), read_corpus(str(uci_archive)))


class TestNames:
    def test_sample(self) -> None:
        fetch_corpus("sample")
        frame = read_corpus("sample")
        assert set(frame["label"]) == {"ham", "spam"}
        assert rows(read_corpus("sample", labels=["spam", "ham"])) == rows(frame)

    def test_uci_that_was_not_fetched(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"SMSSpamCollection: No such file.*--data\.corpus sample"):
            read_corpus("uci", cache_dir=str(tmp_path))

    @pytest.mark.parametrize("read", [fetch_corpus, read_corpus])
    @pytest.mark.parametrize(
        ("corpus", "problem"),
        [
            ("smss", "No such file"),
            ("UCI", "No such file"),
            ("messages.csv", "No such file"),
            ("", "No such file"),
            ("folder.csv", "a directory without a folder per class"),
            ("messages.xlsx", "unknown format"),
            ("loop.csv", "symbolic links"),
            ("x" * 300, "name too long"),
        ],
    )
    def test_what_cannot_be_a_corpus(
        self,
        read: Callable[[str], object],
        corpus: str,
        problem: str,
        write: Write,
        monkeypatch,
        tmp_path: Path,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write("messages.xlsx", b"PK")
        Path("folder.csv").mkdir()
        Path("loop.csv").symlink_to("loop.csv")
        with pytest.raises(UserError) as caught:
            read(corpus)
        message = str(caught.value)
        for part in (f"--data.corpus {corpus}", problem, "uci", "sample", ".zip", ".tsv", ".csv", ".parquet"):
            assert part in message

    @pytest.mark.parametrize("read", [fetch_corpus, read_corpus])
    def test_the_flag_that_names_it(self, read: Callable) -> None:
        with pytest.raises(UserError, match=r"cannot read --data\.test_corpus nothing\.csv: No such file"):
            read("nothing.csv", flag="--data.test_corpus")

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind this user")
    def test_forbidden_file(self, write: Write) -> None:
        path = write("messages.csv", "label,text\nham,hello\n")
        Path(path).chmod(0)
        assert "Permission denied" in refusal(path)

    def test_fetch_only_looks_for_a_file(self, write: Write) -> None:
        fetch_corpus(write("messages.csv", b"\xff not even readable"))

    def test_suffix_in_capitals(self, write: Write) -> None:
        assert rows(read_corpus(write("MESSAGES.CSV", "label,text\nham,hello\n"))) == [("ham", "hello")]


class TestZip:
    COLLECTION = b"ham\tAre you there?\nspam\tWIN\n"

    @pytest.fixture(autouse=True)
    def tiny_collection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        digest = hashlib.sha256(self.COLLECTION).hexdigest()
        monkeypatch.setattr(download, "MEMBER", ExpectedFile("SMSSpamCollection", len(self.COLLECTION), digest))

    def archive(self, write: Write, content: bytes) -> str:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("SMSSpamCollection", content)
        return write("corpus.zip", packed.getvalue())

    def test_archive_under_any_name(self, write: Write) -> None:
        path = self.archive(write, self.COLLECTION)
        assert rows(read_corpus(path)) == [("ham", "Are you there?"), ("spam", "WIN")]

    def test_other_content_names_both_hashes(self, write: Write) -> None:
        other = self.COLLECTION.lower()
        message = refusal(self.archive(write, other))
        assert hashlib.sha256(other).hexdigest() in message
        assert hashlib.sha256(self.COLLECTION).hexdigest() in message
        assert "messages of your own go in as .tsv or .csv" in message

    def test_not_an_archive(self, write: Write) -> None:
        message = refusal(write("corpus.zip", "label,text\n"))
        assert "not a readable zip archive" in message
        assert "messages of your own go in as .tsv or .csv" in message

    def test_labels_are_checked(self, write: Write) -> None:
        message = refusal(self.archive(write, self.COLLECTION), labels=["good", "bad"])
        assert "line 1: label 'ham' is none of good, bad" in message


class TestTsv:
    def test_nothing_is_quoted_and_nothing_is_missing(self, write: Write) -> None:
        content = 'ham\t"unbalanced\nspam\tNA\nham\tnull\nspam\t ""x"" \nham\tnan\n'
        assert rows(read_corpus(write("messages.tsv", content))) == [
            ("ham", '"unbalanced'),
            ("spam", "NA"),
            ("ham", "null"),
            ("spam", ' ""x"" '),
            ("ham", "nan"),
        ]

    def test_only_line_feeds_end_a_line(self, write: Write) -> None:
        text = "a\u0085b\u2028c\rd\x0be\x0cf\x1cg\x00h"
        assert rows(read_corpus(write("messages.tsv", f"ham\t{text}\r\nspam\t{text}\n"))) == [
            ("ham", text),
            ("spam", text),
        ]

    @pytest.mark.parametrize("content", ["ham\thi\nspam\tho", "\ufeffham\thi\r\n\r\nspam\tho\r\n\n\n"])
    def test_line_ends_byte_order_mark_and_blank_lines(self, write: Write, content: str) -> None:
        assert rows(read_corpus(write("messages.tsv", content))) == [("ham", "hi"), ("spam", "ho")]

    @pytest.mark.parametrize("header", ["id\ttext\tlabel", "\ufeffid\tText\tLABEL"])
    def test_header(self, write: Write, header: str) -> None:
        content = f"{header}\n1\thello\tham\n2\twin\tspam\n"
        assert rows(read_corpus(write("messages.tsv", content))) == [("ham", "hello"), ("spam", "win")]

    def test_header_with_names_of_its_own(self, write: Write) -> None:
        path = write("messages.tsv", "Kind\tMessage\nham\thello\n")
        assert rows(read_corpus(path, text_column="message", label_column="kind")) == [("ham", "hello")]

    def test_any_labels_unless_named(self, write: Write) -> None:
        path = write("messages.tsv", "sport\tgoal\npolitics\tvote\n\nart\tpaint\n")
        assert [label for label, _ in rows(read_corpus(path))] == ["sport", "politics", "art"]
        message = refusal(path, labels=["sport", "politics"])
        assert "line 4: label 'art' is none of sport, politics" in message
        assert "--data.labels" in message

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ("ham\thello\nspam\n", "line 2: the number of fields is 1, not 2"),
            ("ham\thello\n\n\nspam\ta\tb\n", "line 4: the number of fields is 3, not 2"),
            ("kind\tid\tmessage\nham\t1\thello\n", "--data.label_column"),
            ("text\tid\tlabel\nhello\t1\tham\nhello\tham\n", "line 3: the number of fields is 2, not 3"),
            ("ham\thello\nspam\t\n", "line 2: empty text"),
            ("ham\thello\nspam\t \u00a0\r\n", "line 2: empty text"),
            ("ham\thello\n\thi\n", "line 2: empty label"),
            ("ham\thello\n  \thi\n", "line 2: empty label"),
            ("", "is empty"),
            ("\ufeff", "is empty"),
            ("\r\n\n", "is empty"),
            ("label\ttext\n", "no messages"),
            ("ham\thello\nham\tcafé\n".encode("latin1"), "line 2: not UTF-8"),
            ("ham\thello\n".encode("utf-16"), "line 1: not UTF-8"),
        ],
    )
    def test_refused(self, write: Write, content: str | bytes, problem: str) -> None:
        assert problem in refusal(write("messages.tsv", content))

    def test_remedy_for_another_encoding(self, write: Write) -> None:
        assert "iconv -f latin1 -t utf-8" in refusal(write("messages.tsv", b"ham\tcaf\xe9\n"))


class TestCsv:
    def test_quoting(self, write: Write) -> None:
        content = 'label,text\r\nham,"a, ""b""\r\nc\nd"\r\nspam,it is "free"\r\nham,NA\r\n'
        assert rows(read_corpus(write("messages.csv", content))) == [
            ("ham", 'a, "b"\r\nc\nd'),
            ("spam", 'it is "free"'),
            ("ham", "NA"),
        ]

    def test_columns_by_name(self, write: Write) -> None:
        path = write("messages.csv", "\ufeffid,Text,Label,note\n1,hello,1,x\n\n2,win,0,y\n\n")
        assert rows(read_corpus(path)) == [("1", "hello"), ("0", "win")]
        assert rows(read_corpus(path, text_column="NOTE", label_column="id")) == [("1", "x"), ("2", "y")]

    def test_exact_name_before_any_case(self, write: Write) -> None:
        path = write("messages.csv", "Text,text,label\nwrong,right,ham\n")
        assert rows(read_corpus(path)) == [("ham", "right")]
        assert rows(read_corpus(path, text_column="Text")) == [("ham", "wrong")]
        assert "'Text', 'text', 'label'" in refusal(path, text_column="TEXT")

    def test_field_of_more_than_the_default_limit(self, write: Write) -> None:
        text = "word " * 40_000
        assert rows(read_corpus(write("messages.csv", f"label,text\nham,{text}\n"))) == [("ham", text)]

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ("label,body\nham,hello\n", "line 1: the columns are 'label', 'body', without"),
            ("\nkind,text\nham,hello\n", "line 2: the columns are 'kind', 'text', without"),
            ("label;text\nham;hello\n", "the columns are 'label;text'"),
            ("label,text,text\nham,hello,hi\n", "the columns are 'label', 'text', 'text'"),
            ("label,Text,TEXT\nham,hello,hi\n", "the columns are 'label', 'Text', 'TEXT'"),
            ("label,text\nham,hello\nspam,a,b\n", "line 3: the number of fields is 3, not 2 (label, text)"),
            ('label,text\nham,"a\nb"\n\nspam\n', "line 5: the number of fields is 1, not 2 (label, text)"),
            ('label,text\nham,"a\nb"\nspam,"open\nham,c\n', "line 4: malformed CSV (unexpected end of data)"),
            ('label,text\nham,"open\nspam,"b"\n', "line 2: malformed CSV"),
            ('label,text\nham,"a" b\n', "line 2: malformed CSV"),
            ('label,text\nham,"a\nb"\nspam,\n', "line 4: empty text"),
            ('label,text\nham,a\nspam," \n "\n', "line 3: empty text"),
            ('label,text\nham,a\n"",b\n', "line 3: empty label"),
            ("label,text\n", "no messages"),
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("label,text\nham,hello\nham,café\n".encode("latin1"), "line 3: not UTF-8"),
        ],
    )
    def test_refused(self, write: Write, content: str | bytes, problem: str) -> None:
        assert problem in refusal(write("messages.csv", content))

    def test_remedy_for_missing_columns(self, write: Write) -> None:
        message = refusal(write("messages.csv", "v1,v2,,\nham,hello,,\n"))
        assert "--data.label_column" in message
        assert "--data.text_column" in message

    def test_text_and_label_from_one_column(self, write: Write) -> None:
        message = refusal(write("messages.csv", "label,text\nham,hello\n"), text_column="label")
        assert "--data.text_column" in message

    def test_unknown_label(self, write: Write) -> None:
        path = write("messages.csv", 'label,text\nham,"a\nb"\nHam,c\n')
        assert "line 4: label 'Ham' is none of ham, spam" in refusal(path, labels=["ham", "spam"])

    def test_long_label_is_cut_in_the_message(self, write: Write) -> None:
        path = write("messages.csv", f"text,label\nham,{'word ' * 1000}\n")
        assert len(refusal(path, labels=["ham", "spam"])) < 400


# Any text; quotes and line separators more often than by chance.
characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from('",\r\n\t\u0085\u2028\x00')
filled = st.text(characters, min_size=1).filter(str.strip)
# What a line of a .tsv can hold: no separator, no part of a line end, no byte order mark at its beginning.
tsv_field = (
    st.text(characters.filter(lambda character: character not in "\t\n"), min_size=1)
    .filter(str.strip)
    .filter(lambda text: not text.endswith("\r") and not text.startswith("\ufeff"))
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpora")


@given(
    messages=st.lists(st.tuples(tsv_field, tsv_field), min_size=1),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_tsv_reads_back(scratch: Path, messages: list[tuple[str, str]], line_end: str) -> None:
    path = scratch / "messages.tsv"
    path.write_bytes("".join(f"{label}\t{text}{line_end}" for label, text in messages).encode())
    assert rows(read_corpus(str(path))) == [(label.strip(), text) for label, text in messages]


@given(
    messages=st.lists(st.tuples(filled, filled), min_size=1),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_csv_reads_back(scratch: Path, messages: list[tuple[str, str]], line_end: str) -> None:
    path = scratch / "messages.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=line_end)
        writer.writerow(["label", "text"])
        writer.writerows(messages)
    assert rows(read_corpus(str(path))) == [(label.strip(), text) for label, text in messages]


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_pieces_are_put_together(write: Write, monkeypatch: pytest.MonkeyPatch, storage: str) -> None:
    """However few rows are read at once, and however pandas keeps strings."""
    monkeypatch.setattr(corpora, "ROWS_AT_ONCE", 3)
    messages = [("ham" if number % 2 else "spam", f"message\x00 {number} 🎉") for number in range(10)]
    path = write("messages.tsv", "".join(f"{label}\t{text}\n" for label, text in messages))
    with pd.option_context("mode.string_storage", storage):
        for count in range(1, len(messages) + 1):
            write("messages.tsv", "".join(f"{label}\t{text}\n" for label, text in messages[:count]))
            assert rows(read_corpus(path)) == messages[:count]
    assert "line 8: empty text" in refusal(write("gap.tsv", "a\tb\n" * 7 + "a\t \n"))


@pytest.mark.parametrize(("name", "start"), [("late.csv", "label,text\n"), ("late.tsv", ""), ("late.jsonl", "")])
def test_undecodable_byte_far_into_a_file(write: Write, name: str, start: str) -> None:
    line = '{"label": "ham", "text": "hi"}\n' if name.endswith("jsonl") else start.replace("label,text", "ham,hi")
    content = (start + (line or "ham\thi\n") * 20_000).encode() + b"\xe9\n"
    assert f"line {content.count(10)}: not UTF-8" in refusal(write(name, content))


@given(messages=st.lists(st.tuples(filled, filled), min_size=1))
def test_csv_with_minimal_quoting_reads_back(scratch: Path, messages: list[tuple[str, str]]) -> None:
    path = scratch / "minimal.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "text"), *messages])
    assert rows(read_corpus(str(path))) == [(label.strip(), text) for label, text in messages]


def test_a_digest_is_of_what_is_read(write: Write, uci_archive: Path) -> None:
    path = write("own.csv", "label,text\nham,hello\n")
    assert corpus_sha256(path) == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert corpus_sha256(str(uci_archive)) == download.MEMBER.sha256  # however it is packed
    assert corpus_sha256("sample") == corpus_sha256(str(Path(corpora.__file__).with_name("sample.tsv")))
    with pytest.raises(UserError, match="No such file"):
        corpus_sha256(f"{path}.gone")


def test_the_digest_of_a_directory_tells_names_contents_and_folders_apart(tmp_path: Path) -> None:
    digests = []
    for number, files in enumerate(
        [
            {"ham/1.txt": "a", "spam/1.txt": "b"},
            {"spam/1.txt": "b", "ham/1.txt": "a", ".hidden": "x"},  # the same messages
            {"ham/1.txt": "a", "spam/2.txt": "b"},
            {"ham/1.txt": "a", "spam/1.txt": "c"},
            {"ham/1.txt": "a", "spam/1.txt": "b", "news/1.txt": "b"},
        ]
    ):
        for name, text in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        digests.append(corpus_sha256(str(tmp_path / str(number))))
    assert digests[0] == digests[1] == corpus_sha256(str(tmp_path / "4"), labels=["ham", "spam"])
    assert len(set(digests)) == 4
