"""Tables and names as Markdown."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from spam_classifier.evaluation.text_tables import escape_markdown, markdown_table, two_columns

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("<>[]()`*_~|\\&#;!:/.a1 -=+@", max_size=30)


def printable(text: str) -> list[str]:
    return "".join(character if character.isprintable() else " " for character in text).split()


@given(TEXTS)
def test_escaped_text_is_shown_literally(text: str) -> None:
    tokens = MARKDOWN.parse(f"x {escape_markdown(text)} y")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {child.type for child in tokens[1].children or []} <= {"text", "text_special"}
    assert "".join(child.content for child in tokens[1].children or []).split() == ["x", *printable(text), "y"]


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_escaped_texts_stay_in_their_cells(texts: list[str]) -> None:
    rows = [{"number": number, "text": escape_markdown(text)} for number, text in enumerate(texts)]
    found = [token for token in MARKDOWN.parse(markdown_table(rows)) if token.type == "inline"]
    shown = ["".join(child.content for child in token.children or []).split() for token in found]
    assert shown[2:] == [words for number, text in enumerate(texts) for words in ([str(number)], printable(text))]


def test_columns_are_aligned() -> None:
    rows = [
        {"split": "train", "messages": "1,045", "F1": None, "remark": "a | b"},
        {"split": "test", "F1": "0.6667", "messages": 7},
    ]
    assert markdown_table(rows).splitlines() == [
        "| split | messages |     F1 | remark |",
        "| ----- | -------: | -----: | --- |",
        "| train |    1,045 |      - | a \\| b |",
        "| test  |        7 | 0.6667 | - |",
    ]


def test_two_columns_align_values_and_their_further_lines() -> None:
    assert two_columns({"time": "3 s", "checkpoint": "best.ckpt", "next": "train\ntest"}) == (
        "time        3 s\ncheckpoint  best.ckpt\nnext        train\n            test"
    )
