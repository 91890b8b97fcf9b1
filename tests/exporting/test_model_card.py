"""The card states the known facts, and names from the data stay text in it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCardData
from markdown_it import MarkdownIt

from spam_classifier import Classifier, load_classifier
from spam_classifier.exporting.model_card import model_card

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SPLIT = {
    **{"messages": 300, "acc": 0.95, "acc_interval": [0.919, 0.969], "f1": 0.9, "balanced_acc": None},
    "false_positives": {"share": 0.02, "interval": [0.01, 0.05], "hits": 3, "messages": 150},
    "checkpoint": "best.ckpt",
}
HOSTILE = "<img src=x> | [a](http://e.example) `c` **b**"


def shown(markdown: str) -> str:
    """The text that a reader sees, without its markup."""
    tokens = [child for token in MARKDOWN.parse(markdown) for child in token.children or []]
    return " ".join(token.content for token in tokens if token.type in ("text", "code_inline"))


def front_matter(card: str) -> dict:
    """The front matter, read and checked as the hub does."""
    read = yaml.safe_load(card.split("---\n")[1])
    assert ModelCardData(**read).to_dict() == read
    return read


@pytest.mark.parametrize("kind", ["transformers", "onnx"])
def test_hostile_names_stay_text(trained: Callable[..., Classifier], three_classes: Path, kind: str) -> None:
    classifier = trained(corpus="three_classes")
    card = model_card(classifier, kind, 'out"\n```', [])
    html = MARKDOWN.render(card.split("---\n", 2)[2])
    assert front_matter(card) == {"library_name": kind, "pipeline_tag": "text-classification", "tags": ["gpt2"]}
    for label in classifier.labels:
        assert " ".join(label.split()) in shown(card)
    assert not [markup for markup in ("<b>", "<em>", 'href="y"') if markup in html]
    assert html.count("<h1>") == 1
    assert html.count("<pre>") == {"transformers": 3, "onnx": 1}[kind]
    assert "topics_[x](y).csv, whose licence is not known here" in shown(card)
    assert str(three_classes.parent) not in card
    assert "CC BY" not in card


def test_figures_of_the_run_and_their_checkpoint(trained: Callable[..., Classifier], tmp_path: Path) -> None:
    source = trained().checkpoint
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("best.ckpt", "other.ckpt"):
        (run / "checkpoints" / name).write_bytes(source.read_bytes())
    unknown = model_card(load_classifier(run / "checkpoints/best.ckpt"), "onnx", "m.onnx", [])
    assert "keeps no figures" in unknown
    natural = {name: value for name, value in SPLIT.items() if name != "checkpoint"} | {"acc": 0.5}
    metrics = {"validation": SPLIT, "test": SPLIT, "natural": natural, "provenance": {"versions": {"torch": "9.9"}}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    own = model_card(load_classifier(run / "checkpoints/best.ckpt"), "onnx", "m.onnx", ["A note."])
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in own.splitlines()]
    assert ["validation", "300", "95.00%", "91.90% to 96.90%", "-", "90.00%"] in [line[:6] for line in cells]
    assert ["test, classes in their natural shares", "300", "50.00%"] in [line[:3] for line in cells]
    assert own.count("3 of 150, 2.00% (1.00% to 5.00%)") == 3
    assert "All are of the exported checkpoint." in own
    assert "torch 9.9" in own
    assert "A note" in own
    other = model_card(load_classifier(run / "checkpoints/other.ckpt"), "onnx", "m.onnx", [])
    assert "All are of the exported checkpoint." not in other
    assert "The exported checkpoint is other.ckpt" in " ".join(shown(other).split())
    assert "best.ckpt" in shown(other)


def test_hostile_names_in_the_table(trained: Callable[..., Classifier], tmp_path: Path) -> None:
    classifier = load_classifier(trained().checkpoint)
    classifier.labels = [HOSTILE, "spam"]
    classifier.checkpoint = tmp_path / "checkpoints/model.ckpt"
    classifier.checkpoint.parent.mkdir()
    classifier.checkpoint.write_bytes(trained().checkpoint.read_bytes())
    (tmp_path / "metrics.json").write_text(json.dumps({"test": SPLIT}))
    html = MARKDOWN.render(model_card(classifier, "onnx", "m.onnx", []).split("---\n", 2)[2])
    assert html.count("</th>") == html.count("</td>") == 8
    assert 'e.example"' not in html
    assert "<img" not in html


def test_card_of_the_sample(trained: Callable[..., Classifier]) -> None:
    card = model_card(trained(), "transformers", "out", [])
    assert not {"language", "license"} & set(front_matter(card))
    assert "Synthetic messages" in card
    assert "temperature 1.7, fitted on the validation split" in card
    assert "labelled spam, the second class, from a probability of 0.5 (as set)" in card
    assert "\\" not in card
    assert "A text of more than 24 tokens" in card


def test_card_of_the_real_messages(trained: Callable[..., Classifier], uci_archive: Path) -> None:
    card = model_card(trained(corpus=str(uci_archive)), "transformers", "out", [])
    assert front_matter(card)["language"] == "en"
    assert front_matter(card)["datasets"] == ["ucirvine/sms_spam"]
    assert "license" not in front_matter(card)
    assert "CC BY 4.0" in card
    assert "Almeida" in card
    assert str(uci_archive.parent) not in card
