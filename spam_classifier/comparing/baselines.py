"""Linear models over TF-IDF features, trained and compared on the splits of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from spam_classifier import hints
from spam_classifier.data.normalise import normalise
from spam_classifier.data.splits import LEFT_OVER, TEST, TRAIN, VALIDATION
from spam_classifier.errors import UserError
from spam_classifier.evaluation.figures import NATURAL, at_natural_shares, split_figures
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.predictions import predictions_of, predictions_path, read_messages, read_predictions
from spam_classifier.evaluation.report import write_report
from spam_classifier.runs.find import read_settings
from spam_classifier.runs.metrics import read_metrics, update_metrics

try:
    from scipy.stats import binomtest
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.svm import LinearSVC
except ModuleNotFoundError as error:
    raise UserError(f"the baselines need scikit-learn: {hints.install('baseline')}") from error

REGULARISATIONS = (1.0, 10.0, 100.0)  # inverse strengths; the validation split chooses one
OF_PROBABILITIES = ("ece", "log_loss", "at_coverage")  # figures of probabilities, which a linear SVM does not give


def compare(directory: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Train the baselines on a run's splits, and keep their figures in its metrics and its report.

    The figures are by the split's name and the baseline's. Raises a UserError if the directory holds no evaluated run.
    """
    metrics = read_metrics(directory)
    classes, shares = metrics.get("classes", []), metrics.get("natural", {}).get("shares")
    own: dict[str, Predictions] = {}
    splits = {}
    for name, command in ((VALIDATION, "validate"), (TEST, "test"), (LEFT_OVER, "test")):
        path, remedy = predictions_path(directory, name), f"run {hints.program(command)}"
        if path.is_file() and name in metrics:
            table, splits[name] = read_predictions(path), read_messages(directory / f"{name}.csv")
            if list(table["text"]) != list(splits[name]["text"]):
                raise UserError(f"{path} holds other messages than {directory / f'{name}.csv'}: {remedy} again")
            own[name] = predictions_of(table, classes)
        elif name == VALIDATION:
            raise UserError(f"{directory} holds no predictions to compare with: {remedy}")
    splits[TRAIN] = read_messages(directory / f"{TRAIN}.csv")
    data = read_settings(directory)["data"]
    balanced = data["balance"] == "class_weight"
    if data.get("normalise"):
        splits = {name: rows.assign(text=rows["text"].map(normalise)) for name, rows in splits.items()}
    model = with_natural_shares(own, shares)
    compared: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in model}
    for title, predictions in predict_baselines(splits, classes, balanced=balanced).items():
        for name, of_split in with_natural_shares(predictions, shares).items():
            figures = {key: value for key, value in split_figures(of_split).items() if key not in OF_PROBABILITIES}
            compared[name][title] = {**figures, "against": mcnemar(of_split, model[name])}
    update_metrics(directory, {"baselines": compared})
    write_report(directory)
    return compared


def baseline_models(c: float, balanced: bool) -> dict[str, "Pipeline"]:
    """The baselines, untrained; ``c`` is the inverse strength of the regularisation."""
    options: dict[str, Any] = {"C": c, "class_weight": "balanced" if balanced else None}
    return {
        "words, logistic regression": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+"),
            LogisticRegression(max_iter=1000, **options),
        ),
        "characters, linear SVM": make_pipeline(
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
            LinearSVC(random_state=0, max_iter=10_000, **options),
        ),
    }


def predict_baselines(
    splits: Mapping[str, pd.DataFrame], classes: Sequence[str], *, balanced: bool
) -> dict[str, dict[str, Predictions]]:
    """Train each baseline on the train split, choose its regularisation on the validation split, predict the others.

    With ``balanced``, all classes have the same weight. The predictions are by the baseline's name and the split's.
    Raises a UserError if the train split has no words.
    """
    index = {label: number for number, label in enumerate(classes)}
    labels = {name: rows["label"].map(index).to_numpy() for name, rows in splits.items()}
    chosen: dict[str, tuple[float, Pipeline]] = {}
    for c in REGULARISATIONS:
        for name, model in baseline_models(c, balanced).items():
            try:
                model.fit(splits[TRAIN]["text"], labels[TRAIN])
            except ValueError as error:
                raise UserError(f"{name}: {error}: the train split has no words to learn from") from error
            score = balanced_accuracy_score(labels[VALIDATION], model.predict(splits[VALIDATION]["text"]))
            if name not in chosen or score > chosen[name][0]:
                chosen[name] = score, model
    return {
        name: {
            split: _predictions(model, rows["text"], labels[split]) for split, rows in splits.items() if split != TRAIN
        }
        for name, (_, model) in chosen.items()
    }


def _predictions(model: "Pipeline", texts: pd.Series, labels: np.ndarray) -> Predictions:
    scores = torch.from_numpy(np.asarray(model.decision_function(texts)))
    if scores.ndim == 1:
        scores = torch.stack([-scores, scores], dim=1) / 2
    predicted = torch.from_numpy(np.asarray(model.predict(texts)))
    rows = torch.arange(len(predicted))
    return Predictions(rows, torch.from_numpy(labels.copy()), scores, scores.softmax(-1), predicted)


def with_natural_shares(
    predictions: Mapping[str, Predictions], shares: Sequence[float] | None
) -> dict[str, Predictions]:
    """Validation and test, and if undersampling left messages over, the test split with the classes' natural shares."""
    found = {name: predictions[name] for name in (VALIDATION, TEST) if name in predictions}
    if shares and TEST in predictions and LEFT_OVER in predictions:
        found[NATURAL] = at_natural_shares(predictions[TEST], predictions[LEFT_OVER], shares)
    return found


def mcnemar(baseline: Predictions, model: Predictions) -> dict[str, Any]:
    """McNemar's exact test of whether two classifiers err equally often on the same messages (McNemar 1947).

    Gives ``only_baseline`` and ``only_model``, how many messages one alone gets right, and ``p``.
    """
    right = [predictions.predicted == predictions.labels for predictions in (baseline, model)]
    only_baseline, only_model = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    both = only_baseline + only_model
    p = float(binomtest(only_baseline, both, 0.5).pvalue) if both else 1.0
    return {"only_baseline": only_baseline, "only_model": only_model, "p": p}
