"""The model card of an exported classifier: what it is, its training data, its figures, and how to use it."""

import json
import re
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

CORPORA = {"corpus": "corpus", "validation_corpus": "validation split", "test_corpus": "test split"}
SPLITS = {"validation": "validation", "test": "test", "natural": "test, classes in their natural shares"}


def model_card(classifier: Classifier, kind: str, name: str, notes: Sequence[str]) -> str:
    """The card as Markdown, with the front matter of the Hugging Face hub.

    Names from the user's data are escaped. The card holds no path of this machine. ``kind`` is ``transformers`` or
    ``onnx``, ``name`` that of the exported directory or file; the notes are plain sentences for its users.
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
    environment.filters["literal"] = literal
    is_own = {row["checkpoint"] for row in results} == {literal(classifier.checkpoint.name)}
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
        is_uci=set(sources.values()) == {"uci"},
        results=markdown_table(results),
        own_results=is_own,
        left_over=share_of(metrics["left_over"]["errors"]) if "left_over" in metrics else "",
        versions={"Trained": metrics.get(PROVENANCE, {}).get("versions", {}), "Exported": versions()},
    )


def literal(text: object) -> str:
    """A name from the user's data as Markdown that shows it literally: as it is, as code, or escaped."""
    if re.fullmatch(r"[A-Za-z0-9 ,-]+", str(text)):
        return str(text)
    return f"`{text}`" if re.fullmatch(r"[\w.][\w .,:-]*[\w.]", str(text)) else escape_markdown(str(text))


def caller_notes(classifier: Classifier, what: str) -> list[str]:
    """Sentences on what an export leaves to its caller: normalising texts, and a threshold other than 0.5."""
    notes = []
    if classifier.normalise:
        notes.append(
            f"{what} does not normalise texts: the caller does, as in training, with "
            "spam_classifier.data.normalise.normalise."
        )
    if classifier.threshold not in (None, 0.5):
        notes.append(
            f"{what} does not apply the threshold: decide for {classifier.labels[1]} where its probability is at least "
            f"{classifier.threshold:.6g}, not where it is the more probable class."
        )
    return notes


def _source(corpus: str) -> str:
    if corpus == "uci" or corpus.endswith(".zip"):  # no other archive is read
        return "uci"
    return "sample" if corpus == "sample" else f"{literal(Path(corpus).name)}, whose licence is not known here"


def _results(metrics: dict[str, Any], labels: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for split, title in SPLITS.items():
        if figures := metrics.get(split):
            row = {
                "split": title,
                "messages": figures["messages"],
                "accuracy": percent(figures["acc"]),
                "95% interval": interval(figures["acc_interval"]),
                "balanced accuracy": percent(figures.get("balanced_acc")),
                "F1": percent(figures.get("f1")),
            }
            if false_positives := figures.get("false_positives"):
                row[" taken for ".join(map(literal, labels))] = share_of(false_positives)
            of_split = metrics["test"] if split == "natural" else figures
            rows.append({**row, "checkpoint": literal(of_split["checkpoint"])})
    return rows
