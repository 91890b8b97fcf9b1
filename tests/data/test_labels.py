"""Labels that are written in several ways, and labels that are texts."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.labels import one_spelling
from spam_classifier.errors import UserError


def labelled(*counts: tuple[str, int]) -> pd.DataFrame:
    labels = [label for label, count in counts for _ in range(count)]
    return pd.DataFrame({"label": labels, "text": [f"text {row}" for row in range(len(labels))]}, dtype="str")


def counted(frame: pd.DataFrame) -> dict[str, int]:
    return frame["label"].value_counts().to_dict()


SPELT = (("ham", 40), ("spam", 32), ("SPAM", 4), ("Spam", 4))


def test_spellings_are_refused_with_their_counts_and_the_flag() -> None:
    with pytest.raises(UserError) as caught:
        one_spelling([labelled(*SPELT)])
    assert str(caught.value) == (
        "labels differ only in case or white space: 'spam' (32 messages), 'SPAM' (4 messages), 'Spam' (4 messages); "
        "add --data.merge_labels true to make them one class"
    )
    with pytest.raises(UserError, match=r"'not spam' \(3 messages\), 'not  spam' \(1 messages\);"):
        one_spelling([labelled(("spam", 3), ("not  spam", 1), ("not spam", 2)), labelled(("not spam", 1))])
    with pytest.raises(UserError, match=r"'ss' .*, 'SS' .*, 'sS' \(1 messages\) and 1 more;"):
        one_spelling([labelled(("ss", 4), ("SS", 3), ("sS", 1), ("Ss", 1))])


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_spellings_are_merged_into_the_most_frequent(storage: str) -> None:
    with pd.option_context("mode.string_storage", storage):
        frame = labelled(*SPELT)
        (merged,), notes = one_spelling([frame], merge=True)
    assert counted(merged) == {"ham": 40, "spam": 40}
    assert notes == ["labels merged: 'SPAM' to 'spam' in 4 messages, 'Spam' to 'spam' in 4 messages"]
    assert merged["label"].dtype == frame["label"].dtype
    assert (merged["label"] == frame["label"].str.lower()).all()
    assert merged["text"].equals(frame["text"])
    assert merged.index.equals(frame.index)


def test_the_corpus_decides_how_a_given_split_is_spelt() -> None:
    corpus, test = labelled(("Spam", 5), ("spam", 2), ("ham", 5)), labelled(("spam", 9), ("HAM", 9))
    frames, _ = one_spelling([corpus, test], merge=True)
    assert [counted(frame) for frame in frames] == [{"Spam": 7, "ham": 5}, {"Spam": 9, "ham": 9}]


def test_equally_frequent_spellings_become_lower_case() -> None:
    (merged,), _ = one_spelling([labelled(("SPAM", 3), ("Spam", 3), ("spam", 3), ("ham", 1))], merge=True)
    assert counted(merged) == {"spam": 9, "ham": 1}


def test_named_labels_stay() -> None:
    corpus = labelled(("spam", 30), ("Spam", 2), ("ham", 9))
    (merged,), _ = one_spelling([corpus], labels=["ham", "Spam"], merge=True)
    assert counted(merged) == {"Spam": 32, "ham": 9}
    for merge in (False, True):  # two classes on purpose
        (same,), notes = one_spelling([corpus], labels=["ham", "spam", "Spam"], merge=merge)
        assert same is corpus
        assert notes == []
    numbers = labelled(("1", 3), ("0.0", 3))
    assert one_spelling([numbers], labels=["0.0", "1"])[0][0] is numbers


def test_numbers_are_written_in_one_way() -> None:
    frames = [labelled(("0", 20), ("0.0", 20), ("1", 13), ("1.0", 27)), labelled(("1.00", 3), ("0.5", 1), ("-2.0", 1))]
    (corpus, test), notes = one_spelling(frames)
    assert counted(corpus) == {"0": 40, "1": 40}
    assert counted(test) == {"1": 3, "0.5": 1, "-2": 1}
    (note,) = notes
    assert note.startswith("labels rewritten as whole numbers: ")
    assert "'1.0' to '1' in 27 messages" in note
    assert note.endswith(" and 1 more")


@pytest.mark.parametrize(
    "names", [("0.0", "1.0"), ("0", "1"), ("0", "1.0", "spam"), ("1.0", "1.5"), ("ham", "spam"), ("v1", "v1.0")]
)
@pytest.mark.parametrize("merge", [False, True])
def test_labels_without_two_forms_stay(names: tuple[str, ...], merge: bool) -> None:
    frame = labelled(*((name, 3) for name in names))
    (same,), notes = one_spelling([frame], merge=merge)
    assert same is frame
    assert notes == []


@given(st.lists(st.sampled_from(["0", "0.0", "1", "1.0", "Spam", "spam", " spam", "SPAM ", "ham"]), min_size=1))
def test_merging_keeps_rows_and_is_done_after_once(labels: list[str]) -> None:
    frame = pd.DataFrame({"label": labels, "text": [str(row) for row in range(len(labels))]}, dtype="str")
    (merged,), _ = one_spelling([frame], merge=True)
    assert merged["text"].tolist() == frame["text"].tolist()
    for before, after in zip(labels, merged["label"], strict=True):
        assert after in labels or f"{after}.0" in labels
        assert before.strip().casefold().removesuffix(".0") == after.strip().casefold().removesuffix(".0")
    assert merged["label"].str.strip().str.casefold().nunique() == merged["label"].nunique()
    assert one_spelling([merged]) == ([merged], [])


@pytest.mark.parametrize(
    ("classes", "messages", "refused"),
    [(80, 80, True), (41, 80, True), (40, 80, False), (20, 20, False), (21, 21, True)],
)
def test_as_many_classes_as_messages(classes: int, messages: int, refused: bool) -> None:
    frame = labelled(*((f"Text {row % classes}", 1) for row in range(messages)))
    if not refused:
        assert one_spelling([frame])[0][0] is frame
        return
    with pytest.raises(UserError) as caught:
        one_spelling([frame], label_column="v1", text_column="the text")
    assert str(caught.value) == (
        f"--data.corpus has {classes} classes for {messages} messages: are the columns swapped? If so, add "
        '--data.label_column "the text" --data.text_column v1; else name the column of the labels with '
        "--data.label_column"
    )
