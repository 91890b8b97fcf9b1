"""A trained classifier gives each text its own verdict, whatever comes beside it."""

import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.errors import UserError
from spam_classifier.inference.classifier import Classifier, load_classifier

WAYS = [("last", "head"), ("last_real", "both"), ("first", "head"), ("mean", "tail")]


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def classifier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A few steps on the sample, through a checkpoint."""
    directory = tmp_path_factory.mktemp("run")
    pl.seed_everything(1)
    position, keep = request.param
    model = SpamClassifier("random", 2, 32, 2, 512, trainable="all", learning_rate=3e-3, token_position=position)
    trainer = pl.Trainer(
        max_steps=10,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=directory,
    )
    trainer.fit(model, SpamDataModule("sample", max_length=60, keep=keep))
    trainer.save_checkpoint(directory / "model.ckpt")
    return load_classifier(directory / "model.ckpt")


TEXT = st.text(min_size=1, max_size=120).filter(str.strip)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT, min_size=1, max_size=40), order=st.randoms(use_true_random=False))
def test_same_probability_alone_in_any_batch_and_in_any_order(
    classifier: Classifier, texts: list[str], order: object
) -> None:
    together = classifier.probabilities(texts)
    alone = torch.cat([classifier.probabilities([text]) for text in texts])
    assert torch.allclose(together, alone, atol=1e-6)
    shuffled = list(range(len(texts)))
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert torch.allclose(classifier.probabilities([texts[i] for i in shuffled]), together[shuffled], atol=1e-6)


def test_probabilities_differ_between_texts(classifier: Classifier) -> None:
    probabilities = classifier.probabilities(["Win a free prize, call 09061701461 now!", "see you at home later"])
    assert probabilities.shape == (2, 2)
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1, 1])
    assert abs(probabilities[0, 0] - probabilities[1, 0]) > 1e-4


def test_long_text_is_cut_as_in_training(classifier: Classifier) -> None:
    kept, cut = " prize", " and much more" * 400  # a token, and many
    longer = {"head": kept * 60 + cut, "tail": cut + kept * 60, "both": kept * 30 + cut + kept * 30}
    found = {keep: classifier.probabilities([text]) for keep, text in longer.items()}
    own = classifier.model.settings["keep"]
    assert torch.allclose(classifier.probabilities([kept * 60]), found.pop(own), atol=1e-6)
    if classifier.model.settings["token_position"] != "first":
        assert not any(
            torch.allclose(classifier.probabilities([kept * 60]), other, atol=1e-4) for other in found.values()
        )


def test_prediction_says_label_probability_and_threshold(classifier: Classifier) -> None:
    texts = ["Win a free prize, call 09061701461 now!", "see you at home later", " prize" * 100]
    probabilities = classifier.probabilities(texts)
    for prediction, row in zip(classifier.predict(texts), probabilities.tolist(), strict=True):
        assert prediction.probabilities == pytest.approx({"ham": row[0], "spam": row[1]})
        assert prediction.label == ("spam" if row[1] >= classifier.threshold else "ham")
        assert prediction.probability == prediction.probabilities[prediction.label]
        assert prediction.threshold == classifier.threshold == 0.5
    assert [prediction.truncated for prediction in classifier.predict(texts)] == [False, False, True]
    assert {prediction.label for prediction in classifier.predict(texts, threshold=0.0)} == {"spam"}
    assert {prediction.label for prediction in classifier.predict(texts, threshold=1.1)} == {"ham"}


def test_threads_get_their_own_answers(classifier: Classifier) -> None:
    texts = [f"message {number} of " + "many words " * (number % 7) for number in range(40)]
    expected = classifier.probabilities(texts)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda text: classifier.probabilities([text]), texts))
    assert torch.allclose(torch.cat(found), expected, atol=1e-6)


def test_one_text_is_no_list(classifier: Classifier) -> None:
    with pytest.raises(UserError, match="put it in brackets"):
        classifier.predict("hello")


def test_a_run_is_named_by_its_directory(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"keeps no .*last.ckpt"):
        load_classifier(tmp_path / "run")
    for name in ("last.ckpt", "best-epoch1.ckpt"):
        shutil.copy(classifier.checkpoint, tmp_path / "run/checkpoints" / name)
        loaded = load_classifier(tmp_path / "run")
        assert loaded.checkpoint.name == name
    assert torch.equal(loaded.probabilities(["hello"]), classifier.probabilities(["hello"]))
    with pytest.raises(UserError, match="no such file or directory"):
        load_classifier(tmp_path / "missing")


def test_undecodable_bytes_are_judged(classifier: Classifier) -> None:
    assert len(classifier.predict(["hi \udcff there", "and <|endoftext|> more"])) == 2


def test_empty_text_is_refused(classifier: Classifier) -> None:
    with pytest.raises(UserError, match="text 2 is empty"):
        classifier.probabilities(["hello", "  "])


def test_command_prints_label_and_probability(
    classifier: Classifier,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from spam_classifier.predict import main

    checkpoint = max(tmp_path_factory.getbasetemp().rglob("model.ckpt"), key=lambda path: path.stat().st_mtime)
    texts = ["Win a free prize", "see you\tlater"]
    monkeypatch.setattr(sys, "argv", ["predict", *texts, "--ckpt_path", str(checkpoint)])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"checkpoint {checkpoint}"
    expected = load_classifier(checkpoint).probabilities(texts)
    for line, row in zip(lines[1:], expected, strict=True):
        label, probability = re.split(r"\t", line)[:2]
        assert label == ["ham", "spam"][int(row.argmax())]
        assert float(probability) == pytest.approx(float(row.max()), abs=1e-4)
