"""A run's report: one self-contained page, made anew from what the run's directory holds."""

from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup
from matplotlib.figure import Figure

from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.data.splits import LEFT_OVER, TEST, TRAIN, VALIDATION
from spam_classifier.evaluation import plots
from spam_classifier.evaluation.figures import NATURAL
from spam_classifier.evaluation.learning_curves import learning_curves
from spam_classifier.evaluation.predictions import PREFIX, predictions_path, read_predictions
from spam_classifier.files import atomic_write
from spam_classifier.runs.metrics import read_metrics

REPORT_FILE = "report.html"
MOST_MISTAKES = 30
MOST_CHARACTERS = 2000
FIGURES = {
    "acc": "accuracy",
    "balanced_acc": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "specificity": "specificity",
    "auroc": "area under the ROC curve",
    "average_precision": "average precision",
    "mcc": "Matthews's correlation",
    "ece": "expected calibration error",
    "loss": "loss (cross-entropy)",
    "log_loss": "loss after calibration",
}
DECIDING = ("checkpoint", "step", "temperature", "threshold")  # what verdicts hang on, beside the message
PERCENT = ("acc", "balanced_acc", "precision", "recall", "f1", "specificity", "ece")


def write_report(run_directory: Path) -> dict[str, Figure]:
    """Write ``report.html`` from the metrics, predictions and settings in a run's directory.

    Messages are shown to the letter: all text is escaped, and the page allows itself no scripts.

    Returns:
        The page's pictures, by their titles.
    """
    metrics = read_metrics(run_directory)
    paths = {name: predictions_path(run_directory, name) for name in (VALIDATION, TEST, LEFT_OVER) if name in metrics}
    predictions = {name: read_predictions(path) for name, path in paths.items() if path.is_file()}
    pictures = _draw(metrics, predictions)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("spam_classifier.evaluation", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "interval": _interval, "number": _number}
    config = run_directory / "config.yaml"
    splits = [name for name in (TRAIN, VALIDATION, TEST, NATURAL) if name in metrics]
    deciding = {name: metrics[TEST if name == NATURAL else name] for name in splits}
    page = environment.get_template("report.html.jinja").render(
        run=run_directory.name,
        metrics=metrics,
        classes=metrics.get("classes", []),
        splits=splits,
        deciding=deciding,
        alike=len({tuple(of_split[name] for name in DECIDING) for of_split in deciding.values()}) <= 1,
        figures=FIGURES,
        percent_figures=PERCENT,
        # they hold names of classes, which matplotlib escapes
        pictures={title: Markup(plots.svg(figure)) for title, figure in pictures.items()},
        most_characters=MOST_CHARACTERS,
        mistakes={name: _mistakes(table) for name, table in predictions.items()},
        settings=_settings(yaml.safe_load(config.read_text(encoding="utf-8"))) if config.is_file() else {},
    )
    path = run_directory / REPORT_FILE
    with atomic_write(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return pictures


def _draw(metrics: dict[str, Any], predictions: dict[str, pd.DataFrame]) -> dict[str, Figure]:
    classes = metrics.get("classes", [])
    shown = {name: table for name, table in predictions.items() if name != LEFT_OVER}
    figures: dict[str, Figure] = {}
    with mpl.rc_context({"text.parse_math": False}):  # a class may be called $x$
        if curves := metrics.get("curves"):
            points = {name: curve for name, curve in curves.items() if name != "examples_per_epoch"}
            figures["learning curves"] = learning_curves(points, curves["examples_per_epoch"])
        if any(set(table["label"]) == set(classes) for table in shown.values()) and len(classes) == 2:
            thresholds = {name: metrics[name]["threshold"] for name in shown}
            figures["ROC and precision-recall curves"] = plots.roc_and_precision_recall(shown, classes, thresholds)
        if shown:
            figures["reliability diagram"] = plots.reliability(shown, classes)
            name, table = list(shown.items())[-1]
            tokens = EncodedMessages.from_texts(table["text"].tolist()).lengths.numpy()
            figures["length and error"] = plots.errors_by_length(table, tokens, name)
    return figures


def _mistakes(table: pd.DataFrame) -> dict[str, Any]:
    """How many predictions are wrong, and the most confident of them."""
    wrong = table[table["predicted"] != table["label"]]
    probabilities = wrong[[name for name in wrong.columns if name.startswith(PREFIX)]]
    column = probabilities.columns.get_indexer(pd.Index([PREFIX + name for name in wrong["predicted"]]))
    confidence = probabilities.to_numpy()[np.arange(len(wrong)), column]
    shown = wrong.assign(confidence=confidence).sort_values("confidence", ascending=False, kind="stable")
    shown = shown[["label", "predicted", "confidence", "text"]].head(MOST_MISTAKES)
    return {"count": len(wrong), "shown": shown.to_dict("records")}


def _settings(config: dict[str, Any]) -> dict[str, str]:
    """The settings as flags and values; what is left to its default of none is left out."""
    flat: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": text for inner, text in _settings(value).items()}
        elif value is not None:
            flat[name] = str(value)
    return flat


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}".replace("%", "\u00a0%")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _interval(share: dict[str, Any]) -> str:
    low, high = share["interval"]
    return f"{share['hits']:,} of {share['messages']:,}; 95 % interval {_percent(low)} to {_percent(high)}"
