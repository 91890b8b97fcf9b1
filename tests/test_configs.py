"""The ready-made configs, and the defaults that live in the signatures."""

import sys
from pathlib import Path

import pytest
import yaml

from spam_classifier.train import main

CONFIGS = Path(__file__).parents[1] / "configs"


def settings(*arguments: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> dict:
    """What ``fit`` would run with."""
    monkeypatch.setattr(sys, "argv", ["train", "fit", *map(str, arguments), "--print_config"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in (0, None)
    return yaml.safe_load(capsys.readouterr().out)


def test_book_config_is_the_default(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = settings(capsys=capsys, monkeypatch=monkeypatch)
    book = settings("--config", CONFIGS / "book.yaml", capsys=capsys, monkeypatch=monkeypatch)
    assert book == defaults
    assert book["seed_everything"] == 123
    assert book["trainer"]["max_epochs"] == 5
    # each setting of the recipe stands in the file, so that it can be read there
    stated = yaml.safe_load((CONFIGS / "book.yaml").read_text())
    sizes_of_the_weights = {"layers", "width", "heads", "context"}
    assert set(stated["model"]) == set(defaults["model"]) - sizes_of_the_weights
    sources_of_messages = {"text_column", "label_column", "labels", "cache_dir"}
    assert set(stated["data"]) == set(defaults["data"]) - sources_of_messages


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_config_is_accepted(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    settings("--config", path, capsys=capsys, monkeypatch=monkeypatch)


def test_recommended_reads_the_last_real_token(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recommended = settings("--config", CONFIGS / "recommended.yaml", capsys=capsys, monkeypatch=monkeypatch)
    assert recommended["model"]["token_position"] == "last_real"
    assert recommended["data"]["padding"] == "batch"
