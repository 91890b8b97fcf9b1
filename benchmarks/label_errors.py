"""How many planted label errors stand first in the ranking of a corpus's labels.

    python benchmarks/label_errors.py
    python benchmarks/label_errors.py --seeds 1 --folds 3

Takes the SMS Spam Collection, the archive that SPAM_CLASSIFIER_UCI_ARCHIVE names, without its near-duplicates, and
gives 2 % of the messages, drawn at random, the other label. All messages are then ranked by the probability of their
label, out of fold: by a config of ``fit``, and by TF-IDF words with logistic regression on the same folds, whose
regularisation a tenth of the other folds chooses. The table has the share of planted errors among the first 2 % (where
precision is equal to recall) and 4 % of each ranking, and the share of wrong labels that confident learning expects.
The corpus has errors of its own, so neither 100 % nor a share of 2 % would be perfect.
A script that was interrupted goes on in --directory.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from spam_classifier.comparing.baselines import predict_baselines
from spam_classifier.comparing.out_of_fold import deal_folds, out_of_fold
from spam_classifier.data.corpora import LABELS, UCI, read_corpus
from spam_classifier.data.splits import TEST, deduplicate_in_turn, split
from spam_classifier.errors import one_line_errors
from spam_classifier.evaluation.confident_learning import (
    calibrated_joint,
    class_thresholds,
    self_confidence,
    share_interval,
    share_wrong,
    suggested_labels,
)
from spam_classifier.evaluation.text_tables import interval, markdown_table, percent
from spam_classifier.find_config import find_config

PLANTED = 0.02
FIRST, TWICE = "first 2%", "first 4%"
WORDS = "words, logistic regression"


def plant(messages: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The messages with wrong labels among them, and where these are, bool [N]."""
    chosen = np.random.default_rng(seed).choice(len(messages), round(PLANTED * len(messages)), replace=False)
    planted = np.isin(np.arange(len(messages)), chosen)
    other = messages["label"].map(dict([LABELS, LABELS[::-1]]))
    return messages.assign(label=messages["label"].where(~planted, other)), planted


def linear_probabilities(messages: pd.DataFrame, fold_of: np.ndarray, seed: int) -> np.ndarray:
    """Out-of-fold probabilities of the linear model, float [N, 2]."""
    found = np.zeros((len(messages), len(LABELS)))
    for fold in range(int(fold_of.max()) + 1):
        own = fold_of == fold
        splits = split(messages[~own], 0.9, 0.1, seed, stratify=True, given={TEST: messages[own]})
        found[own] = predict_baselines(splits, LABELS, balanced=False)[WORDS][TEST].probabilities.numpy()
    return found


def found_among_first(planted: np.ndarray, score: np.ndarray, share: float) -> float:
    """The share of the planted errors among the most doubtful labels."""
    first = np.argsort(score, kind="stable")[: round(share * len(score))]
    return float(planted[first].sum() / planted.sum())


def main() -> None:
    """Plant, train, rank, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of errors, folds and trainings")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--config", default="from_scratch", help="a config of fit")
    parser.add_argument("--corpus", help="another corpus of ham and spam")
    parser.add_argument("--directory", type=Path, default=Path("label_errors_benchmark"), help="for finished folds")
    arguments = parser.parse_args()
    corpus = arguments.corpus or os.environ.get("SPAM_CLASSIFIER_UCI_ARCHIVE", UCI)
    (messages,) = deduplicate_in_turn([read_corpus(corpus).messages], "near")
    settings = yaml.safe_load(find_config(arguments.config).read_text(encoding="utf-8"))
    lines = []
    for seed in arguments.seeds:
        changed, planted = plant(messages, seed)
        labels = changed["label"].map({name: index for index, name in enumerate(LABELS)}).to_numpy()
        fold_of = deal_folds(changed, arguments.folds, seed)
        work = arguments.directory / f"{Path(arguments.config).stem}_{arguments.folds}_folds_seed_{seed}"
        ranked = {
            f"GPT-2, {Path(arguments.config).stem}": out_of_fold(settings, changed, LABELS, fold_of, seed, work),
            WORDS: linear_probabilities(changed, fold_of, seed),
        }
        for name, probabilities in ranked.items():
            score = self_confidence(labels, probabilities)
            shares = [found_among_first(planted, score, factor * PLANTED) for factor in (1, 2)]
            suggested = suggested_labels(probabilities, class_thresholds(labels, probabilities))
            expected = percent(share_wrong(calibrated_joint(labels, suggested, len(LABELS))))
            expected += f" ({interval(share_interval(labels, probabilities, seed))})"
            lines.append({"model": name, "seed": seed, FIRST: shares[0], TWICE: shares[1], "expected wrong": expected})
    means = pd.DataFrame(lines).groupby("model", sort=False)[[FIRST, TWICE]].mean().assign(seed="mean").reset_index()
    rows = [*lines, *means.to_dict("records")] if len(arguments.seeds) > 1 else lines
    print(f"{len(messages):,} messages, {round(PLANTED * len(messages))} planted errors, {arguments.folds} folds\n")
    print(markdown_table({**row, **{name: f"{row[name]:.1%}" for name in (FIRST, TWICE)}} for row in rows))


if __name__ == "__main__":
    with one_line_errors():
        main()
