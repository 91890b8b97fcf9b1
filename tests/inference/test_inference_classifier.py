"""A trained classifier gives each text its own label and probability, whatever else is in the batch."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_classifier.errors import UserError
from spam_classifier.inference.classifier import Classifier, load_classifier


@pytest.fixture(scope="module", params=["last-head", "last_real-both", "first-head", "mean-tail"])
def classifier(request: pytest.FixtureRequest, trained: Callable[..., Classifier]) -> Classifier:
    position, _, keep = request.param.partition("-")
    return trained(token_position=position, keep=keep, padding="longest", max_length=60)


TEXT = st.text(min_size=1, max_size=120).filter(str.strip)


@settings(max_examples=15)
@given(texts=st.lists(TEXT, min_size=1, max_size=40), order=st.randoms(use_true_random=False))
def test_same_probability_alone_and_in_any_batch(classifier: Classifier, texts: list[str], order: Random) -> None:
    together = classifier.probabilities(texts)
    alone = torch.cat([classifier.probabilities([text]) for text in texts])
    assert torch.allclose(together, alone, atol=1e-6)
    shuffled = order.sample(range(len(texts)), len(texts))
    assert torch.allclose(classifier.probabilities([texts[i] for i in shuffled]), together[shuffled], atol=1e-6)


def test_probabilities_differ_between_texts(classifier: Classifier) -> None:
    probabilities = classifier.probabilities(["Win a free prize, call 09098790123 now!", "see you at home later"])
    assert probabilities.shape == (2, 2)
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1, 1])
    assert abs(probabilities[0, 0] - probabilities[1, 0]) > 1e-4


def test_long_text_is_cut_as_in_training(classifier: Classifier) -> None:
    kept, cut = " prize", " and much more" * 400  # a token, and many
    longer = {"head": kept * 60 + cut, "tail": cut + kept * 60, "both": kept * 30 + cut + kept * 30}
    expected = classifier.probabilities([kept * 60])
    found = {keep: classifier.probabilities([text]) for keep, text in longer.items()}
    assert torch.allclose(found.pop(classifier.model.settings["keep"]), expected, atol=1e-6)
    if classifier.model.settings["token_position"] != "first":
        assert not any(torch.allclose(other, expected, atol=1e-4) for other in found.values())


def test_prediction_says_label_probability_and_threshold(classifier: Classifier) -> None:
    texts = ["Win a free prize, call 09098790123 now!", "see you at home later", " prize" * 100]
    probabilities = classifier.probabilities(texts)
    for prediction, row in zip(classifier.predict(texts), probabilities.tolist(), strict=True):
        assert prediction.probabilities == pytest.approx({"ham": row[0], "spam": row[1]})
        assert prediction.label == ("spam" if row[1] >= classifier.threshold else "ham")
        assert prediction.probability == prediction.probabilities[classifier.labels[1]]
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


@pytest.mark.parametrize(("texts", "message"), [("hello", "put it in brackets"), (["hello", "  "], "text 2 is empty")])
def test_unfit_texts_are_refused(classifier: Classifier, texts: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        classifier.predict(texts)


def test_run_is_named_by_its_directory(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match="holds no checkpoint"):
        load_classifier(tmp_path / "run")
    for name in ("last.ckpt", "best-epoch1.ckpt"):
        shutil.copy(classifier.checkpoint, tmp_path / "run/checkpoints" / name)
        loaded = load_classifier(tmp_path / "run")
        assert loaded.checkpoint.name == name
    assert torch.equal(loaded.probabilities(["hello"]), classifier.probabilities(["hello"]))
    with pytest.raises(UserError, match="no such run or checkpoint"):
        load_classifier(tmp_path / "missing")


def test_undecodable_bytes_are_classified(classifier: Classifier) -> None:
    assert len(classifier.predict(["hi \udcff there", "and <|endoftext|> more"])) == 2
