"""From a corpus to train, validation and test rows: pure functions on DataFrames.

A corpus is a frame with the string columns ``label`` and ``text``.
"""

import reprlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from spam_classifier.data.near_duplicates import near_duplicates
from spam_classifier.errors import UserError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
FEW_IN_TEST = 10  # messages of a class: an interval of 95 % around 9 of 10 is from 60 % to 98 %
LEFT_OVER = "left_over"  # not drawn by undersampling: unseen in training, evaluated along with the test split


def class_names(corpus: pd.DataFrame, labels: Sequence[str] | None = None) -> list[str]:
    """The classes in the order of their indices: as given, else the corpus's labels sorted (ham, spam)."""
    present = set(corpus["label"].unique())
    names = list(labels) if labels else sorted(present)
    if len(set(names)) != len(names):
        raise UserError(f"--data.labels names a class twice: {names}")
    if len(names) < 2:
        raise UserError(f"the corpus has one class only, {names}: a classifier needs two or more")
    if missing := [name for name in names if name not in present]:
        raise UserError(f"no message is labelled {missing[0]!r}; the corpus has {sorted(present)}")
    return names


def deduplicate_in_turn(frames: Sequence[pd.DataFrame], how: str) -> list[pd.DataFrame]:
    """Drop the messages that repeat an earlier one, of the same frame or of one before it.

    So no message is in two splits: of a test split that comes first only its own repeats are dropped. ``exact`` drops
    exact repeats, ``near`` also near-duplicates, ``none`` nothing.
    """
    if how == "none":
        return list(frames)
    texts = pd.concat([frame["text"] for frame in frames], ignore_index=True)
    kept = ~texts.duplicated().to_numpy()
    if how == "near":
        places = np.flatnonzero(kept)
        kept[places] = [earlier is None for earlier in near_duplicates(texts.iloc[places].tolist())]
    ends = np.cumsum([len(frame) for frame in frames])[:-1]
    return [frame[own].reset_index(drop=True) for frame, own in zip(frames, np.split(kept, ends), strict=True)]


def refuse_unknown_classes(given: Mapping[str, pd.DataFrame], labels: Sequence[str]) -> None:
    """Refuse a given split, by its name, with a class that the corpus does not have."""
    for name, rows in given.items():
        if unknown := sorted(set(rows["label"].unique()) - set(labels)):
            raise UserError(
                f"--data.{name}_corpus has messages labelled {reprlib.repr(unknown[0])}, a class that --data.corpus "
                f"does not teach ({', '.join(labels)}): correct them, or add messages of it to --data.corpus"
            )


