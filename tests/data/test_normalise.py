"""Disguised letters become what a reader takes them for, and nothing else changes."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.data.normalise import normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("frее рrіzе", "free prize"),  # Cyrillic letters within Latin words
        ("w\u200bi\u200dn\u00ad ca\u2060sh", "win cash"),
        ("\U0001d405\U0001d411\U0001d404\U0001d404 \ufb01ne \uff37\uff29\uff2e", "FREE fine WIN"),
        ("cαsh", "cash"),  # Greek
        ("xе\u0301", "xé"),  # a mark joins the letter that it now follows
        ("frее-саll сlub", "free-call club"),
    ],
)
def test_disguises_are_undone(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Привет, как дела?",
        "Ωμέγα",
        "你好",
        "café naïve",
        "👨\u200d👩\u200d👧",
        "می\u200cخواهم",
        "Łódź £5 €6",
        "ASCII 0906 'free'",
        "SMS-сообщение",
        "http://пример.рф/новости",
        "α-Blocker, 5 kΩ",
    ],
)
def test_other_scripts_and_emoji_stay(text: str) -> None:
    assert normalise(text) == text


@given(st.text())
def test_the_result_is_normal_and_stays_so(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFKC", once)
