"""Labels of a run's messages that are probably wrong."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from spam_classifier import hints
from spam_classifier.comparing.out_of_fold import deal_folds, out_of_fold
from spam_classifier.data.splits import LEFT_OVER, SPLITS
from spam_classifier.data.tricks import without_altered
from spam_classifier.errors import UserError
from spam_classifier.evaluation import confident_learning
from spam_classifier.evaluation.predictions import read_messages
from spam_classifier.evaluation.report import LABEL_ERRORS, LABEL_ERRORS_FILE, write_report
from spam_classifier.files import locked, write_csv, writing
from spam_classifier.runs.find import read_settings
from spam_classifier.runs.metrics import read_metrics, update_metrics

FOLDS_DIRECTORY = "label_errors_folds"  # in the run directory, until all folds are finished


def messages_of(directory: Path) -> pd.DataFrame:
    """All messages of a run's splits: columns ``place``, ``label`` and ``text``."""
    paths = [directory / f"{name}.csv" for name in (*SPLITS, LEFT_OVER)]
    frames = []
    for path in paths:
        if path.is_file():
            frame = without_altered(read_messages(path))
            frames.append(frame.assign(place=[f"{path.name}, row {row}" for row in range(1, len(frame) + 1)]))
    return pd.concat(frames, ignore_index=True)


def find_label_errors(directory: Path, folds: int, seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train a run's config ``folds`` times, and keep the doubtful labels in its directory, metrics and report.

    Returns the figures, as metrics.json keeps them, and the candidates, the most doubtful first: columns ``place``,
    ``text``, ``given``, ``suggested`` and ``score``, the probability of the given label. Raises a UserError if the run
    is not finished, a class has too few messages, another command is at work, or a fit fails.
    """
    settings, metrics = read_settings(directory), read_metrics(directory)
    if "run" not in metrics:
        resume = hints.command_line("fit", "--ckpt_path", "last")
        raise UserError(f"{directory} is not a finished run: resume it with {resume}, or name another one")
    messages, classes = messages_of(directory), metrics["classes"]
    fold_of = deal_folds(messages, folds, seed)
    work = directory / FOLDS_DIRECTORY
    with writing(work):
        work.mkdir(exist_ok=True)
    busy = f"another command looks for label errors in {directory}: wait for it"
    with locked(work / ".lock", work, busy):
        probabilities = out_of_fold(settings, messages, classes, fold_of, seed, work / f"{folds}_folds_seed_{seed}")
        labels = messages["label"].map({name: index for index, name in enumerate(classes)}).to_numpy()
        thresholds = confident_learning.class_thresholds(labels, probabilities)
        suggested = confident_learning.suggested_labels(probabilities, thresholds)
        joint = confident_learning.calibrated_joint(labels, suggested, len(classes))
        doubtful = (suggested != confident_learning.NONE) & (suggested != labels)
        candidates = pd.DataFrame(
            {
                "place": messages["place"][doubtful],
                "text": messages["text"][doubtful],
                "given": messages["label"][doubtful],
                "suggested": [classes[index] for index in suggested[doubtful]],
                "score": confident_learning.self_confidence(labels, probabilities)[doubtful],
            }
        ).sort_values("score", kind="stable", ignore_index=True)
        figures = {
            "messages": len(messages),
            "candidates": len(candidates),
            "agreement": float((probabilities.argmax(axis=1) == labels).mean()),
            "share": confident_learning.share_wrong(joint),
            "interval": confident_learning.share_interval(labels, probabilities, seed),
            "joint": joint.tolist(),
            "thresholds": thresholds.tolist(),
            "folds": folds,
            "seed": seed,
        }
        write_csv(directory / LABEL_ERRORS_FILE, candidates)
        update_metrics(directory, {LABEL_ERRORS: figures})
        write_report(directory)
    shutil.rmtree(work, ignore_errors=True)
    return figures, candidates
