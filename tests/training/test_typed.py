"""What the user types becomes what Lightning's parser takes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from spam_classifier import hints
from spam_classifier.training.typed import for_lightning, typed_flags

QUICKSTART = Path(__file__).parents[2] / "configs/quickstart.yaml"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fit --model.dropout 0.1", "fit --model.dropout 0.1"),
        ("fit --root runs", "fit --trainer.default_root_dir=runs"),
        ("test --accelerator=gpu --devices 2", "test --trainer.accelerator=gpu --trainer.devices=2"),
        ("fit --devices 2 --trainer.devices 2", "fit --trainer.devices=2 --trainer.devices=2"),
        ("fit --a 1 --config quickstart --b 2 -c quickstart", f"fit {f'--config {QUICKSTART} ' * 2}--a 1 --b 2"),
        ("fit --a --config=quickstart", f"fit --config {QUICKSTART} --a"),
    ],
)
def test_configs_come_first_and_short_flags_are_the_trainers(words: str, expected: str) -> None:
    rewritten = for_lightning(words.split())
    assert rewritten == expected.split()
    assert for_lightning(rewritten) == rewritten  # in processes that Lightning launches


def test_settings_in_place_of_a_config_stay() -> None:
    words = ["fit", "--config", f"seed_everything: 1\n{'# long' * 1_000}", "--config", "{model: {dropout: 0.1}}"]
    assert for_lightning(words) == words


def test_typed_flags_have_the_names_of_settings() -> None:
    words = ["fit", "--data.corpus", "sample", "--trainer.callbacks+", "X", "--root=r", "--model.dropout=0"]
    assert typed_flags(words) == {"data.corpus", "trainer.callbacks", "trainer.default_root_dir", "model.dropout"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("", 2, "name fit, validate or test first"),
        ("--config quickstart fit", 2, "name fit, validate or test first"),
        ("fitt", 2, "did you mean fit?"),
        ("predict", 1, "train has no predict: classify texts and files with"),
        ("fit --root", 2, "--root needs a value"),
        ("fit --config nope", 1, "--config nope: no such file or packaged config"),
        ("test --ckpt_path .", 1, "this directory holds no checkpoint"),
        ("test", 1, f"train one first, in half a minute: {hints.command_line('fit', '--config', 'quickstart')}"),
    ],
)
def test_mistakes_end_in_one_line(train: Callable, words: str, code: int, said: str) -> None:
    done = train(*words.split())
    assert done.code == code
    assert len(done.err.splitlines()) == 1
    assert said in done.err