def undersample(corpus: pd.DataFrame, labels: Sequence[str], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw as many messages of each class as the smallest class has; classes in the order of ``labels``.

    Classes of the smallest size keep their order, as spam does in the book. Returns also what is left over, in order.
    """
    smallest = int(corpus["label"].value_counts().min())
    classes = []
    for label in labels:
        rows = corpus[corpus["label"] == label]
        classes.append(rows if len(rows) == smallest else rows.sample(smallest, random_state=seed))
    balanced = pd.concat(classes)
    return balanced, corpus.drop(balanced.index)


def first_of_each_class(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """The first ``number`` messages of each class, in their order."""
    return rows.groupby("label", sort=False).head(number).reset_index(drop=True)


def split(
    corpus: pd.DataFrame,
    train_fraction: float,
    validation_fraction: float,
    seed: int,
    *,
    stratify: bool = False,
    given: Mapping[str, pd.DataFrame] | None = None,
) -> dict[str, pd.DataFrame]:
    """Shuffle and cut into train, validation and test, with the book's rounding: ``int()`` of the fractions.

    ``given`` splits, by name, stay as they are. The others are cut from the corpus in proportion to their fractions;
    the last one gets the rest. With ``stratify`` each class is cut by itself, so that all splits have the same shares
    of the classes.
    """
    given = given or {}
    cut = [name for name in SPLITS if name not in given]
    shares = _shares(train_fraction, validation_fraction, cut)
    shuffled = corpus.sample(frac=1, random_state=seed).reset_index(drop=True)
    parts = [rows for _, rows in shuffled.groupby("label")] if stratify else [shuffled]
    cuts = [_cut(rows, shares, least=int(stratify)) for rows in parts]
    splits = {
        name: pd.concat(pieces).sort_index() if stratify else pieces[0]
        for name, pieces in zip(cut, zip(*cuts, strict=True), strict=True)
    }
    for name, rows in {**splits, **given}.items():
        if rows.empty:
            raise UserError(
                f"the {name} split is empty: {len(shuffled)} messages are too few for the fractions "
                f"{train_fraction} / {validation_fraction} / rest; add messages or change "
                "--data.train_fraction and --data.validation_fraction"
                if name in cut
                else f"the {name} split is empty: what --data.{name}_corpus holds repeats other messages; add messages "
                "to it, or keep repeats with --data.deduplicate none"
            )
    if absent := sorted(set(corpus["label"].unique()) - set(splits[TRAIN]["label"].unique())):
        raise UserError(
            f"no message of class {absent[0]!r} fell into the train split: add messages of it, raise "
            "--data.train_fraction or try another --data.split_seed"
        )
    return {name: (given[name] if name in given else splits[name]).reset_index(drop=True) for name in SPLITS}


def _shares(train_fraction: float, validation_fraction: float, cut: Sequence[str]) -> list[float]:
    if len(cut) == 1:
        return [1.0]
    rest = 1 - train_fraction - validation_fraction
    fractions = {TRAIN: train_fraction, VALIDATION: validation_fraction, TEST: rest}
    in_bounds = 0 < train_fraction < 1 and 0 < validation_fraction < 1
    if not (in_bounds and (TEST not in cut or train_fraction + validation_fraction < 1)):
        bound = " and leave something for the test split: their sum must be below 1" if TEST in cut else " and below 1"
        raise UserError(
            f"--data.train_fraction {train_fraction} and --data.validation_fraction {validation_fraction} "
            f"must be above 0{bound}"
        )
    whole = 1.0 if len(cut) == len(SPLITS) else sum(fractions[name] for name in cut)
    return [fractions[name] / whole for name in cut]


def _cut(rows: pd.DataFrame, shares: Sequence[float], least: int) -> list[pd.DataFrame]:
    """Cut into parts; the last one gets the rest. Each gets ``least`` rows, if there are enough."""
    ends = [0]
    for later, share in zip(range(len(shares) - 1, 0, -1), shares, strict=False):
        ends.append(min(ends[-1] + max(least, int(len(rows) * share)), len(rows) - later * least))
    return [rows[start:end] for start, end in zip(ends, [*ends[1:], len(rows)], strict=True)]


def refuse_rare_classes(
    corpus: pd.DataFrame, labels: Sequence[str], *, deduplicate: str = "none", given: Sequence[str] = ()
) -> None:
    """Refuse a class with fewer messages than splits are cut from the corpus; ``given`` are those that are not.

    ``deduplicate`` is how repeats were removed, which may be the cause.
    """
    cut = [name for name in SPLITS if name not in given]
    purpose = "train on" if len(cut) == 1 else f"split into {', '.join(cut[:-1])} and {cut[-1]}"
    counts = corpus["label"].value_counts()
    for label in labels:
        if (count := counts.get(label, 0)) < len(cut):
            left = "" if deduplicate == "none" else f" left after --data.deduplicate {deduplicate}"
            raise UserError(
                f"class {label!r} has {count} message(s){left}, too few to {purpose}: give it at least {len(cut)}, "
                "or check that --data.label_column names the labels"
            )


def small_class_warnings(
    corpus: pd.DataFrame,
    splits: Mapping[str, pd.DataFrame],
    labels: Sequence[str],
    *,
    balance: str,
    stratify: bool,
    given: Collection[str] = (),
) -> list[str]:
    """Sentences on classes that leave too few messages, each with what to do."""
    warnings = []
    counts = corpus["label"].value_counts()
    kept = int(counts.min()) * len(counts)
    if balance == "undersample" and kept < len(corpus) / 5:
        warnings.append(
            f"undersampling keeps {kept:,} of {len(corpus):,} messages, since class {counts.idxmin()!r} has "
            f"{counts.min():,}: --data.balance class_weight keeps all"
        )
    tested = splits[TEST]["label"].value_counts().reindex(list(labels), fill_value=0)
    if few := [f"{count} of class {label!r}" for label, count in tested.items() if count < FEW_IN_TEST]:
        shown = ", ".join(few[:3]) + (f" and {len(few) - 3} more classes" if len(few) > 3 else "")
        remedy = f"lower --data.train_fraction{'' if stratify else ', set --data.stratify true'} or add messages"
        if TEST in given:
            remedy = f"add messages to --data.{TEST}_corpus"
        warnings.append(f"the test split has only {shown}, so its figures say little of them: {remedy}")
    return warnings
