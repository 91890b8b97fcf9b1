"""Corpora other than the SMS Spam Collection, from training to the report."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

SMALL = [
    *("--model.weights", "random", "--model.layers", "2", "--model.width", "32", "--model.heads", "2"),
    *("--model.trainable", "all", "--model.learning_rate", "3e-3", "--model.token_position", "last_real"),
    *("--data.padding", "batch", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.enable_model_summary", "false"),
]
TOPICS = {"arts & <culture>": "stage", "économie": "market", "sport": "goal", "science": "atom"}
OPINIONS = {"neg": ["dull", "weak", "bad"], "pos": ["bright", "strong", "good"]}
WORDS = ["the", "film", "plot", "actor", "scene", "music", "of", "a", "night", "story", "and", "light"]


def four_classes(path: Path, rows: int) -> None:
    draw = random.Random(1)
    topics = [draw.choice(list(TOPICS)) for _ in range(rows)]
    texts = [f"{' '.join(draw.choices(WORDS, k=6))}, {TOPICS[topic]}" for topic in topics]
    pd.DataFrame({"topic": topics, "body": texts}).to_csv(path, index=False)


def reviews(directory: Path, number: int, longest: int) -> None:
    """As IMDb lays them out: ``train`` and ``test``, in each ``pos``, ``neg`` and, without labels, ``unsup``."""
    draw = random.Random(2)
    for part in ("train", "test"):
        for label in ("pos", "neg", "unsup"):
            (directory / part / label).mkdir(parents=True)
            for row in range(number // 4 if label != "unsup" else 3):
                count = draw.randint(20, longest)
                opinion = draw.choices(OPINIONS.get(label, WORDS), k=count // 20)
                words = draw.choices(WORDS, k=count - len(opinion)) + opinion  # most of it at the end
                (directory / part / label / f"{row}_7.txt").write_text(" ".join(words) + "<br /><br />")


def classify(call: Callable, *texts: str) -> list[str]:
    from spam_classifier.predict import main

    return [line.split("\t")[0] for line in call(main, *texts).out.splitlines()]


@pytest.mark.report
@pytest.mark.slow
def test_four_classes_keep_their_names(train: Callable, call: Callable) -> None:
    four_classes(Path("topics.csv"), 240)
    columns = ["--data.text_column", "body", "--data.label_column", "topic"]
    fitted = train("fit", *SMALL, "--data.corpus", "topics.csv", *columns, "--trainer.max_epochs", 6)
    assert fitted.code == 0, fitted.err
    assert train("test").code == 0
    run = Path("lightning_logs/version_0")
    metrics = json.loads((run / "metrics.json").read_text())
    names = sorted(TOPICS)
    assert metrics["classes"] == names
    assert metrics["test"]["acc"] > 0.8  # a word gives the class away
    assert len(metrics["test"]["confusion"]) == 4
    report = (run / "report.html").read_text()
    assert "arts &amp; &lt;culture&gt;" in report
    assert "économie" in report
    texts = [f"the plot of a night, {TOPICS[name]}" for name in names]
    assert classify(call, *texts) == names
    table = pd.read_csv(run / "predictions/test.csv")
    assert [name.removeprefix("probability_") for name in table.columns[-4:]] == names


@pytest.mark.slow
def test_reviews_in_folders_with_their_own_test_split(train: Callable, call: Callable) -> None:
    reviews(Path("imdb"), 160, longest=120)
    split = ["--data.corpus", "imdb/train", "--data.test_corpus", "imdb/test", "--data.labels", '["neg", "pos"]']
    cut = ["--data.max_length", 32, "--data.keep", "tail", "--data.balance", "none"]
    fitted = train("fit", *SMALL, *split, *cut, "--trainer.max_epochs", 8)
    assert fitted.code == 0, fitted.err
    tested = train("test")
    assert tested.code == 0, tested.err
    metrics = json.loads(Path("lightning_logs/version_0/metrics.json").read_text())
    assert metrics["classes"] == ["neg", "pos"]
    assert metrics["test"]["messages"] == 80
    assert metrics["test"]["acc"] > 0.9  # the end of a review says it all
    assert metrics["audit"]["splits"]["test"]["truncated"] > 40
    assert metrics["audit"]["keep"] == "tail"
    endings = [" ".join(WORDS * 30 + OPINIONS[label] * 2) for label in ("pos", "neg")]
    assert classify(call, *endings) == ["pos", "neg"]


@pytest.mark.report
@pytest.mark.slow
def test_what_was_assumed_is_said_once_and_kept_in_the_run(train: Callable) -> None:
    """A spam.csv as many repositories hold it, with two bad rows."""
    lines = [
        f'{label},"{text} £{number}",,,' for number in range(30) for label, text in (("ham", "hi"), ("spam", "win"))
    ]
    lines += ['ham,"he said ""hi"", then left"," and came back",,', "ham,,,,", ",no label,,,"]
    Path("spam.csv").write_bytes("\r\n".join(["v1,v2,,,", *lines, ""]).encode("cp1252"))
    refused = train("fit", *SMALL, "--data.corpus", "spam.csv")
    assert refused.code == 1
    assert "spam.csv has 2 bad rows: line 63: no text; line 64: no label; correct them, or leave such" in refused.err
    assert not Path("lightning_logs").exists()
    fitted = train("fit", *SMALL, "--data.corpus", "spam.csv", "--data.bad_rows", "skip", "--trainer.max_epochs", 1)
    assert fitted.code == 0, fitted.err
    note = (
        "spam.csv: read as windows-1252, a guess (--data.encoding); labels from 'v1' (--data.label_column) and texts "
        "from 'v2' (--data.text_column); bad rows left out: 2 (first: line 63, no text); texts joined with what "
        "follows them in columns without a name: 1"
    )
    said = [line for line in fitted.err.splitlines() if line.startswith("note: spam.csv")]
    assert len(said) == 1
    assert sorted(said[0].removeprefix("note: ").split("; ")) == sorted(note.split("; "))
    tested = train("test")
    assert tested.code == 0, tested.err
    assert "note: spam.csv" not in tested.err
    run = Path("lightning_logs/version_0")
    audit = json.loads((run / "metrics.json").read_text())["audit"]
    assert f"note: {audit['notes'][0]}" == said[0]
    assert audit["left_out_rows"] == 2
    left_out = pd.read_csv(run / "left_out_rows.csv")
    assert left_out["place"].tolist() == [63, 64]
    assert left_out["reason"].tolist() == ["no text", "no label"]
    assert "read as windows-1252, a guess" in (run / "report.html").read_text()
    kept = pd.concat([pd.read_csv(run / f"{name}.csv") for name in ("train", "validation", "test", "left_over")])
    assert 'he said "hi", then left, and came back' in set(kept["text"])
    assert {"hi £0", "win £0"} <= set(kept["text"])


@pytest.mark.slow
def test_mails_are_judged_by_the_text_that_was_learned(train: Callable, call: Callable) -> None:
    from spam_classifier.predict import main

    for number in range(24):
        label, text = ("spam", "<p>win a <b>prize</b>") if number % 2 else ("ham", "see you <i>at seven</i>")
        path = Path(f"mails/{label}/{number}") if number < 20 else Path(f"mails/{label}/deeper/{number}.eml")
        path.parent.mkdir(parents=True, exist_ok=True)
        head = f"From: a@example.com\nSubject: =?iso-8859-1?q?Gr=FC=DFe_{number}?=\nContent-Type: text/html\n\n"
        path.write_text(f"{head}{text}<div style='display:none'>hidden</div>\n")
    Path("mails/ham/notes.pdf").write_bytes(b"%PDF-")
    fitted = train("fit", *SMALL, "--data.corpus", "mails", "--data.stratify", "true", "--trainer.max_epochs", 1)
    assert fitted.code == 0, fitted.err
    assert "files passed over, which are no mails: 1 (first: mails/ham/notes.pdf)" in fitted.err
    run = Path("lightning_logs/version_0")
    learned = pd.concat([pd.read_csv(run / f"{name}.csv") for name in ("train", "validation", "test")])
    assert len(learned) == 24
    done = call(main, "--input", "mails", "--output", "out.csv", "--accelerator", "cpu")
    assert done.code == 0, done.err
    judged = pd.read_csv("out.csv")
    assert sorted(judged["text"]) == sorted(learned["text"])
    assert "Grüße 1\nwin a prize" in set(judged["text"])
