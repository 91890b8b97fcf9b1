"""The text of wrong predictions, from a real test run, read back from TensorBoard's file and as it renders it."""

import csv
from html.parser import HTMLParser
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugin_util import markdown_to_safe_html
from torch import Tensor

from spam_classifier import SpamDataModule
from spam_classifier.batch import Batch
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.wrong_predictions import WrongPredictions

HOSTILE = [
    "<script>alert(1)</script>",
    "<b>bold</b> &amp; <!-- not a comment -->",
    "a | b || c |",
    "`code` ``more`` ```fence```",
    "one\ntwo\r\n\r\n# three\n- four",
    "*stars* **two** _under_ __two__",
    "[a link](http://example.com) ![picture](x.png)",
    "back\\slash \\` \\| end\\",
    "&lt;b&gt; &#124; &nbsp;",
    "http://example.com/?a=1&b=2 <http://example.com>",
    "£1000 🎉 Ünïcödé",
]


class Scripted(pl.LightningModule):
    """Answers each test message with probabilities that were decided before."""

    def __init__(self, probabilities: Tensor) -> None:
        super().__init__()
        self.probabilities = probabilities
        self.seen: list[Batch] = []

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.seen.append(batch)

    def on_test_epoch_end(self) -> None:
        rows, labels = (torch.cat([getattr(batch, name) for batch in self.seen]) for name in ("index", "labels"))
        probabilities = self.probabilities[rows]
        self.predictions = Predictions(rows, labels, probabilities.log(), probabilities, probabilities.argmax(-1))


class Cells(HTMLParser):
    """The text of a rendered table's cells, and the elements found within them."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if self.inside:
            self.elements.append(tag)
        if tag == "td":
            self.inside = True
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "td"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[-1] += data


def rendered_rows(text: str) -> tuple[list[list[str]], list[str]]:
    """The table's rows as TensorBoard shows them, and any element that a message brought in."""
    cells = Cells()
    cells.feed(markdown_to_safe_html(text))
    return [cells.texts[start : start + 4] for start in range(0, len(cells.texts), 4)], cells.elements


def data_of(path: Path, texts: list[str], labels: tuple[str, str] = ("ham", "spam")) -> SpamDataModule:
    """A datamodule that has each text once as each label, and seven in ten of them for testing."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "text"), *((label, text) for label in labels for text in texts)])
    data = SpamDataModule(str(path), train_fraction=0.25, validation_fraction=0.05, batch_size=3)
    data.setup("test")
    return data


def numbered(count: int) -> list[str]:
    return [f"message {number}" for number in range(count)]


def answers(data: SpamDataModule, wrong: dict[int, float]) -> Tensor:
    """Probabilities [N, 2] that are right but for some rows, wrong there with the confidence given."""
    labels = data.encoded["test"].labels
    right = torch.tensor([1 - wrong.get(row, 0.0) for row in range(len(labels))])
    return torch.where(labels[:, None] == torch.arange(2), right[:, None], 1 - right[:, None])


def run_test(data: SpamDataModule, probabilities: Tensor, callback: pl.Callback, logger: Logger | bool) -> None:
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=logger,
        callbacks=[callback],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.test(Scripted(probabilities), data, verbose=False)


def logged_text(
    directory: Path, data: SpamDataModule, probabilities: Tensor, callback: WrongPredictions | None = None
) -> str:
    """The text that a test run leaves in TensorBoard's file in an empty directory."""
    logger = TensorBoardLogger(directory, name=None, version="")
    run_test(data, probabilities, callback or WrongPredictions(), logger)
    logger.finalize("success")
    events = EventAccumulator(str(directory))
    events.Reload()
    (event,) = events.Tensors("test/wrong_predictions/text_summary")
    return event.tensor_proto.string_val[0].decode()


@pytest.fixture
def data(tmp_path: Path) -> SpamDataModule:
    return data_of(tmp_path / "corpus.csv", numbered(20))


def test_mistakes_are_counted_and_listed_by_confidence(tmp_path: Path, data: SpamDataModule) -> None:
    text = logged_text(tmp_path / "run", data, answers(data, {2: 0.75, 7: 0.99, 13: 0.6, 19: 0.9}))
    assert text.splitlines()[0] == "4 of 28 test messages are predicted wrong."
    expected = []
    for row, confidence in ((7, "0.9900"), (19, "0.9000"), (2, "0.7500"), (13, "0.6000")):
        message = data.splits["test"].iloc[row]
        other = "spam" if message["label"] == "ham" else "ham"
        expected.append([confidence, other, message["label"], message["text"]])
    assert rendered_rows(text) == (expected, [])


def test_a_run_without_mistakes_says_so(tmp_path: Path, data: SpamDataModule) -> None:
    text = logged_text(tmp_path / "run", data, answers(data, {}))
    assert text.splitlines()[0] == "0 of 28 test messages are predicted wrong."
    assert not any(cell for row in rendered_rows(text)[0] for cell in row)


def test_a_second_test_run_starts_afresh(tmp_path: Path, data: SpamDataModule) -> None:
    callback, probabilities = WrongPredictions(), answers(data, {2: 0.75})
    texts = [logged_text(tmp_path / run, data, probabilities, callback) for run in ("first", "second")]
    assert texts[0] == texts[1]


def test_messages_are_shown_to_the_letter(tmp_path: Path) -> None:
    data = data_of(tmp_path / "hostile.csv", HOSTILE * 3)
    text = logged_text(tmp_path / "run", data, answers(data, dict.fromkeys(range(len(data.splits["test"])), 0.9)))
    assert "<script" not in text
    rows, elements = rendered_rows(text)
    assert elements == []
    assert {message for *_, message in rows} == {" ".join(message.split()) for message in HOSTILE}


def test_labels_are_shown_to_the_letter(tmp_path: Path) -> None:
    labels = ("*not* <b>spam</b>", "spam|ad")
    data = data_of(tmp_path / "labels.csv", numbered(20), labels)
    rows, elements = rendered_rows(logged_text(tmp_path / "run", data, answers(data, {0: 0.9})))
    assert elements == []
    assert len(rows) == 1
    assert set(rows[0][1:3]) == set(labels)


def test_only_the_hundred_most_confident_are_listed(tmp_path: Path) -> None:
    data = data_of(tmp_path / "many.csv", numbered(75))
    count = len(data.splits["test"])
    confidences = {row: 0.5 + (row + 1) / 250 for row in range(count)}
    text = logged_text(tmp_path / "run", data, answers(data, confidences))
    assert (
        text.splitlines()[0]
        == f"{count} of {count} test messages are predicted wrong; the 100 most confident mistakes."
    )
    listed = [float(row[0]) for row in rendered_rows(text)[0]]
    assert count > 100
    assert listed == pytest.approx(sorted(confidences.values(), reverse=True)[:100], abs=1e-4)


def test_nothing_is_written_without_tensorboard(tmp_path: Path, data: SpamDataModule) -> None:
    directory = tmp_path / "csv"
    for logger in (False, CSVLogger(directory, name=None, version="")):
        run_test(data, answers(data, {2: 0.75}), WrongPredictions(), logger)
    assert not list(directory.rglob("events.*"))
