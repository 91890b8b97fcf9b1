"""Probabilities of messages by models that were not trained on them: folds, and a fit for each."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from spam_classifier.comparing.directory import write_yaml
from spam_classifier.comparing.launch import STATES_DIRECTORY, launch_fit, launch_test
from spam_classifier.data.near_duplicates import near_groups
from spam_classifier.data.splits import TEST
from spam_classifier.errors import UserError
from spam_classifier.evaluation.predictions import PREFIX, predictions_path, read_predictions
from spam_classifier.files import write_csv, writing
from spam_classifier.runs.find import CONFIG_FILE

OF_FOLDS = {  # settings of the data in every fold: the files are ours, and the groups are dealt
    "validation_corpus": None,
    "text_column": "text",
    "label_column": "label",
    "encoding": "utf-8",
    "bad_rows": "refuse",
    "merge_labels": False,
    "deduplicate": "none",
}


def deal_folds(messages: pd.DataFrame, folds: int, seed: int) -> np.ndarray:
    """The fold of each message, int [N]: near-duplicates share one, and classes are spread as evenly as they allow.

    The seed orders the groups of near-duplicates. Raises a UserError if a class has fewer groups than there are folds.
    """
    groups = np.unique(near_groups(messages["text"].tolist()), return_inverse=True)[1]
    labels, classes = pd.factorize(messages["label"], sort=True)
    content = np.zeros((groups.max() + 1, len(classes)))  # messages of each class in each group
    np.add.at(content, (groups, labels), 1)
    for label, count in zip(classes, (content > 0).sum(axis=0), strict=True):
        if count < folds:
            raise UserError(
                f"class {label!r} has {count} distinct message(s), too few for {folds} folds: "
                f"{f'lower --folds to {count}' if count > 1 else 'add messages of it'}"
            )
    order = np.random.default_rng(seed).permutation(len(content))
    order = order[np.argsort(-content[order].sum(axis=1), kind="stable")]  # large ones first, small ones even out
    shares = content / content.sum(axis=0)
    dealt, sizes, of_group = np.zeros((folds, len(classes))), np.zeros(folds), np.zeros(len(content), int)
    for group in order:
        fold = of_group[group] = np.lexsort((sizes, dealt @ shares[group]))[0]
        dealt[fold] += shares[group]
        sizes[fold] += content[group].sum()
    return of_group[groups]


def out_of_fold(
    settings: Mapping[str, Any],
    messages: pd.DataFrame,
    classes: Sequence[str],
    fold_of: np.ndarray,
    seed: int,
    directory: Path,
) -> np.ndarray:
    """Train a config on all folds but one, for each, and predict that one: calibrated probabilities, float [N, K].

    ``fold_of`` is that of ``deal_folds``. Finished folds are kept in ``directory``, and not trained again. The seed
    draws the validation splits, the initial weights and the order of the messages. Raises RunFailed.
    """
    config, found = directory / CONFIG_FILE, np.zeros((len(messages), len(classes)))
    states = directory / STATES_DIRECTORY
    of_all = {**settings, "data": {**settings.get("data", {}), **OF_FOLDS, "labels": list(classes)}}
    of_all["trainer"] = {**settings.get("trainer", {}), "limit_test_batches": None}
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    write_yaml(config, of_all)
    with tqdm(range(int(fold_of.max()) + 1), desc="folds", unit=" fold", disable=None, leave=False) as progress:
        for fold in progress:
            done, own = directory / f"fold_{fold}.csv", fold_of == fold
            if not done.is_file():
                _predict_fold(config, seed, messages[~own], messages[own], states, done)
                tqdm.write(f"fold {fold + 1} of {progress.total} is complete", file=sys.stderr)
            table = read_predictions(done)
            if table["label"].tolist() != messages.loc[own, "label"].tolist():
                raise UserError(f"{done} holds other messages: remove {directory}, and start again")
            found[own] = table[[f"{PREFIX}{name}" for name in classes]].to_numpy(dtype=float)
    shutil.rmtree(states, ignore_errors=True)
    return found


def _predict_fold(config: Path, seed: int, others: pd.DataFrame, fold: pd.DataFrame, states: Path, done: Path) -> None:
    """Train on the other folds and write the fold's predictions; nothing else is kept."""
    root = done.with_suffix("")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    flags: list[object] = []
    for name, rows in (("corpus", others), ("test_corpus", fold)):
        path = root / f"{name}.csv"
        write_csv(path, rows[["label", "text"]])
        flags += [f"--data.{name}", path]
    run = launch_fit(config, seed, flags, root, states=states)
    launch_test(root, states=states)
    predictions_path(run, TEST).replace(done)
    shutil.rmtree(root)
