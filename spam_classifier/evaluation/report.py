"""A run's report: one self-contained page, rewritten from what is in the run directory."""

from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import pandas as pd
import yaml
from markupsafe import Markup
from matplotlib.figure import Figure

from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.data.splits import LEFT_OVER, TEST, TRAIN, VALIDATION
from spam_classifier.evaluation import plots
from spam_classifier.evaluation.figures import NATURAL
from spam_classifier.evaluation.predictions import PREFIX, predictions_path, read_predictions
from spam_classifier.evaluation.text_tables import interval, percent, share_of
from spam_classifier.files import atomic_write
from spam_classifier.runs.metrics import read_metrics

REPORT_FILE = "report.html"
MOST_MISTAKES = 30
MOST_CHARACTERS = 2000
TITLES = {NATURAL: "at natural shares", LEFT_OVER: "left over by balancing"}
FIGURES = {
    "messages": "messages",
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
PERCENT = ("acc", "balanced_acc", "precision", "recall", "f1", "specificity", "ece")
CLASSIFIER = ("checkpoint", "step", "temperature", "threshold")  # a label depends on these and the message


def write_report(run_directory: Path) -> dict[str, Figure]:
    """Write ``report.html`` from what is in a run directory: escaped, in a page that forbids scripts.

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
    environment.filters |= {"percent": percent, "interval": interval, "share_of": share_of, "number": _number}
    environment.filters["title"] = lambda name: TITLES.get(name, name)
    splits = [name for name in (TRAIN, VALIDATION, TEST, NATURAL) if name in metrics]
    classifiers = {name: metrics[TEST if name == NATURAL else name] for name in splits}
    page = environment.get_template("report.html.jinja").render(
        run=run_directory.name,
        metrics=metrics,
        classes=metrics.get("classes", []),
        splits=splits,
        classifiers=classifiers,
        alike=len({tuple(of_split[name] for name in CLASSIFIER) for of_split in classifiers.values()}) <= 1,
        figures=FIGURES,
        percent_figures=PERCENT,
        # matplotlib escapes the names of classes in them
        pictures={title: Markup(plots.svg(figure)) for title, figure in pictures.items()},
        most_characters=MOST_CHARACTERS,
        mistakes={name: _mistakes(table) for name, table in predictions.items()},
        details={
            "all settings": _settings(run_directory / "config.yaml"),
            "versions, sources and commands": _provenance(metrics.get("provenance")),
        },
    )
    with atomic_write(run_directory / REPORT_FILE) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return pictures


def _draw(metrics: dict[str, Any], predictions: dict[str, pd.DataFrame]) -> dict[str, Figure]:
    classes = metrics.get("classes", [])
    shown = {name: table for name, table in predictions.items() if name != LEFT_OVER}
    figures: dict[str, Figure] = {}
    with mpl.rc_context({"text.parse_math": False}):  # a class may be called $x$
        if curves := metrics.get("curves"):
            points = {name: curve for name, curve in curves.items() if name != "examples_per_epoch"}
            figures["learning curves"] = plots.learning_curves(points, curves["examples_per_epoch"])
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
    rows = [{**row, "confidence": row[PREFIX + row["predicted"]]} for row in wrong.to_dict("records")]
    return {"count": len(rows), "shown": sorted(rows, key=lambda row: -row["confidence"])[:MOST_MISTAKES]}


def _settings(config: Path) -> list[tuple[str, Any]]:
    """The settings of a run by their flags, without those that are null."""
    if not config.is_file():
        return []
    table = pd.json_normalize(yaml.safe_load(config.read_text(encoding="utf-8")))
    return [(str(name), value) for name, value in table.iloc[0].items() if value is not None]


def _provenance(made: dict[str, Any] | None) -> list[tuple[str, Any]]:
    if made is None:
        return []
    git = made["git"]
    return [
        *(("continued" if number else "command", command) for number, command in enumerate(made["commands"])),
        ("seed", made["seed"]),
        *made["versions"].items(),
        ("git revision", git["revision"] + ", changed since" * git["changed"] if git else "not from a checkout"),
        *((f"SHA-256 of {flag}", sha256) for flag, sha256 in made["corpus_sha256"].items()),
        *((f"SHA-256 of {file}", sha256) for file, sha256 in (made["weights_sha256"] or {}).items()),
    ]


def _number(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
