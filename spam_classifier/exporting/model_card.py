"""The model card of an exported classifier: what it is, what it was trained on, how good it is, how to use it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from spam_classifier.data.corpora import SAMPLE, UCI
from spam_classifier.data.splits import LEFT_OVER, TEST, VALIDATION
from spam_classifier.evaluation.figures import NATURAL
from spam_classifier.evaluation.markdown import to_markdown
from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES
from spam_classifier.models.pretrained import RANDOM
from spam_classifier.runs.check import read_checkpoint
from spam_classifier.runs.find import run_directory
from spam_classifier.runs.metrics import read_metrics
from spam_classifier.runs.provenance import PROVENANCE, versions

CARD_FILE = "README.md"
TRANSFORMERS, ONNX = "transformers", "onnx"
MARKUP = re.compile(r"([\\`*_\[\]#|<>~&@$]|[.:](?=\S))")  # the last for links that need no brackets
UCI_DATA = (
    "The SMS Spam Collection from the UCI Machine Learning Repository, under CC BY 4.0: English SMS of 2011, mostly "
    "from Britain and Singapore. Cite Tiago A. Almeida, José María Gómez Hidalgo and Akebo Yamakami, *Contributions to "
    "the study of SMS spam filtering: new collection and results*, DocEng 2011 "
    "([doi:10.1145/2034691.2034742](https://doi.org/10.1145/2034691.2034742))."
)
SAMPLE_DATA = "Synthetic messages that come with spam_classifier: a model of them shows machinery, and filters no spam."
SPLITS = {VALIDATION: "validation", TEST: "test", NATURAL: "test, classes in their natural shares"}
PIPELINE = """\
from transformers import pipeline

classify = pipeline("text-classification", model={name})
for scores in classify(["You have won a prize, call now", "See you at seven?"], truncation=True, top_k=None):
    print({{score["label"]: score["score"] for score in scores}})
"""
SESSION = """\
import numpy as np, onnxruntime, tiktoken

tokens = tiktoken.get_encoding("gpt2").encode_ordinary("You have won a prize, call now")
kept = {cut}
inputs = {{"input_ids": np.array([{row}], np.int64), "lengths": np.array([len(kept)], np.int64)}}
print(onnxruntime.InferenceSession({name}).run(["probabilities"], inputs)[0])
"""


def model_card(classifier: Classifier, kind: str, name: str, notes: Sequence[str]) -> str:
    """The card as Markdown, with the front matter of the Hugging Face hub.

    Names that come from the user's data are escaped; no path on this machine is in it.

    Args:
        classifier: The classifier.
        kind: ``transformers`` or ``onnx``.
        name: Name of the exported directory or file.
        notes: What its users have to know, plain sentences.
    """
    data: dict[str, Any] = read_checkpoint(classifier.checkpoint).get("datamodule_hyper_parameters", {})
    labels = ", ".join(map(escaped, classifier.labels))
    is_uci = _is_uci(data)
    sections = {
        "": f"{_what(classifier)}\n\nClasses, in the order of their indices: {labels}.",
        "Use": f"```python\n{_example(classifier, kind, name)}```\n\n" + "\n".join(f"- {escaped(x)}" for x in notes),
        "Data": _data(data),
        "Results": _results(classifier),
        "Decision": _decision(classifier),
        "Limits": _limits(classifier, is_uci),
        "Versions": _versions(classifier),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" if title else text for title, text in sections.items())
    return f"---\n{_front_matter(classifier, kind, is_uci)}---\n\n# GPT-2 classifier: {labels}\n\n{body}\n"


def threshold_note(classifier: Classifier, what: str) -> str:
    """A sentence on the threshold that something leaves to its caller."""
    positive = classifier.labels[1]
    return (
        f"{what} does not apply the threshold: decide for {positive} where its probability is at least "
        f"{classifier.threshold:.6g}, not where it is the more probable class."
    )


def escaped(text: str) -> str:
    """Text that Markdown shows to the letter, on one line: no markup, no HTML, no link."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return MARKUP.sub(r"\\\1", " ".join(printable.split()))


def _front_matter(classifier: Classifier, kind: str, is_uci: bool) -> str:
    weights = classifier.model.settings["weights"]
    entries: dict[str, Any] = {"pipeline_tag": "text-classification", "library_name": kind}
    if is_uci:
        entries["language"] = "en"
    if weights in PUBLISHED_SHAPES:
        entries["base_model"] = f"openai-community/{weights}"
    return yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)


def _what(classifier: Classifier) -> str:
    model = classifier.model
    shape, settings = model.backbone.shape, model.settings
    weights = settings["weights"]
    if weights == RANDOM:
        origin = "trained from random weights"
    elif weights in PUBLISHED_SHAPES:
        origin = f"fine-tuned from {escaped(weights)}"
    else:
        origin = f"fine-tuned from weights in the file {escaped(Path(weights).name)}"
    learnt = escaped(settings["trainable"])
    return (
        f"A GPT-2 of {shape.layers} layers, width {shape.width} and {shape.heads} heads, {origin}, with a linear head "
        f"that tells {len(classifier.labels)} classes of text apart. Learnt: {learnt}; the head reads the position "
        f"{escaped(settings['token_position'])}, attention is {settings['attention']}. Trained with spam\\_classifier, "
        "PyTorch Lightning."
    )


