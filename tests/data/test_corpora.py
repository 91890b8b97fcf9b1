"""Corpora by name, by path and as an archive, and their digests."""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

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


def rows(corpus: corpora.Corpus | pd.DataFrame) -> list[tuple[str, str]]:
    frame = corpus if isinstance(corpus, pd.DataFrame) else corpus.messages
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
        frame = read_corpus(str(uci_archive)).messages
        assert frame["label"].value_counts().to_dict() == {"ham": 4827, "spam": 747}
        with zipfile.ZipFile(uci_archive) as archive:
            lines = archive.read("SMSSpamCollection").decode().split("\n")
        assert ["\t".join(row) for row in rows(frame)] == lines[:-1]

    def test_uci_is_read_from_the_cache(self, uci_archive: Path, tmp_path: Path) -> None:
        (tmp_path / "sms+spam+collection.zip").write_bytes(uci_archive.read_bytes())
        fetch_corpus("uci", str(tmp_path))
        cached = read_corpus("uci", cache_dir=str(tmp_path))
        pd.testing.assert_frame_equal(cached.messages, read_corpus(str(uci_archive)).messages)
        assert not cached.notes


class TestNames:
    def test_sample(self) -> None:
        fetch_corpus("sample")
        found = read_corpus("sample")
        assert set(found.messages["label"]) == {"ham", "spam"}
        assert not found.notes

    def test_uci_that_was_not_fetched(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"SMSSpamCollection: No such file.*--data\.corpus sample"):
            read_corpus("uci", cache_dir=str(tmp_path))

    @pytest.mark.parametrize("read", [fetch_corpus, read_corpus])
    def test_what_cannot_be_a_corpus(self, read: Callable, write: Write, monkeypatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        write("messages.doc", b"PK")
        Path("folder.csv").mkdir()
        Path("loop.csv").symlink_to("loop.csv")
        for corpus, problem in {
            **dict.fromkeys(["smss", "UCI", "messages.csv", ""], "No such file"),
            "folder.csv": "a directory without a folder per class",
            "loop.csv": "symbolic links",
            "x" * 300: "name too long",
        }.items():
            for flag in ("--data.corpus", "--data.test_corpus"):
                with pytest.raises(UserError) as caught:
                    read(corpus, flag=flag)
                for part in (f"{flag} {corpus}", problem, "uci", "sample", ".tsv", ".csv", ".parquet"):
                    assert part in str(caught.value)

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind this user")
    def test_forbidden_file(self, write: Write) -> None:
        path = write("messages.csv", "label,text\nham,hello\n")
        Path(path).chmod(0)
        assert "Permission denied" in refusal(path)

    def test_fetch_only_looks_for_a_file_and_suffixes_may_be_capitals(self, write: Write) -> None:
        fetch_corpus(write("messages.csv", b"\xff not even readable"))
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
        message = refusal(self.archive(write, self.COLLECTION.lower()))
        assert "messages of your own go in as .tsv or .csv" in message


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
    assert "line 8: no text" in refusal(write("gap.tsv", "a\tb\n" * 7 + "a\t \n"))


def test_a_digest_is_of_what_is_read(write: Write, uci_archive: Path) -> None:
    path = write("own.csv", "label,text\nham,hello\n")
    assert corpus_sha256(path) == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert corpus_sha256(str(uci_archive)) == download.MEMBER.sha256  # however it is packed
    assert corpus_sha256("sample") == corpus_sha256(str(Path(corpora.__file__).with_name("sample.tsv")))
    assert read_corpus(str(uci_archive)).sha256 == download.MEMBER.sha256
    assert read_corpus("sample").sha256 == corpus_sha256("sample")
    with pytest.raises(UserError, match="No such file"):
        corpus_sha256(f"{path}.gone")


def test_the_digest_of_a_directory_tells_names_contents_and_folders_apart(tmp_path: Path) -> None:
    both = {"ham/1.txt": "a", "spam/1.txt": "b"}
    digests = []
    for number, files in enumerate(
        [
            both,
            {**dict(reversed(both.items())), ".hidden": "x"},  # the same messages
            {"ham/1.txt": "a", "spam/2.txt": "b"},
            {"ham/1.txt": "a", "spam/1.txt": "c"},
            {**both, "news/1.txt": "b"},
        ]
    ):
        for name, text in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        digests.append(corpus_sha256(str(tmp_path / str(number))))
        assert read_corpus(str(tmp_path / str(number))).sha256 == digests[-1]
    assert digests[0] == digests[1] == corpus_sha256(str(tmp_path / "4"), labels=["ham", "spam"])
    assert len(set(digests)) == 4
