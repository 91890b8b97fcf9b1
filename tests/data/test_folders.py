"""Directories of texts and mails: what is read, in which order, with which label; what is passed over or refused."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from spam_classifier.data.corpora import fetch_corpus, read_corpus
from spam_classifier.data.folders import class_folders, folder_input, folder_texts
from spam_classifier.data.rows import Input, Rejected, Row
from spam_classifier.errors import UserError

MAIL = "From: a@example.com\nSubject: {}\n\nCall\n"
ENVELOPE = "From a@example.com Mon Jan  1 10:00:00 2024\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Files of a directory, by name."""

    def files(contents: dict[str, str | bytes]) -> Path:
        for name, content in contents.items():
            path = tmp_path / "corpus" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / "corpus"

    return files


@pytest.fixture
def reviews(write: Callable) -> Path:
    """The layout of the IMDb reviews."""
    return write(
        {
            "pos/1_9.txt": "Good.\r\n",
            "pos/0_10.TXT": "\ufeffFine — é",
            "neg/2_1.txt": " Bad. ",
            "unsup/0_0.txt": "Unrated.",
            "labeledBow.feat": "9 0:9",
            ".cache/x.txt": "hidden",
            "neg/.DS_Store": "hidden",
        }
    )


def messages(corpus: Path, labels: list[str] | None = None) -> list[tuple[str, str]]:
    frame = read_corpus(str(corpus), labels=labels).messages
    return list(zip(frame["label"], frame["text"], strict=True))


def labelled(found: Input) -> list[tuple[str | None, str]]:
    return [(row.label, row.text) if isinstance(row, Row) else ("rejected", row.reason) for row in found.rows]


