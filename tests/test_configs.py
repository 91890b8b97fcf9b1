"""The configs, and the defaults of ``fit``."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from spam_classifier.train import main

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.fixture
def settings(call: Callable) -> Callable[..., dict]:
    """What ``fit`` would run with."""

    def settings(*arguments: object) -> dict:
        done = call(main, "fit", *arguments, "--print_config")
        assert done.code == 0, done.err
        return yaml.safe_load(done.out)

    return settings


def test_book_config_is_the_default(settings: Callable) -> None:
    defaults = settings()
    book = settings("--config", CONFIGS / "book.yaml")
    assert book == defaults
    assert book["seed_everything"] == 123
    assert book["trainer"]["max_epochs"] == 5
    # users read the recipe in this file: it has every setting
    stated = yaml.safe_load((CONFIGS / "book.yaml").read_text())
    sizes_of_the_weights = {"layers", "width", "heads", "context"}
    assert set(stated["model"]) == set(defaults["model"]) - sizes_of_the_weights
    sources_of_messages = {"text_column", "label_column", "encoding", "bad_rows", "labels", "merge_labels", "cache_dir"}
    assert set(stated["data"]) == set(defaults["data"]) - sources_of_messages


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_config_is_accepted(path: Path, settings: Callable) -> None:
    settings("--config", path)


def test_recommended_reads_the_last_real_token(settings: Callable) -> None:
    recommended = settings("--config", CONFIGS / "recommended.yaml")
    assert recommended["model"]["token_position"] == "last_real"
    assert recommended["data"]["padding"] == "batch"


def test_emails_keeps_both_ends_of_long_mails(settings: Callable) -> None:
    emails = settings("--config", CONFIGS / "emails.yaml")
    assert emails["model"]["weights"] == "random"
    assert emails["model"]["attention"] == "full"
    assert emails["model"]["token_position"] == "mean"
    assert emails["data"]["keep"] == "both"
    assert emails["data"]["padding"] == "longest"
    assert emails["data"]["max_length"] == 512 <= emails["model"]["context"]
    assert emails["data"]["deduplicate"] == "near"
