"""From a corpus to train, validation and test rows: pure functions on DataFrames.

A corpus is a frame with the string columns ``label`` and ``text``.
"""

from collections.abc import Sequence

import pandas as pd

from spam_classifier.data.near_duplicates import near_duplicates
from spam_classifier.errors import UserError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
LEFT_OVER = "left_over"  # what undersampling leaves: unseen in training, evaluated along with the test split


def class_names(corpus: pd.DataFrame, labels: Sequence[str] | None = None) -> list[str]:
    """The classes in the order of their indices: as given, else the corpus's labels sorted (ham, spam).

    Raises:
        UserError: There are fewer than two classes, or a given one has no message.
    """
    present = set(corpus["label"].unique())
    names = list(labels) if labels else sorted(present)
    if len(set(names)) != len(names):
        raise UserError(f"--data.labels names a class twice: {names}")
    if len(names) < 2:
        raise UserError(f"the corpus has one class only, {names}: a classifier needs two or more")
    if missing := [name for name in names if name not in present]:
        raise UserError(f"no message is labelled {missing[0]!r}; the corpus has {sorted(present)}")
    return names


def deduplicate(corpus: pd.DataFrame, how: str) -> pd.DataFrame:
    """Keep the first of messages that repeat each other, so that none can stand in two splits.

    Args:
        corpus: Labelled messages.
        how: ``none`` keeps all, ``exact`` drops what repeats an earlier message word for word, ``near`` also what
            nearly does.
    """
    if how == "none":
        return corpus
    corpus = corpus.drop_duplicates("text")
    if how == "near":
        corpus = corpus[[place is None for place in near_duplicates(list(corpus["text"]))]]
    return corpus.reset_index(drop=True)


def undersample(corpus: pd.DataFrame, labels: Sequence[str], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw from each class as many messages as the smallest class has, classes in the order of ``labels``.

    Classes of the smallest size are kept whole and in order, as the book does with spam.

    Returns:
        The balanced corpus, and the messages that were left over, in their order.
    """
    smallest = int(corpus["label"].value_counts().min())
    classes = []
    for label in labels:
        rows = corpus[corpus["label"] == label]
        classes.append(rows if len(rows) == smallest else rows.sample(smallest, random_state=seed))
    balanced = pd.concat(classes)
    return balanced, corpus.drop(balanced.index)


def first_of_each_class(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """The first messages of each class, at most ``number``, in their order."""
    return rows.groupby("label", sort=False).head(number).reset_index(drop=True)


def split(
    corpus: pd.DataFrame, train_fraction: float, validation_fraction: float, seed: int, *, stratify: bool = False
) -> dict[str, pd.DataFrame]:
    """Shuffle and cut into train, validation and test, with the book's rounding: ``int()`` of the fractions.

    Args:
        corpus: Labelled messages.
        train_fraction: Share of the rows for training.
        validation_fraction: Share of the rows for validation; what is left is the test split.
        seed: Seed of the shuffle.
        stratify: Cut each class by itself, so that all splits hold the same shares of the classes.

    Raises:
        UserError: The fractions are not fractions, leave a split empty, or leave a class out of training.
    """
    if not (0 < train_fraction < 1 and 0 < validation_fraction < 1 and train_fraction + validation_fraction < 1):
        raise UserError(
            f"--data.train_fraction {train_fraction} and --data.validation_fraction {validation_fraction} "
            "must be above 0 and leave something for the test split: their sum must be below 1"
        )
    shuffled = corpus.sample(frac=1, random_state=seed).reset_index(drop=True)
    parts = [rows for _, rows in shuffled.groupby("label")] if stratify else [shuffled]
    cuts = [_cut(rows, train_fraction, validation_fraction, least=int(stratify)) for rows in parts]
    splits = {
        name: pd.concat(pieces).sort_index() for name, pieces in zip(SPLITS, zip(*cuts, strict=True), strict=True)
    }
    for name, rows in splits.items():
        if rows.empty:
            raise UserError(
                f"the {name} split is empty: {len(shuffled)} messages are too few for the fractions "
                f"{train_fraction} / {validation_fraction} / rest; add messages or change "
                "--data.train_fraction and --data.validation_fraction"
            )
    if absent := sorted(set(corpus["label"]) - set(splits[TRAIN]["label"])):
        raise UserError(
            f"no message of class {absent[0]!r} fell into the train split: add messages of it, raise "
            "--data.train_fraction or try another --data.split_seed"
        )
    return {name: rows.reset_index(drop=True) for name, rows in splits.items()}


def _cut(
    rows: pd.DataFrame, train_fraction: float, validation_fraction: float, least: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Cut into three parts; ``least`` rows are left to each, if there are enough."""
    train_end = min(max(least, int(len(rows) * train_fraction)), len(rows) - 2 * least)
    validation_end = min(train_end + max(least, int(len(rows) * validation_fraction)), len(rows) - least)
    return rows[:train_end], rows[train_end:validation_end], rows[validation_end:]


def refuse_rare_classes(corpus: pd.DataFrame, labels: Sequence[str], *, deduplicate: str = "none") -> None:
    """Refuse a corpus in which a class has too few messages to stand in all three splits.

    Args:
        corpus: Labelled messages.
        labels: The classes.
        deduplicate: How repeats were removed before, to be named as a cause.

    Raises:
        UserError: Names the class and how many messages it has.
    """
    counts = corpus["label"].value_counts()
    for label in labels:
        if (count := counts.get(label, 0)) < len(SPLITS):
            left = "" if deduplicate == "none" else f" left after --data.deduplicate {deduplicate}"
            raise UserError(
                f"class {label!r} has {count} message(s){left}, too few to split into train, validation and "
                f"test: give it at least {len(SPLITS)}, or check that --data.label_column names the labels"
            )