def test_order_labels_and_exact_texts(reviews: Path) -> None:
    fetch_corpus(str(reviews))
    rated = [("neg", " Bad. "), ("pos", "Fine — é"), ("pos", "Good.\r\n")]
    assert messages(reviews) == [*rated, ("unsup", "Unrated.")]
    assert messages(reviews, labels=["pos", "neg"]) == rated
    found = folder_input(reviews, None)
    assert len(list(found.rows)) == 4
    first = re.escape(str(reviews / "labeledBow.feat"))
    assert re.fullmatch(
        rf"files passed over, which are in no folder of a class: 1 \(first: {first}\)", found.notes.line()
    )


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("neg/empty.txt", b"", "no text"),
        ("neg/blank.txt", b" \n", "no text"),
        ("neg/long.txt", b"a" * (2**24 + 1), "longer than 16,777,216 bytes"),
        ("neg/no.eml", b"hello", "no e-mail"),
    ],
)
def test_refused_with_the_file_named(reviews: Path, name: str, content: bytes, problem: str) -> None:
    (reviews / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        messages(reviews)
    assert problem in str(caught.value)
    assert str(reviews / name) in str(caught.value)
    with pytest.raises(UserError, match=r"--data.labels names none of them: others"):
        messages(reviews, labels=["others"])
    assert messages(reviews, labels=["unsup"])  # other folders are not looked into


def test_sub_folders_belong_to_their_class(write: Callable) -> None:
    corpus = write({"neg/b.txt": "b", "neg/a/z/1.txt": "a", "neg/c/1.txt": "c", "pos/folder.txt/1.txt": "d"})
    assert labelled(folder_input(corpus, None)) == [("neg", "a"), ("neg", "b"), ("neg", "c"), ("pos", "d")]


def test_texts_that_are_not_utf8(write: Callable) -> None:
    corpus = write(
        {
            "a/1.txt": "Grüße aus Köln, wir freuen uns".encode("latin-1"),
            "a/2.txt": "Für Sie: Straßenfest".encode("latin-1"),
            "a/3.txt": "Поздравляем, вы выиграли".encode("koi8-r"),
            "a/4.txt": "é".encode("utf-16"),
            "a/5.txt": "Поздравляем, вы выиграли".encode() + b"\xff",
        }
    )
    found = folder_input(corpus, None)
    assert [text for _, text in labelled(found)][1:] == [
        "Für Sie: Straßenfest",
        "Поздравляем, вы выиграли",
        "é",
        "Поздравляем, вы выиграли\ufffd",
    ]
    path = f"{corpus}{os.sep}a{os.sep}"
    assert found.notes.line() == (
        f"texts that are not UTF-8, read as windows-1252: 2 (first: {path}1.txt); "
        f"texts that are not UTF-8, read as koi8-r: 1 (first: {path}3.txt); "
        f"texts with lost characters: 1 (first: {path}5.txt)"
    )


def test_mails_of_any_name_and_mailboxes(write: Callable) -> None:
    box = "".join(ENVELOPE + MAIL.format(name) + "\n" for name in "xyz")
    corpus = write(
        {
            "spam/cur/1700.M1P1.host:2,S" if os.name != "nt" else "spam/cur/1700": MAIL.format("maildir"),
            "spam/new/1": MAIL.format("new"),
            "spam/tmp/1": MAIL.format("unfinished"),
            "spam/cmds": "mv 1 2",
            "spam.mbox": box,
            "ham.MBX": ENVELOPE + MAIL.format("one"),
            "ham/0001.txt": MAIL.format("text"),
            "ham/readme.txt": "no mail",
            "ham/archive/old": box,
            "ham/a.eml": "Subject: only\n\nCall",
            "notes.md": "none",
        }
    )
    assert class_folders(corpus) == ["ham", "spam"]
    found = folder_input(corpus, None)
    ham = [("ham", f"{name}\nCall") for name in ("text", "only", "x", "y", "z", "one")]
    spam = [("spam", f"{name}\nCall") for name in ("maildir", "new", "x", "y", "z")]
    assert labelled(found) == [*ham, *spam]
    assert found.notes.counts == {
        "files passed over, which are in no folder of a class": 1,
        "files passed over, which are no mails": 2,
    }
    assert labelled(folder_input(corpus, ["spam"])) == spam
    alone = folder_texts(corpus)
    assert alone.columns == ["file", "text", "lost_characters", "left_out"]
    rows = list(alone.rows)
    assert len(rows) == 11
    assert f"{corpus / 'spam.mbox'}, mail 3" in [row.place for row in rows]
    assert alone.where(rows[0].place) == rows[0].values[0] == str(corpus / "ham/0001.txt")
    assert alone.notes.counts == {"files passed over, which are no mails": 3}


def test_all_classes_are_read_alike(write: Callable) -> None:
    """One class has nothing but .txt, which would be texts if they were alone."""
    corpus = write({"ham/1.txt": "hello", "spam/1": MAIL.format("a"), "spam/2.jpg": b"\xff\xd8"})
    found = folder_input(corpus, None)
    assert labelled(found) == [("spam", "a\nCall")]
    assert found.notes.counts == {"files passed over, which are no mails": 2}


def test_texts_next_to_other_files(write: Callable) -> None:
    corpus = write({"ham/1.txt": "hello", "ham/1.jpg": b"\xff\xd8", "spam/1.txt": "prize", "spam/1.json": "{}"})
    for found in (folder_input(corpus, None), folder_texts(corpus)):
        assert [row.text for row in found.rows] == ["hello", "prize"]
        assert found.notes.counts == {"files passed over, which are neither mails nor .txt": 2}


def test_mails_that_are_all_called_txt(write: Callable) -> None:
    corpus = write({f"spam/{number:02}.txt": MAIL.format(number) for number in range(25)})
    assert labelled(folder_input(corpus, None))[24] == ("spam", "24\nCall")
    write({"spam/03.txt": "Subject: as Enron's are\nno header"})
    assert labelled(folder_input(corpus, None))[24] == ("spam", MAIL.format(24))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes there")
def test_what_cannot_be_opened_is_rejected_and_links_end(write: Callable) -> None:
    corpus = write({"spam/1": MAIL.format("a"), "spam/.hidden": MAIL.format("b"), "spam/deep/2": MAIL.format("c")})
    os.mkfifo(corpus / "spam/pipe")
    (corpus / "spam/gone.eml").symlink_to("nowhere")
    (corpus / "spam/self").symlink_to("self")
    (corpus / "spam/deep/up").symlink_to("..")
    (corpus / "spam" / os.fsdecode(b"\xff")).write_text(MAIL.format("d"))
    for found in (folder_input(corpus, None), folder_texts(corpus)):
        rows = list(found.rows)
        assert [row.text for row in rows if isinstance(row, Row)] == ["a\nCall", "c\nCall"]
        reasons = [row.reason for row in rows if isinstance(row, Rejected)]
        assert reasons == ["not a file", "not a file", "not a file", "the file's name is not UTF-8"]


def test_mails_are_labelled_by_the_text_that_is_predicted(write: Callable) -> None:
    corpus = write({"a/1": MAIL.format("x"), "a/2": ENVELOPE + MAIL.format("y") + "\n" + ENVELOPE + MAIL.format("z")})
    assert [row.text for row in folder_input(corpus, None).rows] == [row.text for row in folder_texts(corpus).rows]


@pytest.mark.parametrize("contents", [{".hidden.txt": "a"}, {"a/b.jpg": b"\xff"}])
def test_directory_without_messages_is_refused(write: Callable, contents: dict[str, str]) -> None:
    corpus = write(contents)
    with pytest.raises(UserError, match=r"holds no mails and no \.txt files: name the directory that does"):
        folder_texts(corpus)
