"""``--abstain``: no label where the classifier is unsure, by a probability or by an accuracy on validation messages."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from spam_classifier import Classifier, load_classifier
from spam_classifier.evaluation.predictions import read_predictions

QUICK = [
    *("--config", "quickstart", "--model.layers", "1", "--model.width", "32", "--model.heads", "2"),
    *("--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--data.train_per_class", "1000"),
]
RUN = Path("lightning_logs/version_0")
TEXTS = ["You have won a prize, call now", "See you at seven?", *(f"message {number}" for number in range(20))]


@pytest.fixture
def predict(call: Callable) -> Callable:
    from spam_classifier.predict import main

    return partial(call, main, "--accelerator", "cpu")


@pytest.fixture
def classifier(train: Callable) -> Classifier:
    assert train("fit", *QUICK).code == 0
    return load_classifier(RUN)


def test_an_accuracy_on_the_validation_split_chooses_the_probability(classifier: Classifier, predict: Callable) -> None:
    table = read_predictions(RUN / "predictions/validation.csv")
    accuracy = (table["predicted"] == table["label"]).mean()
    wanted = (accuracy + 1) / 2
    pd.DataFrame({"text": table["text"]}).to_csv("in.csv", index=False)
    done = predict("--input", "in.csv", "--output", "out.jsonl", "--abstain", f"{100 * wanted}%")
    assert done.code == 0
    predicted = [json.loads(line)["predicted"] for line in Path("out.jsonl").read_text().splitlines()]
    sure = [place for place, label in enumerate(predicted) if label is not None]
    right = sum(predicted[place] == table["label"][place] for place in sure)
    assert 0 < len(sure) < len(table)
    assert right / len(sure) >= wanted > accuracy
    assert f"{len(sure)} of {len(table)} validation messages get one" in done.err
    assert f"{len(table) - len(sure)} of {len(table)} texts got no label" in done.err


def test_a_probability_leaves_labels_out_everywhere(classifier: Classifier, predict: Callable) -> None:
    predictions = classifier.predict(TEXTS)
    middle = sorted(max(own.probabilities.values()) for own in predictions)[10]
    expected = [own.label if max(own.probabilities.values()) >= middle else None for own in predictions]
    assert [own.label for own in classifier.predict(TEXTS, abstain=middle)] == expected
    assert None in expected
    printed = predict(*TEXTS, "--abstain", repr(middle)).out
    assert [line.split("\t")[0] for line in printed.splitlines()] == [label or "unsure" for label in expected]
    pd.DataFrame({"text": TEXTS}).to_csv("in.csv", index=False)
    assert predict("--input", "in.csv", "--output", "out.csv", "--abstain", repr(middle)).code == 0
    written = pd.read_csv("out.csv", keep_default_na=False)["predicted"].tolist()
    assert written == [label or "" for label in expected]


def test_what_can_not_be_is_said_in_one_line(classifier: Classifier, predict: Callable) -> None:
    for wrong in ("2", "101%", "much"):
        refused = predict("hi", "--abstain", wrong)
        assert refused.code == 2
        assert f"{wrong}: give a probability, as in 0.9, or an accuracy, as in 99%" in refused.err
    other = predict("hi", "--abstain", "90%", "--ckpt_path", "last")
    assert other.code == 1
    assert "run validate first, or give a probability, as in --abstain 0.9" in other.err
    assert "below 0.9 no label is given" in predict("hi", "--abstain", "0.9", "--ckpt_path", "last").err
    table = read_predictions(RUN / "predictions/validation.csv")
    table["label"] = ["ham" if label == "spam" else "spam" for label in table["predicted"]]  # all wrong
    table.to_csv(RUN / "predictions/validation.csv", index=False)
    unreachable = predict("hi", "--abstain", "99%")
    assert unreachable.code == 1
    assert "at most 0.00% of the labels are right" in unreachable.err


def test_the_server_abstains(classifier: Classifier) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    from fastapi.testclient import TestClient

    from spam_classifier.serving.web_app import Service, web_app

    expected = [own.label for own in classifier.predict(TEXTS, abstain=0.7)]
    service = Service(classifier=classifier, abstain=0.7)
    with TestClient(web_app(service), base_url="http://127.0.0.1") as client:
        answer = client.post("/predict", json={"texts": TEXTS}).json()
        assert [own["label"] for own in answer["predictions"]] == expected
        assert client.get("/model").json()["abstain"] == 0.7
        explained = client.post("/explain", json={"text": TEXTS[0]}).json()
        assert explained["prediction"]["label"] == expected[0]
        assert explained["label"] in classifier.labels
