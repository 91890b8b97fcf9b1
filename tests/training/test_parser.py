"""Errors of the parser in plain words, flags without effect, and settings that are checked before a training."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from spam_classifier.errors import UserError
from spam_classifier.runs.find import read_settings
from spam_classifier.training.parser import check_settings, settings_of, settings_parser
from spam_classifier.training.refusals import refuse_unused


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            "--model.learnin_rate 1",
            "arguments: --model.learnin_rate 1; did you mean --model.learning_rate?",
        ),
        ("--max_epochs 3", "did you mean --trainer.max_epochs?"),
        ("--data.corpsu x", "did you mean --data.corpus?"),
        ("--rot x", "did you mean --root?"),
        ("--model.trainable everything", "--model.trainable everything: give one of last_layer, last_block, last_two_"),
        ("--model.learning_rate abc", "--model.learning_rate abc: give a number"),
        (
            "--model.threshold best",
            "best: give a number or one of best_f1, max_fpr",
        ),
        ("--data.stratify maybe", "--data.stratify maybe: give true or false"),
        ("--trainer.callbacks+ Nope", "--trainer.callbacks Nope: give an importable name or null"),
        ("--trainer.max_epochs x", "--trainer.max_epochs x: give a whole number or null"),
        ("--data.labels [yes,no]", "--data.labels [True, False]: give a text or null (quote labels: "),
        (
            "--config typo.yaml",
            "a config sets model.learnin_rate, but there is no such setting; did you",
        ),
        ("--config value.yaml", "model.trainable: nix in a config: give one of"),
    ],
)
def test_mistakes_are_explained_without_types(train: Callable, flags: str, said: str) -> None:
    Path("typo.yaml").write_text("model: {learnin_rate: 1}")
    Path("value.yaml").write_text("model: {trainable: nix}")
    done = train("fit", *flags.split())
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert said in done.err
    assert not re.search("typing|class|Parser|Subtypes", done.err)


def settings(**changes: object) -> dict:
    model = {"trainable": "last_block", "threshold": 0.5, "frozen_prefix": "auto"}
    data = {"corpus": "sample", "validation_corpus": None, "test_corpus": None}
    for group in (model, data):
        group.update({name: value for name, value in changes.items() if name in group})
    return {"model": model, "data": data}


@pytest.mark.parametrize(
    ("flags", "ineffective", "effective"),
    [
        ("data.text_column data.label_column", {"corpus": "uci"}, {"corpus": "mine.csv"}),
        ("data.text_column data.encoding", {"corpus": str(Path(__file__).parent)}, {"test_corpus": "test.jsonl"}),
        ("data.bad_rows data.merge_labels", {"corpus": "sample"}, {"corpus": "mine.csv"}),
        ("data.cache_dir", {}, {"corpus": "uci"}),
        ("data.stratify data.train_fraction", {"validation_corpus": "a", "test_corpus": "b"}, {"test_corpus": "b"}),
        ("model.lora_rank model.lora_alpha model.lora_dropout", {}, {"trainable": "lora"}),
        ("model.max_false_positive_rate", {"threshold": "best_f1"}, {"threshold": "max_fpr"}),
        ("model.prefix_memory model.prefix_disk", {"frozen_prefix": "off"}, {}),
        ("model.prefix_disk", {"trainable": "all"}, {"trainable": "last_layer"}),
    ],
)
def test_flags_without_effect_are_refused(flags: str, ineffective: dict, effective: dict) -> None:
    for flag in flags.split():
        with pytest.raises(UserError, match=f"^--{flag} has no effect: .*; leave it out$"):
            refuse_unused({flag}, settings(**ineffective))
        refuse_unused({flag}, settings(**effective))
    refuse_unused(set(), settings(**ineffective))  # it is in a config


def test_an_evaluation_refuses_flags_of_the_training() -> None:
    refuse_unused({"model.learning_rate"}, settings())
    with pytest.raises(UserError, match="this command does not train"):
        refuse_unused({"model.learning_rate"}, settings(), trains=False)


def test_flags_as_settings() -> None:
    flags = [
        "--data.corpus",
        "sample",
        "--data.labels",
        '["no", "1"]',
        "--model.dropout=0.5",
        "--trainer.max_epochs",
        "2",
    ]
    assert settings_of(flags) == {
        "data": {"corpus": "sample", "labels": ["no", "1"]},
        "model": {"dropout": 0.5},
        "trainer": {"max_epochs": 2},
    }
    assert settings_of([]) == {}


def test_settings_are_checked_before_a_training() -> None:
    run = read_settings(Path(__file__).parents[1] / "run_of_0_1_0")
    check_settings([{**run, "data": {"corpus": "sample"}}], [])
    check_settings([{"data": {"corpus": "sample"}}, {"model": {"dropout": 0.1}}], ["--data.padding", "longest"])
    for flags, said in (
        (["--data.corpus", "nothing.csv"], "cannot read --data.corpus nothing.csv"),
        (["--model.learning_rate", "-1"], "--model.learning_rate must be above 0"),
        (["--model.lora_rank", "3"], "--model.lora_rank has no effect"),
    ):
        with pytest.raises(UserError, match=said):
            check_settings([{"data": {"corpus": "sample"}}], flags)


@pytest.mark.parametrize(("typed", "value"), [("0.25", 0.25), ("30", 30), ("00:00:01:00", "00:00:01:00")])
def test_a_validation_interval_is_a_share_a_number_or_a_time(typed: str, value: object) -> None:
    found = settings_parser().parse_args(["--trainer.val_check_interval", typed]).trainer.val_check_interval
    assert (found, type(found)) == (value, type(value))
