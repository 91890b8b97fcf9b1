"""How much spam gets through with tricks: a run's model and the linear baselines, on its own test split."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from spam_classifier import hints
from spam_classifier.comparing.baselines import predict_baselines
from spam_classifier.comparing.table import GPT2
from spam_classifier.data import tricks
from spam_classifier.data.splits import TEST, TRAIN, VALIDATION
from spam_classifier.errors import UserError
from spam_classifier.evaluation.figures import share, split_figures
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.predictions import read_messages
from spam_classifier.evaluation.report import ROBUSTNESS, write_report
from spam_classifier.files import write_csv
from spam_classifier.inference.classifier import Classifier
from spam_classifier.runs.find import read_settings
from spam_classifier.runs.metrics import update_metrics

UNTOUCHED = "no trick"
ROBUSTNESS_FILE = "robustness.csv"
EXAMPLE = 80  # characters of a message that shows in a line what is altered


def measure(directory: Path, classifier: Classifier, seed: int, *, of_mails: bool) -> dict[str, Any]:
    """Alter the spam of a run's test split by each trick, and keep how much is taken for ham.

    Spam is the second of two classes. Messages of the first are never altered. Every altered text is in
    ``robustness.csv`` in the run directory. ``of_mails`` adds the tricks of e-mails.

    Returns ``untouched``, the figures of the whole test split as it is, by the model's name; ``tricks``, by the trick's
    name ``says``, ``example`` and ``through``, the share of the spam that is taken for ham by the model's name;
    ``seed`` and ``windows``. Raises a UserError if there are not two classes, or the test split lacks one of them.
    """
    if len(classifier.labels) != 2:
        raise UserError(f"tricks hide one of two classes, these are {', '.join(classifier.labels)}: train on two")
    splits = {name: read_messages(directory / f"{name}.csv") for name in (TRAIN, VALIDATION, TEST)}
    first, second = classifier.labels
    spam = splits[TEST].loc[splits[TEST]["label"] == second, "text"].tolist()
    own = tricks.without_altered(splits[TRAIN])  # so that runs with and without --data.augment meet the same tricks
    benign = own.loc[own["label"] == first, "text"].tolist()
    if not spam or len(spam) == len(splits[TEST]):
        raise UserError(f"the test split has not both classes: set --data.stratify true in {hints.program('fit')}")
    room = tricks.OF_TEXT | tricks.with_benign_text(benign)
    room |= tricks.behind_the_cut(benign, classifier.max_length, classifier.keep, classifier.tokenizer)
    if of_mails:
        room |= tricks.of_mails(benign)
    texts = {UNTOUCHED: spam}
    texts |= {name: [tricks.altered(text, name, trick, seed) for text in spam] for name, trick in room.items()}
    shown = min(range(len(spam)), key=lambda row: (not spam[row].isascii(), abs(len(spam[row]) - EXAMPLE)))
    altered = {name: pd.DataFrame({"label": second, "text": own}) for name, own in texts.items()}
    predicted = _predicted(directory, classifier, splits, altered)
    figures = {
        "untouched": {model: split_figures(of_model[TEST]) for model, of_model in predicted.items()},
        "tricks": {
            name: {
                "says": room[name].__doc__ if name in room else "The messages as they are.",
                "example": own[shown],
                "through": {
                    model: share(int((of_model[name].predicted == 0).sum()), len(own))
                    for model, of_model in predicted.items()
                },
            }
            for name, own in texts.items()
        },
        "seed": seed,
        "windows": classifier.windows,
    }
    table = pd.concat([rows.assign(trick=name) for name, rows in altered.items()], ignore_index=True)
    for model, of_model in predicted.items():
        labels = torch.cat([of_model[name].predicted for name in altered]).tolist()
        table[model] = [classifier.labels[label] for label in labels]
    write_csv(directory / ROBUSTNESS_FILE, table)
    update_metrics(directory, {ROBUSTNESS: figures})
    write_report(directory)
    return figures


def _predicted(
    directory: Path, classifier: Classifier, splits: dict[str, pd.DataFrame], altered: dict[str, pd.DataFrame]
) -> dict[str, dict[str, Predictions]]:
    """Predictions by the model's name, of the test split and of the altered messages by their trick."""
    data = read_settings(directory)["data"]
    index = {label: number for number, label in enumerate(classifier.labels)}
    own = {}
    for name, rows in {TEST: splits[TEST], **altered}.items():
        probabilities = classifier.probabilities(rows["text"].tolist())
        labels = torch.tensor(rows["label"].map(index).to_numpy())
        decided = classifier.model.decision.decide(probabilities)
        own[name] = Predictions(torch.arange(len(labels)), labels, probabilities.log(), probabilities, decided)
    texts = {name: rows.assign(text=rows["text"].map(classifier.as_read)) for name, rows in (splits | altered).items()}
    balanced = data["balance"] == "class_weight"
    return {GPT2: own, **predict_baselines(texts, classifier.labels, balanced=balanced)}
