"""The report of a run: complete, self-contained, and safe with hostile text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import torch

from spam_classifier.evaluation import predictions
from spam_classifier.evaluation.figures import left_over_figures, split_figures
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.predictions import predictions_of, read_messages, read_predictions, write_predictions
from spam_classifier.evaluation.report import write_report
from spam_classifier.runs.metrics import read_metrics, update_metrics

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {% for %}",
    "</td></table><style>*{display:none}</style>",
    "line one\nline two\r\n'quoted' \"text\", with commas",
]

CLASSES = [["ham", "spam"], ["a", "b<i>", "$c$ & d_e^f"]]


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def make_run(directory: Path, classes: list[str], texts: list[str]) -> Path:
    """A run's directory, each message there once as each class and decided for at random."""
    torch.manual_seed(0)
    rows = [(label, text) for text in texts for label in classes]
    messages = pd.DataFrame(rows, columns=["label", "text"])
    labels = torch.tensor([classes.index(label) for label in messages["label"]])
    probabilities = torch.rand(len(labels), len(classes)).softmax(-1)
    found = Predictions(torch.arange(len(labels)), labels, probabilities.log(), probabilities, probabilities.argmax(-1))
    figures = {**split_figures(found), "loss": 0.5, "temperature": 1.2, "threshold": 0.5, "threshold_rule": 0.5}
    figures |= {"decision_step": 20, "step": 20, "checkpoint": "best.ckpt"}
    directory.mkdir()
    update_metrics(directory, {"validation": figures, "test": figures, "classes": classes})
    for split in ("validation", "test"):
        write_predictions(predictions.predictions_path(directory, split), found, messages, classes)
    return directory


def page_of(run: Path) -> str:
    write_report(run)
    return (run / "report.html").read_text()


@pytest.mark.parametrize("classes", CLASSES)
def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path, classes: list[str]) -> None:
    run = make_run(tmp_path / "run", classes, HOSTILE)
    doubtful = {"place": "test.csv, row 1", "given": classes[0], "suggested": classes[1], "score": 0.25}
    pd.DataFrame([{**doubtful, "text": text} for text in HOSTILE]).to_csv(run / "label_errors.csv", index=False)
    found = {"share": 0.5, "agreement": 0.75, "interval": [0.25, 0.75], "messages": 10, "candidates": 5, "folds": 3}
    update_metrics(run, {"label_errors": found})
    page = page_of(run)
    assert "50.00%</strong> of the 10 labels are expected to be wrong (95% interval 25.00% to 75.00%)" in page
    assert page.count("test.csv, row 1") == 5
    parsed = Page(page)
    assert not {"script", "img"} & set(parsed.elements)
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    shown = "".join(parsed.words)
    for text in [*HOSTILE, *classes]:
        assert text.replace("\r\n", "\n") in shown.replace("\r\n", "\n")
    assert "default-src 'none'" in page


def test_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run", ["ham", "spam"], ["one", "two"] * 8))
    links = [value for name, value in Page(page).attributes if name in ("src", "href", "xlink:href") and value]
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"url\((?!['\"]?#)", page)
    assert page.count("<svg") == 4  # no learning curves without any points
    assert not set(re.findall(r"#[0-9a-f]{6}", page.partition("</style>")[2]))  # all follow the page, light or dark
    assert 'name="viewport"' in page


@pytest.mark.slow
def test_test_part_appears_after_test(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["ham", "spam"], ["one", "two", "three"] * 5)
    whole = page_of(run)
    test = read_predictions(predictions.predictions_path(run, "test"))
    update_metrics(run, {"left_over": left_over_figures(predictions_of(test, ["ham", "spam"]))})
    assert "of unseen ham taken for spam" in page_of(run)
    assert "has not been looked at" not in whole
    metrics = (run / "metrics.json").read_text()
    (run / "metrics.json").write_text(metrics.replace('"test"', '"other"').replace('"left_over"', '"unused"'))
    early = page_of(run)
    assert "has not been looked at yet" in early
    assert "validation accuracy" in early


@pytest.mark.slow
def test_figures_of_different_classifiers_are_told_apart(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["ham", "spam"], ["one", "two", "three"] * 5)
    assert "not of one classifier" not in page_of(run)
    test = read_metrics(run)["test"]
    update_metrics(run, {"test": {**test, "checkpoint": "last.ckpt", "step": 40, "threshold": 0.75}})
    page = page_of(run)
    assert "not of one classifier" in page
    for said in ("last.ckpt", "best.ckpt", "test, threshold 0.75", "validation, threshold 0.5"):
        assert said in page
    assert "at step 20 of the training, not with these weights" in page


def test_predictions_and_messages_read_back(tmp_path: Path) -> None:
    texts = [*HOSTILE, "NA", "", "007", " spaces "]
    run = make_run(tmp_path / "run", ["NA", "1"], texts)
    table = read_predictions(predictions.predictions_path(run, "test"))
    assert table["text"].tolist()[::2] == texts
    assert set(table["label"]) == {"NA", "1"}
    again = predictions_of(table, ["NA", "1"])
    assert split_figures(again)["confusion"] == read_metrics(run)["test"]["confusion"]
    assert again.probabilities.sum(1).tolist() == pytest.approx([1] * len(table), abs=1e-6)
    assert read_messages(predictions.predictions_path(run, "test"))["text"].tolist()[::2] == texts


def test_long_messages_are_cut_in_the_page_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["ham", "spam"], ["x" * 100_000, "short"])
    assert len(page_of(run)) < 300_000
    assert read_predictions(predictions.predictions_path(run, "test"))["text"].str.len().max() == 100_000
