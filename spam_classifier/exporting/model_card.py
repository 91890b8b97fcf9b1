"""The model card of an exported classifier: what it is, its training data, its figures, and how to use it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from spam_classifier.evaluation.text_tables import escape_markdown, interval, markdown_table, percent, share_of
from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES
from spam_classifier.runs.check import read_checkpoint
from spam_classifier.runs.find import run_directory
from spam_classifier.runs.metrics import read_metrics
from spam_classifier.runs.provenance import PROVENANCE, versions

CARD_FILE = "README.md"
UCI_DATA = (
    "The SMS Spam Collection from the UCI Machine Learning Repository, under CC BY 4.0: English SMS of 2011, mostly "
    "from Britain and Singapore. Cite Tiago A. Almeida, José María Gómez Hidalgo and Akebo Yamakami, *Contributions to "
    "the study of SMS spam filtering: new collection and results*, DocEng 2011 "
    "([doi:10.1145/2034691.2034742](https://doi.org/10.1145/2034691.2034742))."
)
SAMPLE_DATA = r"Synthetic messages that come with spam\_classifier: a model of them is a demonstration, not a filter."
CORPORA = {"corpus": "corpus", "validation_corpus": "validation split", "test_corpus": "test split"}
SPLITS = {"validation": "validation", "test": "test", "natural": "test, classes in their natural shares"}


def model_card(classifier: Classifier, kind: str, name: str, notes: Sequence[str]) -> str:
    """The card as Markdown, with the front matter of the Hugging Face hub.

    Names from the user's data are escaped. The card holds no path of this machine.

    Args:
        classifier: The classifier.
        kind: ``transformers`` or ``onnx``.
        name: Name of the exported directory or file.
        notes: Plain sentences for its users.
    """
    model, metrics = classifier.model, read_metrics(run_directory(classifier.checkpoint))
    settings = {**model.settings, "fixed_length": model.fixed_length}
    data = read_checkpoint(classifier.checkpoint).get("datamodule_hyper_parameters", {})
    sources = {what: _source(str(data[key])) for key, what in CORPORA.items() if data.get(key)}
    results = _results(metrics, classifier.labels)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("spam_classifier.exporting", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["literal"] = lambda text: escape_markdown(str(text))
    return environment.get_template("model_card.md.jinja").render(
        settings=settings,
        classifier=classifier,
        decision=model.decision,
        kind=kind,
        name=json.dumps(name),
        notes=notes,
        weights=Path(settings["weights"]).name,
        is_published=settings["weights"] in PUBLISHED_SHAPES,
        sources=sources,
        is_uci=set(sources.values()) == {UCI_DATA},
        results=markdown_table(results),
        own_results={row["checkpoint"] for row in results} == {escape_markdown(classifier.checkpoint.name)},
        left_over=share_of(metrics["left_over"]["errors"]) if "left_over" in metrics else "",
        versions={"Trained": metrics.get(PROVENANCE, {}).get("versions", {}), "Exported": versions()},
    )


def threshold_notes(classifier: Classifier, what: str) -> list[str]:
    """A sentence on the threshold that an export leaves to its caller; nothing if it is 0.5, or there is none."""
    if classifier.threshold in (None, 0.5):
        return []
    return [
        f"{what} does not apply the threshold: decide for {classifier.labels[1]} where its probability is at least "
        f"{classifier.threshold:.6g}, not where it is the more probable class."
    ]


def _source(corpus: str) -> str:
    if corpus == "uci" or corpus.endswith(".zip"):  # no other archive is read
        return UCI_DATA
    name = escape_markdown(Path(corpus).name)
    return SAMPLE_DATA if corpus == "sample" else f"{name}, whose licence is not known here"


def _results(metrics: dict[str, Any], labels: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for split, title in SPLITS.items():
        if figures := metrics.get(split):
            row = {
                "split": title,
                "messages": figures["messages"],
                "accuracy": percent(figures["acc"]),
                "95 % interval": interval(figures["acc_interval"]),
                "balanced accuracy": percent(figures.get("balanced_acc")),
                "F1": percent(figures.get("f1")),
            }
            if false_positives := figures.get("false_positives"):
                row[" taken for ".join(map(escape_markdown, labels))] = share_of(false_positives)
            of_split = metrics["test"] if split == "natural" else figures
            rows.append({**row, "checkpoint": escape_markdown(of_split["checkpoint"])})
    return rows
