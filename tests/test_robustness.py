"""How much spam gets through with tricks, and what helps: the commands on small corpora."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from spam_classifier import Classifier, load_classifier, robustness
from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.errors import UserError

SMALL = [
    *("fit", "--data.corpus", "sample", "--data.stratify", "true", "--data.padding", "batch"),
    *("--model.weights", "random", "--model.layers", "2", "--model.width", "32", "--model.heads", "2"),
    *("--model.context", "128", "--model.token_position", "last_real", "--model.learning_rate", "0.003"),
    *("--model.trainable", "all", "--trainer.max_epochs", "2", "--trainer.accelerator", "cpu"),
    *("--trainer.enable_progress_bar", "false"),
]
RUN = Path("lightning_logs/version_0")


@pytest.mark.slow
def test_the_table_is_printed_and_kept(train: Callable, call: Callable) -> None:
    assert train(*SMALL).code == 0
    done = call(robustness.main, "--mails", "--windows", "64", "--accelerator", "cpu")
    assert done.code == 0, done.err
    kept = json.loads((RUN / "metrics.json").read_text())["robustness"]
    assert kept["windows"] == 64
    assert list(kept["untouched"]) == ["GPT-2", "words, logistic regression", "characters, linear SVM"]
    table = pd.read_csv(RUN / "robustness.csv", keep_default_na=False)
    ham_is_safe = set(table["label"]) == {"spam"}
    assert ham_is_safe
    test = pd.read_csv(RUN / "test.csv", keep_default_na=False)
    spam = test.loc[test["label"] == "spam", "text"].tolist()
    for name, trick in kept["tricks"].items():
        own = table[table["trick"] == name]
        assert len(own) == len(spam)
        for model, through in trick["through"].items():
            assert through["share"] == pytest.approx((own[model] == "ham").mean())
        assert name in done.out
    assert table.loc[table["trick"] == "no trick", "text"].tolist() == spam
    assert table.loc[table["trick"] == "hidden HTML text", "text"].str.strip().tolist() == [
        *map(str.strip, (" ".join(text.split(" ")) for text in spam))
    ]
    report = (RUN / "report.html").read_text()
    assert "Which tricks get through?" in report
    again = call(robustness.main, "--mails", "--windows", "64", "--accelerator", "cpu")
    assert again.out == done.out


@pytest.mark.slow
def test_a_normalising_run_reads_disguised_texts_as_plain_ones(train: Callable) -> None:
    done = train(*SMALL, "--data.normalise", "true", "--data.augment", "0.5", "--trainer.max_epochs", "1")
    assert done.code == 0, done.err
    assert "altered copies of training messages were added" in done.err
    rows = pd.read_csv(RUN / "train.csv", keep_default_na=False)
    assert (rows["trick"] != "").sum() == round((rows["trick"] == "").sum() / 2)
    assert "trick" not in pd.read_csv(RUN / "test.csv")
    classifier = load_classifier(RUN)
    plain, disguised = classifier.probabilities(["Claim your free prize", "Clаim уоur fr\u200bee рrizе"])
    assert torch.equal(plain, disguised)
    assert "".join(part.text for part in classifier.explain("fr\u200bee рrizе").parts) == "free prize"
    assert len(classifier.predict(["\u200b\u200b"])) == 1  # invisible characters alone


@pytest.mark.parametrize("asked", [7, 1000])
def test_the_worst_window_counts(trained: Callable[..., Classifier], asked: int) -> None:
    plain = trained()
    windows = load_classifier(plain.checkpoint, windows=asked)
    longest = plain.max_length
    length = min(asked, longest)
    texts = ["short text", " ".join(f"word{number}" for number in range(3 * longest)), "win " * (2 * longest)]
    expected = plain.probabilities(texts)
    for place, text in enumerate(texts[1:], start=1):
        messages = EncodedMessages.from_texts([text])
        pieces, owners = messages.windows(torch.tensor([0]), length)
        assert owners.tolist() == [0] * len(pieces)
        tokens = messages.tokens.tolist()
        assert pieces.tokens[:length].tolist() == tokens[:length]
        assert pieces.tokens[-length:].tolist() == tokens[-length:]
        of_windows = plain.probabilities_of(pieces)
        expected[place] = of_windows[of_windows[:, 1].argmax()]
    assert torch.equal(windows.probabilities(texts), expected)
    assert [prediction.truncated for prediction in windows.predict(texts)] == [False, True, True]


def test_windows_need_two_classes(trained: Callable[..., Classifier]) -> None:
    model = trained().model
    names = model.label_names
    try:
        model.label_names = ["a", "b", "c"]
        with pytest.raises(UserError, match="windows need two classes, these are a, b, c"):
            Classifier(model, Path("x"), windows=64)
    finally:
        model.label_names = names


def test_an_impossible_share_is_refused(train: Callable) -> None:
    done = train(*SMALL, "--data.augment", "-1")
    assert done.code == 1
    assert "--data.augment must be from 0 to 100" in done.err
