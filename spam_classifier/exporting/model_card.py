"""The model card of an exported classifier: what it is, its training data, its figures, and how to use it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml
from huggingface_hub import EvalResult, ModelCardData

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
SAMPLE_DATA = "Synthetic messages that come with spam_classifier: a model of them is a demonstration, not a filter."
UCI_ON_HUB = "ucirvine/sms_spam"
HUB_METRICS = {"acc": "accuracy", "f1": "f1", "precision": "precision", "recall": "recall"}
CORPORA = {"corpus": "corpus", "validation_corpus": "validation split", "test_corpus": "test split"}
SPLITS = {"validation": "validation", "test": "test", "natural": "test, classes in their natural shares"}


def model_card(classifier: Classifier, kind: str, name: str, notes: Sequence[str], *, has_graph: bool = False) -> str:
    """The card as Markdown, with the front matter of the Hugging Face hub.

    Names from the user's data are escaped. The card holds no path of this machine.

    Args:
        classifier: The classifier.
        kind: ``transformers`` or ``onnx``.
        name: Name of the exported directory or file.
        notes: Plain sentences for its users.
        has_graph: Whether the exported directory holds an ONNX graph.
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
    is_uci = set(sources.values()) == {UCI_DATA}
    is_own = {row["checkpoint"] for row in results} == {literal(classifier.checkpoint.name)}
    of_run = metrics.get("test", {}) if metrics.get("test", {}).get("checkpoint") == classifier.checkpoint.name else {}
    return environment.get_template("model_card.md.jinja").render(
        front_matter=_front_matter(classifier, kind, name, of_run, is_uci=is_uci),
        settings=settings,
        classifier=classifier,
        decision=model.decision,
        kind=kind,
        name=json.dumps(name),
        has_graph=has_graph,
        notes=notes,
        weights=Path(settings["weights"]).name,
        is_published=settings["weights"] in PUBLISHED_SHAPES,
        sources=sources,
        is_uci=is_uci,
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


def _front_matter(classifier: Classifier, kind: str, name: str, test: dict[str, Any], *, is_uci: bool) -> str:
    """The metadata that the hub reads, as YAML; ``test`` are the checkpoint's own figures of the test split.

    The licence is the choice of the model's owner, and left out.
    """
    weights, labels = classifier.model.settings["weights"], classifier.labels
    of_class = f" of {labels[1]}" if len(labels) == 2 else ", mean of the classes"
    results = [
        EvalResult(
            task_type="text-classification",
            metric_type=metric,
            metric_name=metric if metric == "accuracy" else f"{metric}{of_class}",
            metric_value=round(test[figure], 4),
            dataset_type=UCI_ON_HUB if is_uci else "custom",
            dataset_name="SMS Spam Collection, own test split" if is_uci else "test split of its own corpus",
        )
        for figure, metric in HUB_METRICS.items()
        if test.get(figure) is not None
    ]
    data = ModelCardData(
        language="en" if is_uci else None,
        library_name=kind,
        pipeline_tag="text-classification",
        tags=["gpt2", "spam-detection"] if labels == ["ham", "spam"] else ["gpt2"],
        base_model=f"openai-community/{weights}" if weights in PUBLISHED_SHAPES else None,
        datasets=[UCI_ON_HUB] if is_uci else None,
        metrics=[result.metric_type for result in results] or None,
        model_name=name if results else None,
        eval_results=results or None,
    )
    return yaml.safe_dump(data.to_dict(), sort_keys=False, allow_unicode=True)


def caller_notes(classifier: Classifier, what: str) -> list[str]:
    """Sentences on what an export leaves to its caller: normalising texts, and a threshold other than 0.5."""
    notes = []
    if classifier.normalise:
        notes.append(
            f"{what} does not normalise texts: the caller does, as in training, with "
            "spam_classifier.data.normalise.normalise."
        )
    if classifier.threshold in (None, 0.5):
        return notes
    return [
        *notes,
        f"{what} does not apply the threshold: decide for {classifier.labels[1]} where its probability is at least "
        f"{classifier.threshold:.6g}, not where it is the more probable class.",
    ]


def _source(corpus: str) -> str:
    if corpus == "uci" or corpus.endswith(".zip"):  # no other archive is read
        return UCI_DATA
    name = literal(Path(corpus).name)
    return SAMPLE_DATA if corpus == "sample" else f"{name}, whose licence is not known here"


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
