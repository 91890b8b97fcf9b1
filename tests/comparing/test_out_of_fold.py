"""The folds: every message once, near-duplicates together, classes spread; what is finished is not trained again."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.comparing import out_of_fold as module
from spam_classifier.comparing.launch import RunFailed
from spam_classifier.comparing.out_of_fold import deal_folds, out_of_fold
from spam_classifier.data.corpora import read_corpus
from spam_classifier.data.near_duplicates import near_groups
from spam_classifier.errors import UserError
from spam_classifier.evaluation.metrics import Predictions
from spam_classifier.evaluation.predictions import predictions_path, write_predictions

CLASSES = ["a", "b"]
HOSTILE = ["one\r\ntwo", 'a "quote", a comma', "NA", "  spaces  ", "1.0", "é \u2028 \t x"]


def distinct(number: int) -> str:
    return " ".join(f"{chr(97 + number % 26)}{chr(97 + number // 26)}{chr(97 + place)}" for place in range(6))


@given(
    st.lists(st.tuples(st.sampled_from(CLASSES), st.integers(0, 30)), max_size=60), st.integers(2, 4), st.integers(0, 9)
)
def test_every_message_has_a_fold_and_groups_share_one(rows: list[tuple[str, int]], folds: int, seed: int) -> None:
    rows = rows + [(label, 100 + 10 * place + CLASSES.index(label)) for label in CLASSES for place in range(folds)]
    messages = pd.DataFrame([(label, distinct(number)) for label, number in rows], columns=["label", "text"])
    fold_of = deal_folds(messages, folds, seed)
    assert len(fold_of) == len(rows)
    assert set(fold_of) == set(range(folds))
    groups = pd.Series(near_groups(messages["text"].tolist()))
    assert (pd.Series(fold_of).groupby(groups).nunique() == 1).all()
    assert (deal_folds(messages, folds, seed) == fold_of).all()


@pytest.mark.parametrize("folds", [2, 5])
def test_classes_are_spread_evenly(folds: int) -> None:
    labels = ["a"] * 57 + ["b"] * 20 + ["c"] * 6
    messages = pd.DataFrame({"label": labels, "text": [distinct(number) for number in range(len(labels))]})
    counts = pd.crosstab(deal_folds(messages, folds, 1), messages["label"])
    assert (counts.max() - counts.min() <= 1).all()
    sizes = counts.sum(axis=1)
    assert sizes.max() - sizes.min() <= 2
    assert (deal_folds(messages, folds, 1) != deal_folds(messages, folds, 2)).any()


def test_a_large_group_is_evened_out() -> None:
    texts = [distinct(0)] * 20 + [distinct(number) for number in range(1, 41)]
    messages = pd.DataFrame({"label": ["a"] * 30 + ["b"] * 30, "text": texts})
    counts = pd.crosstab(deal_folds(messages, 3, 1), messages["label"])
    assert sorted(counts["a"]) == [5, 5, 20]
    assert set(counts["b"]) == {10}


def test_a_class_with_too_few_messages_is_refused() -> None:
    rows = [("a", distinct(number)) for number in range(9)] + [("b", "same text")] * 9 + [("b", "other words")]
    messages = pd.DataFrame(rows, columns=["label", "text"])
    with pytest.raises(
        UserError, match=r"class 'b' has 2 distinct message\(s\), too few for 3 folds: lower --folds to 2"
    ):
        deal_folds(messages, 3, 1)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Fits that read their files as ``fit`` does and are sure of each label; the directories that were trained."""
    directories: list[Path] = []

    def launch_fit(config: Path, seed: int, flags: Sequence[object], root: Path, *, states: Path) -> Path:
        (states / "of_messages").mkdir(parents=True, exist_ok=True)
        given = dict(zip(map(str, flags[::2]), map(str, flags[1::2]), strict=True))
        others, own = (read_corpus(given[f"--data.{name}"]).messages for name in ("corpus", "test_corpus"))
        assert not set(others["text"]) & set(own["text"])
        run = root / "lightning_logs/version_0"
        run.mkdir(parents=True)
        labels = torch.tensor([CLASSES.index(label) for label in own["label"]])
        sure = torch.eye(2)[labels] * 0.5 + 0.25
        found = Predictions(torch.arange(len(labels)), labels, sure.log(), sure, labels)
        write_predictions(predictions_path(run, "test"), found, own, CLASSES)
        directories.append(root)
        return run

    monkeypatch.setattr(module, "launch_fit", launch_fit)
    monkeypatch.setattr(module, "launch_test", lambda root, *, states: None)
    return directories


def test_what_is_finished_is_not_trained_again(
    trained: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [*HOSTILE, *(distinct(number) for number in range(6))]
    messages = pd.DataFrame({"label": CLASSES * 6, "text": texts})
    fold_of = deal_folds(messages, 3, 1)
    arguments = ({"model": {"layers": 1}}, messages, CLASSES, fold_of, 1, tmp_path / "work")

    def killed(fit: Callable) -> Callable:
        def killed(*words: object, **options: object) -> Path:
            if len(trained) == 1:
                trained.append(tmp_path)
                raise RunFailed("SIGKILL")
            return fit(*words, **options)

        return killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "launch_fit", killed(module.launch_fit))
        with pytest.raises(RunFailed):
            out_of_fold(*arguments)
    found = out_of_fold(*arguments)
    assert [path.name for path in trained] == ["fold_0", tmp_path.name, "fold_1", "fold_2"]
    assert "fold 3 of 3 is complete" in capsys.readouterr().err
    assert found.tolist() == [[0.75, 0.25], [0.25, 0.75]] * 6
    assert np.array_equal(out_of_fold(*arguments), found)
    assert len(trained) == 4
    assert not any(path.is_dir() for path in (tmp_path / "work").iterdir())

    messages["label"] = CLASSES[::-1] * 6
    with pytest.raises(UserError, match=r"fold_0\.csv holds other messages: remove"):
        out_of_fold(*arguments)