def _example(classifier: Classifier, kind: str, name: str) -> str:
    quoted = json.dumps(name)
    if kind == TRANSFORMERS:
        return PIPELINE.format(name=quoted)
    model, most = classifier.model, classifier.max_length
    cut = {
        "head": f"tokens[:{most}]",
        "tail": f"tokens[-{most}:]",
        "both": f"tokens if len(tokens) <= {most} else tokens[:{(most + 1) // 2}] + tokens[len(tokens) - {most // 2}:]",
    }[model.settings["keep"]]
    row = f"kept + [50256] * ({model.fixed_length} - len(kept))" if model.padding_matters else "kept"
    return SESSION.format(name=quoted, cut=cut, row=row)


def _is_uci(data: dict[str, Any]) -> bool:
    return all(_is_uci_corpus(corpus) for corpus in _corpora(data).values()) and bool(_corpora(data))


def _is_uci_corpus(corpus: str) -> bool:
    return corpus == UCI or corpus.endswith(".zip")  # the only archive that is read


def _corpora(data: dict[str, Any]) -> dict[str, str]:
    named = {"corpus": "corpus", "validation_corpus": "validation split", "test_corpus": "test split"}
    return {what: str(data[key]) for key, what in named.items() if data.get(key)}


def _data(data: dict[str, Any]) -> str:
    corpora = _corpora(data)
    if not corpora:
        return "The checkpoint does not say."
    if _is_uci(data):
        return UCI_DATA
    if set(corpora.values()) == {SAMPLE}:
        return SAMPLE_DATA
    return "\n".join(
        f"- {what}: {UCI_DATA if _is_uci_corpus(corpus) else SAMPLE_DATA if corpus == SAMPLE else _named(corpus)}"
        for what, corpus in corpora.items()
    )


def _named(corpus: str) -> str:
    return f"{escaped(Path(corpus).name)}, whose licence is not known here"


def _results(classifier: Classifier) -> str:
    metrics = read_metrics(run_directory(classifier.checkpoint))
    rows = []
    for split, title in SPLITS.items():
        if figures := metrics.get(split):
            of_split = metrics[TEST] if split == NATURAL else figures
            low, high = figures["acc_interval"]
            row = {
                "split": title,
                "messages": figures["messages"],
                "accuracy": f"{figures['acc']:.2%}",
                "95 % interval": f"{low:.2%} to {high:.2%}",
                "balanced accuracy": _percent(figures.get("balanced_acc")),
                "F1": _percent(figures.get("f1")),
            }
            if false := figures.get("false_positives"):
                negative, positive = map(_in_table, classifier.labels)
                row[f"{negative} taken for {positive}"] = _share(false)
            rows.append({**row, "checkpoint": _in_table(of_split["checkpoint"])})
    if not rows:
        return "The run keeps no figures for this checkpoint."
    own = {row["checkpoint"] for row in rows} == {_in_table(classifier.checkpoint.name)}
    text = "Measured by the run, with its threshold. " + (
        "All are of the exported checkpoint.\n\n"
        if own
        else f"Exported was {escaped(classifier.checkpoint.name)}: figures of another checkpoint are not its own.\n\n"
    )
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "checkpoint"]
    table = to_markdown(pd.DataFrame(rows)[[*columns, "checkpoint"]])
    if left_over := metrics.get(LEFT_OVER):
        table += f"\n\nOf the messages that balancing left over, wrong: {_share(left_over['errors'])}."
    return text + table


def _in_table(text: str) -> str:
    return escaped(text).replace("\\|", "|")  # to_markdown escapes these itself


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _share(share: dict[str, Any]) -> str:
    low, high = share["interval"]
    return f"{share['hits']} of {share['messages']:,}, {share['share']:.2%} ({low:.2%} to {high:.2%})"


def _decision(classifier: Classifier) -> str:
    decision = classifier.model.decision
    fitted = int(decision.fitted_step) >= 0
    temperature = f"temperature {float(decision.temperature):.6g}" + (
        ", fitted on the validation split" if fitted else ", not fitted"
    )
    text = f"Probabilities are calibrated: {temperature}; it is at work in the export already."
    if classifier.threshold is not None:
        text += (
            f" Of the two classes the second, {escaped(classifier.labels[1])}, is decided for from a probability of "
            f"{classifier.threshold:.6g} (rule: {escaped(str(classifier.model.settings['threshold']))}); the export "
            "gives probabilities and leaves this to its user."
        )
    return text


def _versions(classifier: Classifier) -> str:
    made = {
        "Trained": read_metrics(run_directory(classifier.checkpoint)).get(PROVENANCE, {}).get("versions"),
        "Exported": versions(),
    }
    return "\n".join(
        f"- {what} with {', '.join(f'{name} {version}' for name, version in of_packages.items() if name != 'threads')}"
        for what, of_packages in made.items()
        if of_packages
    )


def _limits(classifier: Classifier, is_uci: bool) -> str:
    keep = {"head": "its first tokens are", "tail": "its last tokens are", "both": "half of each end is"}
    kept = keep[classifier.model.settings["keep"]]
    limits = [f"A text of more than {classifier.max_length} tokens is cut to that: {kept} read, the rest is not."]
    if classifier.model.padding_matters:
        limits.append("The verdict depends on how far a text is padded: pad as in training.")
    else:
        limits.append("Padding on the right does not matter to the verdict.")
    if is_uci:
        limits.append("It knows English SMS of 2011, is no e-mail filter, and spammers have learnt since.")
    else:
        limits.append("It knows the languages and subjects of its training data, and no others.")
    return "\n".join(f"- {limit}" for limit in limits)
