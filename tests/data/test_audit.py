"""The audit of the data, on corpora whose repeats are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from spam_classifier import SpamDataModule
from spam_classifier.data.audit import audit_corpus, audit_splits, leaked_rows


def messages(*texts: str, label: str = "ham") -> pd.DataFrame:
    return pd.DataFrame({"label": label, "text": texts})


def test_repeats_and_contradictions_are_counted() -> None:
    spam = messages("other words", "win", label="spam")
    corpus = pd.concat(
        [messages("see you at 5", "see you at 6", "see you at 5", "other words"), spam], ignore_index=True
    )
    assert audit_corpus(corpus) == {
        "messages": 6,
        "classes": {"ham": 4, "spam": 2},
        "exact_repeats": 2,
        "near_duplicates": 3,
        "contradictions": 1,
    }
    of_two_texts = pd.DataFrame({"label": list("abaabb"), "text": list("xxxyyy")})
    assert audit_corpus(of_two_texts)["contradictions"] == 1 + 2  # to the first of each


def test_leaks_are_told_apart() -> None:
    leaked = leaked_rows(messages("a b c", "call 1", "new"), messages("a b c", "call 2"))
    assert leaked["exact"].tolist() == [True, False, False]
    assert leaked["near"].tolist() == [True, True, False]


def test_splits_are_counted() -> None:
    splits = {"train": messages("a", "b"), "test": messages("a", "long text", label="spam")}
    lengths = {"train": np.array([1, 3]), "test": np.array([1, 9])}
    audit = audit_splits(splits, lengths, max_length=3)
    assert audit["train"]["truncated"] == 0
    assert "also_in_train" not in audit["train"]
    assert audit["test"] == {
        "messages": 2,
        "classes": {"spam": 2},
        "truncated": 1,
        "tokens": {"mean": 5.0, "median": 5.0, "95 %": 8.6, "longest": 9},
        "also_in_train": {"exact": 1, "near": 1},
    }


def test_real_corpus_as_the_book_splits_it(uci_archive) -> None:
    data = SpamDataModule(str(uci_archive))
    data.setup("fit")
    audit = data.audit()
    assert audit["corpus"]["messages"] == 5574
    assert audit["corpus"]["exact_repeats"] == 403
    assert audit["corpus"]["near_duplicates"] == 604
    assert audit["splits"]["test"]["also_in_train"]["exact"] == 36
    assert audit["splits"]["left_over"]["messages"] == 4080


def test_real_corpus_as_recommended_has_no_leak(uci_archive) -> None:
    config = yaml.safe_load((Path(__file__).parents[2] / "configs/recommended.yaml").read_text())
    for balance in (config["data"]["balance"], "undersample"):
        data = SpamDataModule(str(uci_archive), **{**config["data"], "balance": balance})
        data.setup("fit")
        splits = data.audit()["splits"]
        assert ("left_over" in splits) == (balance == "undersample")
        for name in set(splits) - {"train"}:
            assert splits[name]["also_in_train"] == {"exact": 0, "near": 0}
