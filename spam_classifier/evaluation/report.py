"""A run's report: one self-contained page, rewritten from what is in the run directory."""

import inspect
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import lightning.pytorch as pl
import pandas as pd
import yaml
from markupsafe import Markup
from matplotlib.figure import Figure

from spam_classifier.data.splits import LEFT_OVER, TEST, TRAIN, VALIDATION
from spam_classifier.evaluation import plots
from spam_classifier.evaluation.figures import NATURAL
from spam_classifier.evaluation.predictions import PREFIX, predictions_path, read_predictions
from spam_classifier.evaluation.style import palette
from spam_classifier.evaluation.text_tables import interval, percent, share_of
from spam_classifier.evaluation.thresholds import fitted_on_few, threshold_rows
from spam_classifier.files import write_text
from spam_classifier.runs.describe import COLLECTION, describe_run
from spam_classifier.runs.find import CONFIG_FILE
from spam_classifier.runs.metrics import read_metrics

REPORT_FILE = "report.html"
LABEL_ERRORS = "label_errors"
ROBUSTNESS = "robustness"
LABEL_ERRORS_FILE = "label_errors.csv"
SHOWN_LABEL_ERRORS = 20
MOST_MISTAKES = 30
SHOWN_MISTAKES = 5
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


class Picture(NamedTuple):
    """A figure of the report, and in ``says`` how to read it."""

    title: str
    says: str
    drawing: Figure


