"""The served model in words, for the page."""

from typing import Any

from spam_classifier.inference.classifier import Classifier
from spam_classifier.runs.describe import describe_run
from spam_classifier.runs.find import run_directory

WORDS_OF_A_TOKEN = 0.75  # about, in English


def about(classifier: Classifier) -> dict[str, Any]:
    """What is known of a model.

    Returns:
        ``summary`` in one line, ``about``, sentences by their headings, and ``warning`` about the corpus; each may be
        empty. Figures are given if they are of this very checkpoint.
    """
    run = run_directory(classifier.checkpoint)
    described, labels = describe_run(run), classifier.labels
    facts = {
        "Model": "; ".join(filter(None, [described.model, f"run directory {run.name}"])),
        "Trained on": ", ".join(filter(None, [described.corpus, described.day])),
    }
    summary = [f"trained on {described.corpus}"] if described.corpus else []
    tested = described.tested
    if tested.get("checkpoint") == classifier.checkpoint.name:
        low, high = tested["acc_interval"]
        facts[described.split.capitalize()] = (
            f"{tested['acc']:.1%} of {tested['messages']:,} messages labelled correctly "
            f"(95% interval {low:.1%} to {high:.1%})"
        )
        summary.append(f"{tested['acc']:.1%} of {tested['messages']:,} {described.split} messages right")
        if false := tested.get("false_positives"):
            facts["Mistakes"] = f"{false['hits']:,} of {false['messages']:,} {labels[0]} taken for {labels[1]}"
    if len(labels) != 2:
        facts["Labels"] = ", ".join(labels)
    words = 10 * round(classifier.max_length * WORDS_OF_A_TOKEN / 10)
    cut = f"up to {classifier.max_length:,} tokens of a message" + (f", about {words:,} words" if words else "")
    facts["Reads"] = f"{cut}; the rest is cut"
    known = {name: fact for name, fact in facts.items() if fact}
    return {"summary": ", ".join(summary), "about": known, "warning": described.warning}
