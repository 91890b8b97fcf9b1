"""Facts about the data that bear on results: repeats, leaks between the splits, truncation, lengths."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from spam_classifier.data.near_duplicates import near_any, near_duplicates
from spam_classifier.data.splits import TRAIN

MOST_COMPARED = 100_000  # with more messages near-duplicates are not counted: it would take minutes


def audit_corpus(corpus: pd.DataFrame) -> dict[str, Any]:
    """Count a corpus as it was read.

    Returns:
        ``messages``; ``classes``, the messages of each; ``exact_repeats`` and ``near_duplicates`` of an earlier message
        (None if there are too many to compare); ``contradictions``, exact repeats of a message of another label.
    """
    repeated = corpus["text"].duplicated()
    repeating = corpus[corpus["text"].duplicated(keep=False)]  # few, as a rule
    first_label = repeating.drop_duplicates("text").set_index("text")["label"]
    contradicted = repeating["label"] != repeating["text"].map(first_label)
    near = near_duplicates(corpus["text"].tolist()) if len(corpus) <= MOST_COMPARED else None
    return {
        "messages": len(corpus),
        "classes": corpus["label"].value_counts().sort_index().to_dict(),
        "exact_repeats": int(repeated.sum()),
        "near_duplicates": None if near is None else sum(place is not None for place in near),
        "contradictions": int(contradicted.sum()),
    }


def leaked_rows(rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Which ``rows`` of another split repeat one of the train split: boolean columns ``exact`` and ``near``.

    Exact repeats are near ones, too. If there are too many rows to compare, there is no column ``near``.
    """
    known = set(train["text"].tolist())
    leaked = pd.DataFrame({"exact": [text in known for text in rows["text"].tolist()]}, dtype=bool)
    if len(rows) + len(train) <= MOST_COMPARED:
        leaked["near"] = near_any(rows["text"].tolist(), train["text"].tolist())
    return leaked


def audit_splits(
    splits: Mapping[str, pd.DataFrame], lengths: Mapping[str, np.ndarray], max_length: int
) -> dict[str, dict[str, Any]]:
    """Count each split: messages, classes, tokens, what is cut to ``max_length``, and what repeats the train split.

    ``lengths`` are the tokens of each split's messages before truncation, int64 [N].
    """
    audit = {}
    for name, rows in splits.items():
        tokens = lengths[name]
        audit[name] = {
            "messages": len(rows),
            "classes": rows["label"].value_counts().sort_index().to_dict(),
            "truncated": int((tokens > max_length).sum()),
            "tokens": {
                "mean": float(tokens.mean()),
                "median": float(np.median(tokens)),
                "95 %": float(np.quantile(tokens, 0.95)),
                "longest": int(tokens.max()),
            },
        }
        if name != TRAIN:
            leaked = leaked_rows(rows, splits[TRAIN])
            counts = {kind: int(column.sum()) for kind, column in leaked.items()}
            audit[name]["also_in_train"] = {"near": None, **counts}
    return audit
