"""A directory with a folder per class: order, labels, what is passed over and what is refused."""

from pathlib import Path

import pytest

from spam_classifier.data.corpora import fetch_corpus, read_corpus
from spam_classifier.errors import UserError


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """The layout of the IMDb reviews."""
    files = {
        "pos/1_9.txt": "Good.\r\n",
        "pos/0_10.TXT": "\ufeffFine — é",
        "neg/2_1.txt": " Bad. ",
        "unsup/0_0.txt": "Unrated.",
        "labeledBow.feat": "9 0:9",
        ".cache/x.txt": "hidden",
        "neg/.DS_Store": "hidden",
    }
    for name, content in files.items():
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    return tmp_path / "train"


def messages(corpus: Path, labels: list[str] | None = None) -> list[tuple[str, str]]:
    frame = read_corpus(str(corpus), labels=labels)
    return list(zip(frame["label"], frame["text"], strict=True))


def test_order_labels_and_exact_texts(reviews: Path) -> None:
    fetch_corpus(str(reviews))
    rated = [("neg", " Bad. "), ("pos", "Fine — é"), ("pos", "Good.\r\n")]
    assert messages(reviews) == [*rated, ("unsup", "Unrated.")]
    assert messages(reviews, labels=["pos", "neg"]) == rated


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("neg/empty.txt", b"", "no text"),
        ("neg/blank.txt", b" \n", "no text"),
        ("neg/latin.txt", "é".encode("latin-1"), "not UTF-8"),
        ("neg/mail.eml", b"hello", "not a .txt"),
        ("neg/deeper/a.txt", b"hello", "not a .txt"),
        ("neg/folder.txt/a.txt", b"hello", "not a file"),
    ],
)
def test_refused_with_the_file_named(reviews: Path, name: str, content: bytes, problem: str) -> None:
    (reviews / name).parent.mkdir(exist_ok=True)
    (reviews / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        messages(reviews)
    assert problem in str(caught.value)
    assert str(reviews / "neg" / name.split("/")[1]) in str(caught.value)
    with pytest.raises(UserError, match=r"--data.labels names none of them: others"):
        messages(reviews, labels=["others"])
    assert messages(reviews, labels=["unsup"])  # other folders are not looked into
