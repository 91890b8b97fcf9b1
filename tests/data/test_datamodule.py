"""The datamodule over small files and the embedded sample: splits, classes, lengths, padding, batches."""

import csv
import hashlib
import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_classifier import SpamDataModule
from spam_classifier.data import datamodule
from spam_classifier.data.corpora import read_corpus
from spam_classifier.data.tokenizer import gpt2_tokenizer
from spam_classifier.errors import UserError

SPLITS = ["train", "validation", "test"]
AWKWARD = [
    *('He said "call me", then left', "£100, prïze — 免费 🎉", '"', "NA", "null", "  two spaces around  "),
    *("two\nlines, with\r\na break", "lone\rcarriage return", "x,y,,z", "1e5", "it's <b>free</b> & easy"),
]


def write_corpus(path: Path, messages: list[tuple[str, str]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        writer.writerows(messages)
    return str(path)


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """40 ham and 40 spam messages, of 2 to 41 words."""
    openings = {"spam": "Win", "ham": "Hello"}
    messages = [(label, opening + " now" * words) for label, opening in openings.items() for words in range(1, 41)]
    return write_corpus(tmp_path / "corpus.csv", messages)


def ready(corpus: str, **options: object) -> SpamDataModule:
    data = SpamDataModule(corpus, **options)
    data.prepare_data()
    data.setup("fit")
    return data


def tokens_in(rows: pd.DataFrame) -> list[int]:
    return [len(gpt2_tokenizer().encode_ordinary(text)) for text in rows["text"]]


def test_a_file_becomes_batches(corpus: str) -> None:
    data = ready(corpus)
    assert data.label_names == ["ham", "spam"]
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 56, "validation": 8, "test": 16}
    for loader, split in ((data.val_dataloader(), "validation"), (data.test_dataloader(), "test")):
        batches = list(loader)
        assert len(batches) == len(loader)
        assert torch.cat([batch.index for batch in batches]).tolist() == list(range(len(data.splits[split])))
        for batch in batches:
            rows = data.splits[split].iloc[batch.index.tolist()]
            assert [data.label_names[label] for label in batch.labels] == rows["label"].tolist()


def test_the_sample_is_balanced_and_split_with_no_network() -> None:
    data = ready("sample")
    assert data.label_names == ["ham", "spam"]
    counts = pd.concat(data.splits[name] for name in SPLITS)["label"].value_counts()
    smallest = read_corpus("sample").messages["label"].value_counts().min()
    assert counts.to_dict() == {"ham": smallest, "spam": smallest}
    batch = next(iter(data.train_dataloader()))
    assert batch.input_ids.shape == (8, data.max_length)
    assert batch.labels.shape == batch.lengths.shape == batch.index.shape == (8,)


def test_labels_keep_the_order_given(corpus: str) -> None:
    data = ready(corpus, labels=["spam", "ham"])
    assert data.label_names == ["spam", "ham"]
    assert data.encoded["test"].labels.tolist() == [int(label == "ham") for label in data.splits["test"]["label"]]


def test_three_classes_are_balanced_or_all_kept(tmp_path: Path) -> None:
    sizes = {"ham": 30, "spam": 12, "offer": 20}
    messages = [(label, f"{label} {number}") for label, size in sizes.items() for number in range(size)]
    corpus = write_corpus(tmp_path / "three.csv", messages)
    data = ready(corpus)
    assert data.label_names == ["ham", "offer", "spam"]
    balanced = pd.concat(data.splits[name] for name in SPLITS)
    assert set(balanced["label"].value_counts()) == {12}
    assert len(data.splits["left_over"]) == 8 + 18
    assert set(data.encoded["train"].labels.tolist()) == {0, 1, 2}
    kept = pd.concat(ready(corpus, balance="none").splits.values())
    assert sorted(kept["text"]) == sorted(text for _, text in messages)


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    path.write_text("id,body,kind\n" + "".join(f"{row},text {row},{'ab'[row % 2]}\n" for row in range(20)))
    data = ready(str(path), text_column="body", label_column="kind")
    assert data.label_names == ["a", "b"]
    assert data.splits["train"]["text"].str.startswith("text ").all()


def test_a_split_seed_decides_the_splits(corpus: str) -> None:
    first, again, other = ready(corpus), ready(corpus), ready(corpus, split_seed=1)
    for split in SPLITS:
        pd.testing.assert_frame_equal(first.splits[split], again.splits[split])
    assert first.splits["test"]["text"].tolist() != other.splits["test"]["text"].tolist()


def test_max_length_is_that_of_the_longest_training_message(tmp_path: Path) -> None:
    messages = [(label, "now " * (20 if number else 50)) for label in ("ham", "spam") for number in range(20)]
    corpus = write_corpus(tmp_path / "own.csv", messages)
    longer_elsewhere = 0
    for seed in range(20):
        data = ready(corpus, split_seed=seed, train_fraction=0.2)
        assert data.max_length == max(tokens_in(data.splits["train"]))
        assert data.truncated["train"] == 0
        longer_elsewhere += sum(data.truncated.values())
    assert longer_elsewhere > 0


def test_longer_messages_are_counted_and_cut(corpus: str) -> None:
    data = ready(corpus, max_length=20)
    lengths = {name: tokens_in(rows) for name, rows in data.splits.items()}
    assert data.truncated == {name: sum(length > 20 for length in own) for name, own in lengths.items()}
    assert sum(data.truncated.values()) > 0
    batch = torch.cat([batch.lengths for batch in data.test_dataloader()])
    assert batch.tolist() == [min(length, 20) for length in lengths["test"]]


@pytest.mark.parametrize("split", SPLITS)
def test_width_of_batches_by_padding(corpus: str, split: str) -> None:
    data = ready(corpus, padding="longest")
    assert {batch.input_ids.shape[1] for batch in data.each_once(split)} == {data.max_length}
    data = ready(corpus, padding="batch")
    widths = [batch.input_ids.shape[1] for batch in data.each_once(split)]
    assert widths == [int(batch.lengths.max()) for batch in data.each_once(split)]
    assert max(widths) <= data.max_length
    data = ready(corpus, padding="context", max_length=30)
    assert (data.max_length, data.padded_length) == (30, 1024)
    batches = list(data.each_once(split))
    assert {batch.input_ids.shape[1] for batch in batches} == {1024}
    assert max(int(batch.lengths.max()) for batch in batches) <= 30
    assert ready(corpus, padding="context").max_length == 1024


@pytest.mark.parametrize("batch_size", [1, 5, 8, 56])
def test_training_drops_an_incomplete_batch_and_evaluation_does_not(corpus: str, batch_size: int) -> None:
    data = ready(corpus, batch_size=batch_size)
    sizes = [len(batch.labels) for batch in data.train_dataloader()]
    assert sizes == [batch_size] * (56 // batch_size)
    assert len(data.train_dataloader()) == len(sizes)
    sizes = [len(batch.labels) for batch in data.predict_dataloader()]
    assert sum(sizes) == 16
    assert len(sizes) == len(data.predict_dataloader()) == math.ceil(16 / batch_size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 57}, r"train split has 56 messages, .* one batch of 57 .*--data\.batch_size"),
        ({"batch_size": 0}, r"--data\.batch_size must be at least 1, not 0"),
        ({"batch_size": -1}, r"--data\.batch_size must be at least 1, not -1"),
        ({"max_length": 0}, r"--data\.max_length must be at least 1, not 0"),
        ({"padding": "context", "max_length": 1025}, r"up to 1025 tokens .* of 1024: set --data\.max_length 1024"),
        ({"padding": "none"}, r"none needs .* --data\.batch_size 1, .*--trainer\.accumulate_grad_batches 8"),
        ({"validation_corpus": "nothing.csv"}, r"cannot read --data\.validation_corpus nothing\.csv"),
        ({"labels": ["ham", "offer"]}, r"line 2: label 'spam' is none of ham, offer"),
    ],
)
def test_options_that_do_not_fit_are_refused(corpus: str, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ready(corpus, **options).train_dataloader()


def test_mistakes_in_the_corpus_are_refused(tmp_path: Path) -> None:
    ham = [("ham", "hello")] * 5
    for messages, told in ((ham, "one class only"), ([*ham, ("spam", "win")], "class 'spam' has 1")):
        with pytest.raises(UserError, match=told):
            ready(write_corpus(tmp_path / "own.csv", messages))


def test_long_messages_are_cut_to_the_context_without_a_flag(corpus: str) -> None:
    data = SpamDataModule(corpus)
    data.context = 20
    data.setup("fit")
    assert data.max_length == data.padded_length == 20
    assert data.truncated["train"] > 0


def test_no_padding_is_batches_of_one(corpus: str) -> None:
    data = ready(corpus, padding="none", batch_size=1)
    assert data.padded_length is None
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        assert all(batch.input_ids.shape == (1, int(batch.lengths)) for batch in loader)
    assert len(data.test_dataloader()) == 16


@pytest.mark.parametrize("keep", ["head", "tail", "both"])
def test_what_is_kept_of_long_messages(corpus: str, keep: str) -> None:
    data = ready(corpus, max_length=5, keep=keep)
    assert data.audit()["keep"] == keep
    for batch in data.test_dataloader():
        for row, ids, length in zip(batch.index.tolist(), batch.input_ids, batch.lengths, strict=True):
            whole = gpt2_tokenizer().encode_ordinary(data.splits["test"]["text"][row])
            if len(whole) > 5:
                whole = {"head": whole[:5], "tail": whole[-5:], "both": whole[:3] + whole[-2:]}[keep]
            assert ids[:length].tolist() == whole


def test_given_splits(tmp_path: Path) -> None:
    """They stay as they are, but for repeats; what repeats them is not trained on; the rest is cut and balanced."""
    words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"]
    own = [("ham" if number % 3 else "spam", f"{words[number % 10]} {words[number // 10]}") for number in range(90)]
    test = [("spam", "test only"), ("ham", "alpha bravo"), ("spam", "test only"), ("ham", "ALPHA bravo")]
    validation = [("ham", "validation only"), ("spam", "test only"), ("ham", "bravo bravo"), ("spam", "golf delta")]
    given = {"corpus": own, "validation_corpus": validation, "test_corpus": test}
    files = {name: write_corpus(tmp_path / f"{name}.csv", messages) for name, messages in given.items()}
    data = ready(**files, deduplicate="exact")
    assert data.splits["test"]["text"].tolist() == ["test only", "alpha bravo", "ALPHA bravo"]
    assert data.splits["validation"]["text"].tolist() == ["validation only", "bravo bravo", "golf delta"]
    assert data.natural_shares == [pytest.approx(2 / 3), pytest.approx(1 / 3)]
    counts = data.splits["train"]["label"].value_counts()
    assert counts["ham"] == counts["spam"]
    kept = pd.concat([data.splits["train"], data.splits["left_over"]])["text"].tolist()
    assert sorted(kept) == sorted({text for _, text in own} - {"alpha bravo", "bravo bravo", "golf delta"})
    for split in ("validation", "test"):
        assert data.audit()["splits"][split]["also_in_train"]["exact"] == 0

    data = ready(**files, balance="none")
    assert data.splits["test"]["text"].tolist() == [text for _, text in test]
    assert len(data.splits["train"]) == len(own)
    del files["validation_corpus"]
    sizes = {name: len(rows) for name, rows in ready(**files, balance="none").splits.items()}
    assert sizes == {"train": 78, "validation": 12, "test": 4}


def test_given_splits_may_be_of_other_kinds(corpus: str, tmp_path: Path) -> None:
    for label in ("ham", "spam", "unrated"):
        (tmp_path / "test" / label).mkdir(parents=True)
        (tmp_path / "test" / label / "1.txt").write_text(f"{label} to test")
    folders = str(tmp_path / "test")
    with pytest.raises(UserError, match=r"--data\.test_corpus has messages labelled 'unrated'.*\(ham, spam\)"):
        ready(corpus, test_corpus=folders)
    data = ready(corpus, test_corpus=folders, labels=["spam", "ham"])
    assert data.splits["test"].to_dict("list") == {"label": ["ham", "spam"], "text": ["ham to test", "spam to test"]}
    assert data.encoded["test"].labels.tolist() == [1, 0]


def test_a_changed_test_file_is_another_run(corpus: str, tmp_path: Path) -> None:
    rows = [("ham", "one"), ("spam", "two")]
    test = write_corpus(tmp_path / "test.csv", rows)
    before = ready(corpus, test_corpus=test).state_dict()

    def resumed() -> SpamDataModule:
        data = ready(corpus, test_corpus=test)
        data.keeps_messages = True
        data.load_state_dict(before)
        return data

    assert resumed().same_messages
    write_corpus(tmp_path / "test.csv", [*rows, ("ham", "three")])
    with pytest.raises(UserError, match=r"--data\.test_corpus .*test\.csv has changed since the run"):
        resumed()


def test_strings_in_python_or_arrow_are_the_same(tmp_path: Path) -> None:
    """With pyarrow installed pandas keeps strings in it, else as Python's own: nothing that is read depends on it."""
    pytest.importorskip("pandas", minversion="3", reason="before, pandas has no choice of storage")
    endings = [(label, f" {label}{number}") for label in ("ham", "été") for number in (1, 1, 2)]
    path = write_corpus(tmp_path / "own.csv", [(label, text + end) for label, end in endings for text in AWKWARD])
    for options in ({"deduplicate": "none"}, {"deduplicate": "exact", "stratify": True}, {"deduplicate": "near"}):
        prepared = []
        for storage in ("python", "pyarrow"):
            with pd.option_context("mode.string_storage", storage):
                data = ready(path, **options, train_fraction=0.5)
                assert {rows["text"].dtype.storage for rows in data.splits.values()} == {storage}
                rows = {name: rows.to_dict("list") for name, rows in data.splits.items()}
                tokens = {name: encoded.tokens.tolist() for name, encoded in data.encoded.items()}
                prepared.append((rows, tokens, data.label_names, data.state_dict(), data.audit()))
        assert prepared[0] == prepared[1]


def test_the_digest_is_of_the_splits_as_csv(corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datamodule, "ROWS_AT_ONCE", 3)
    data = ready(corpus)
    whole = "".join(rows.to_csv(index=False) for rows in data.splits.values())
    before = data.splits
    data.setup("test")  # changes nothing
    assert data.splits is before
    assert data.state_dict() == {"splits_sha256": hashlib.sha256(whole.encode()).hexdigest()}


filled = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@settings(max_examples=30)
@given(st.lists(filled | st.sampled_from(AWKWARD), min_size=10, max_size=20))
@pytest.mark.slow
def test_written_splits_read_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    directory = tmp_path_factory.mktemp("any")
    messages = [(label, text) for label in ("ham", 'spam, or "ad"') for text in texts]
    data = ready(write_corpus(directory / "corpus.csv", messages))
    assert sorted(pd.concat(data.splits.values())["text"]) == sorted(texts * 2)
    data.write_splits(directory / "run")
    assert {path.name for path in (directory / "run").iterdir()} == {"test.csv", "train.csv", "validation.csv"}
    for name, rows in data.splits.items():
        again = read_corpus(str(directory / f"run/{name}.csv")).messages
        assert again.to_dict("list") == rows.to_dict("list")