def write_report(run_directory: Path) -> None:
    """Write ``report.html`` from what is in a run directory: escaped, in a page that forbids scripts."""
    metrics = read_metrics(run_directory)
    paths = {name: predictions_path(run_directory, name) for name in (VALIDATION, TEST, LEFT_OVER) if name in metrics}
    predictions = {name: read_predictions(path) for name, path in paths.items() if path.is_file()}
    classes = metrics.get("classes", [])
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("spam_classifier.evaluation", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # matplotlib escapes the names of classes
    environment.filters |= {"percent": percent, "interval": interval, "share_of": share_of, "number": _number}
    environment.filters |= {"svg": lambda figure: Markup(plots.svg(figure))}
    environment.filters["short"] = lambda share: "-" if share is None else f"{share:.1%}"
    environment.filters["title"] = lambda name: TITLES.get(name, name)
    described, config = describe_run(run_directory), _config(run_directory)
    splits = [name for name in (TRAIN, VALIDATION, TEST, NATURAL) if name in metrics]
    classifiers = {name: metrics[TEST if name == NATURAL else name] for name in splits}
    both = {name: table for name, table in predictions.items() if name != LEFT_OVER and _has_both(table, classes)}
    page = environment.get_template("report.html.jinja").render(
        run=run_directory.name,
        described=described,
        palette=Markup(palette()),
        metrics=metrics,
        classes=classes,
        splits=splits,
        classifiers=classifiers,
        alike=len({tuple(of_split[name] for name in CLASSIFIER) for of_split in classifiers.values()}) <= 1,
        figures=FIGURES,
        percent_figures=PERCENT,
        learning=_learning_pictures(metrics.get("curves")),
        pictures=_pictures(metrics, predictions),
        thresholds=threshold_rows(both, classes, metrics[list(both)[-1]]["threshold"]) if both else [],
        fitted_on_few=fitted_on_few(metrics[VALIDATION], classes) if VALIDATION in metrics else [],
        compared=list(both),
        most_characters=MOST_CHARACTERS,
        shown_mistakes=SHOWN_MISTAKES,
        mistakes={name: _mistakes(table) for name, table in predictions.items()},
        label_errors=_label_errors(run_directory / LABEL_ERRORS_FILE),
        settings=config,
        collection=COLLECTION,
        details={
            "Settings": _settings(config),
            "Versions, sources and commands": _provenance(metrics.get("provenance")),
        },
    )
    write_text(run_directory / REPORT_FILE, page)


def _has_both(table: pd.DataFrame, classes: list[str]) -> bool:
    return len(classes) == 2 and set(table["label"]) == set(classes)


def _learning_pictures(curves: dict[str, Any] | None) -> list[Picture]:
    if not curves:
        return []
    points = {name: curve for name, curve in curves.items() if name != "examples_per_epoch"}
    titles = {"loss": "Loss", "acc": "Accuracy", "learning_rate": "Learning rate"}
    return [
        Picture(titles[panel], "", plots.learning_curves(points, curves["examples_per_epoch"], [panel]))
        for panel in plots.panels_of(points)
    ]


def _pictures(metrics: dict[str, Any], predictions: dict[str, pd.DataFrame]) -> list[Picture]:
    classes = metrics.get("classes", [])
    shown = {name: table for name, table in predictions.items() if name != LEFT_OVER}
    if not shown:
        return []
    name, table = list(shown.items())[-1]
    found = []
    of_two = {split: metrics[split]["threshold"] if len(classes) == 2 else None for split in shown}
    if any(_has_both(table, classes) for table in shown.values()):
        thresholds = {split: metrics[split]["threshold"] for split in shown}
        says = f"Messages of the {name} split by their probability of {classes[1]}; the scale is logarithmic."
        found.append(Picture("How sure is it?", says, plots.scores(table, classes, thresholds[name], name)))
        says = f"How much {classes[1]} is found, at the price of how much {classes[0]}. The marks: the threshold."
        found.append(Picture("ROC curve", says, plots.roc(shown, classes, thresholds)))
    says = "Do the probabilities come true? The numbers count the messages of a point."
    found.append(Picture("Calibration", says, plots.reliability(table, classes, name)))
    says = "If only the surest messages get a label, more of the labels are right. With 95% intervals."
    found.append(Picture("No label when unsure", says, plots.coverage(shown, classes, of_two)))
    return found


def _mistakes(table: pd.DataFrame) -> dict[str, Any]:
    """How many predictions are wrong, and the most confident of them."""
    wrong = table[table["predicted"] != table["label"]]
    rows = [{**row, "confidence": row[PREFIX + row["predicted"]]} for row in wrong.to_dict("records")]
    return {"count": len(rows), "shown": sorted(rows, key=lambda row: -row["confidence"])[:MOST_MISTAKES]}


def _label_errors(path: Path) -> list[dict[Any, Any]]:
    """The most doubtful labels, if they were looked for."""
    options: dict[str, Any] = {"keep_default_na": False, "dtype": {"given": str, "suggested": str, "text": str}}
    return pd.read_csv(path, nrows=SHOWN_LABEL_ERRORS, **options).to_dict("records") if path.is_file() else []


def _config(run_directory: Path) -> dict[str, Any]:
    """The settings of a run; empty where the user's own Trainer kept none."""
    path = run_directory / CONFIG_FILE
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _settings(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """The settings of a run by their flags, without those that are null and the Trainer's own defaults."""
    if not config:
        return []
    table = pd.json_normalize(config)
    usual = {f"trainer.{name}": flag.default for name, flag in inspect.signature(pl.Trainer).parameters.items()}
    known = [(str(name), value) for name, value in table.iloc[0].items() if value is not None]
    chosen = [(name, value) for name, value in known if name not in usual or value != usual[name]]
    return sorted(chosen, key=lambda setting: not setting[0].startswith(("model.", "data.")))


def _provenance(made: dict[str, Any] | None) -> list[tuple[str, Any]]:
    if made is None:
        return []
    git = made["git"]
    return [
        *(("continued" if number else "command", command) for number, command in enumerate(made["commands"])),
        *((name, made[name]) for name in ("date", "seed") if name in made),
        *made["versions"].items(),
        ("git revision", git["revision"] + ", changed since" * git["changed"] if git else "not from a checkout"),
        *((f"SHA-256 of {flag}", sha256) for flag, sha256 in made["corpus_sha256"].items()),
        *((f"SHA-256 of {file}", sha256) for file, sha256 in (made["weights_sha256"] or {}).items()),
    ]


def _number(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
