"""The space of a search: ranges and choices of settings."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from spam_classifier.comparing.search_space import _distribution, read_space, value_of, with_values
from spam_classifier.errors import UserError
from spam_classifier.find_config import packaged_folder, packaged_names
from spam_classifier.search import PACKAGED_SPACE
from spam_classifier.training.parser import settings_of

Space = Callable[[str], tuple[dict[str, Any], list[str]]]


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    """Read a space for the book's settings on the sample."""
    monkeypatch.chdir(tmp_path)
    settings = settings_of(["--data.corpus", "sample"], defaults=True)

    def space(text: str) -> tuple[dict[str, Any], list[str]]:
        Path("space.yaml").write_bytes(text.encode("latin-1"))
        return read_space(Path("space.yaml"), settings)

    return space


def test_ranges_and_choices(space: Space) -> None:
    found, notes = space(
        "model.learning_rate: {low: 1e-5, high: 1.0e-3, log: true}\n"
        "model.dropout: {low: 0, high: 0.5}\n"
        "trainer.max_epochs: {low: 1, high: 9, step: 2}\n"
        "trainer.gradient_clip_val: [null, 1.0]\n"
        "data.batch_size: [8, 16]\n"
    )
    assert found == {
        "model.learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
        "model.dropout": FloatDistribution(0, 0.5),
        "trainer.max_epochs": IntDistribution(1, 9, step=2),
        "trainer.gradient_clip_val": CategoricalDistribution([None, 1.0]),
        "data.batch_size": CategoricalDistribution([8, 16]),
    }
    assert notes == []


def test_the_configs_own_value_is_added(space: Space) -> None:
    found, notes = space("model.learning_rate: {low: 1.0e-4, high: 1.0e-3, log: true}\nmodel.trainable: [all, lora]\n")
    assert found["model.learning_rate"] == FloatDistribution(5e-5, 1e-3, log=True)
    assert found["model.trainable"] == CategoricalDistribution(["all", "lora", "last_block"])
    assert notes == [
        "The config's own model.learning_rate 5e-05 was added to the space.",
        "The config's own model.trainable last_block was added to the space.",
    ]


numbers = st.one_of(st.integers(0, 100), st.floats(0, 100, allow_subnormal=False))


@given(st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted), numbers)
def test_a_range_holds_its_ends_and_the_own_value(ends: list[float], own: float) -> None:
    found = _distribution({"low": ends[0], "high": ends[1]}, own)
    assert isinstance(found, IntDistribution) == all(isinstance(value, int) for value in (*ends, own))
    assert (found.low, found.high) == (min(*ends, own), max(*ends, own))


@pytest.mark.parametrize("name", [name for name in packaged_names() if "/" not in name])
def test_the_packaged_space_suits_every_config(name: str, tmp_path: Path) -> None:
    corpus = tmp_path / "few.csv"
    corpus.write_text("label,text\n" + "ham,hello\nspam,buy\n" * 20)
    config = packaged_folder() / f"{name}.yaml"
    settings = settings_of(["--config", os.fspath(config), "--data.corpus", os.fspath(corpus)], defaults=True)
    found, _ = read_space(PACKAGED_SPACE, settings)
    assert "model.learning_rate" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: [", "space.yaml is not YAML"),
        ("\xff", "space.yaml is not YAML"),
        ("", "space.yaml holds no settings"),
        ("just words", "space.yaml holds no settings"),
        ("model.learning_rat: [1.0]", "did you mean model.learning_rate?"),
        ("nothing: [1.0]", "nothing"),
        ("model.dropout: [much]", "space.yaml: model.dropout much: model.dropout: much in a config: give a number"),
        ("model.dropout: [0.1, 7.0]", "space.yaml: model.dropout 7.0: "),
        ("model.dropout: 0.1", "space.yaml: model.dropout: give a list of choices, or a range"),
        ("model.dropout: []", "space.yaml: model.dropout: give a list of choices, or a range"),
        ("model.dropout: {low: 0.1}", "space.yaml: model.dropout: give a list of choices, or a range"),
        ("model.dropout: {low: 0.1, high: 0.2, steps: 3}", "space.yaml: model.dropout: give a list of choices"),
        ("model.dropout: {low: 0.3, high: 0.2}", "space.yaml: model.dropout: 0.3 to 0.2 is no range"),
        ("model.dropout: {low: 0.01, high: 0.2, log: true}", "the config's own value, 0.0, has to fit, too"),
        ("trainer.max_epochs: {low: 2, high: 8, step: 2}", "5 is not reached from 2 in steps of 2"),
        ("trainer.max_epochs: {low: 1, high: 9, step: 0}", "9 is not reached from 1 in steps of 0"),
        ("trainer.max_steps: {low: 1, high: 9}", "1 to 9 is no range"),  # the own value is -1, for no limit
        ("model.threshold: [0.5, best_f1]", "space.yaml: model.threshold can't be searched"),
        ("data.train_fraction: [0.5, 0.6]", "space.yaml: data.train_fraction can't be searched"),
        ("trainer.limit_val_batches: [1, 2]", "space.yaml: trainer.limit_val_batches can't be searched"),
        ("seed_everything: [1, 2]", "space.yaml: seed_everything can't be searched"),
    ],
)
def test_mistakes_name_the_file_and_the_setting(space: Space, text: str, said: str) -> None:
    with pytest.raises(UserError) as refusal:
        space(text)
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("space.yaml")


def test_choices_are_single_values() -> None:
    with pytest.raises(ValueError, match="single values, not lists"):
        _distribution([["c_attn"], ["c_fc"]], "c_attn")


def test_values_are_put_into_the_settings() -> None:
    settings = {"seed_everything": 1, "model": {"dropout": 0.1, "layers": 2}}
    changed = with_values(settings, {"model.dropout": 0.2})
    assert changed == {"seed_everything": 1, "model": {"dropout": 0.2, "layers": 2}}
    assert (value_of(settings, "model.dropout"), value_of(changed, "model.dropout")) == (0.1, 0.2)
