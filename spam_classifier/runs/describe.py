"""A run in the words that a person would use: its model, its corpus, when it was trained, how good it is."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from spam_classifier.runs.find import CHECKPOINTS_DIRECTORY, CONFIG_FILE, read_settings
from spam_classifier.runs.metrics import read_metrics
from spam_classifier.runs.provenance import PROVENANCE

PUBLISHED = {"gpt2": "124M", "gpt2-medium": "355M", "gpt2-large": "774M", "gpt2-xl": "1.5B"}
TRAINED = {
    **{"last_layer": "only its head trained", "last_block": "its last block trained"},
    **{"last_two_blocks": "its last two blocks trained", "all": "all of it trained", "lora": "trained with LoRA"},
}
COLLECTION, SAMPLE = "the SMS Spam Collection", "the built-in sample"
OLD_SMS = "This model learnt from SMS of 2011: high confidence means little for the spam of today."
SYNTHETIC = "This model learnt from synthetic messages: it shows how things work, and is no filter for real ones."


class RunDescription(NamedTuple):
    """A run in words, "" where something is not known."""

    model: str = ""  # as in GPT-2 124M, its last block trained
    corpus: str = ""  # as in the SMS Spam Collection
    trained: str = ""  # day of the training, ISO 8601
    warning: str = ""  # what to keep in mind about the corpus
    tested: Mapping[str, Any] = {}  # the figures of the test split; else of the validation split; else empty
    split: str = ""  # which of the two it is

    @property
    def day(self) -> str:
        """As ``26 November 2026``."""
        return f"{date.fromisoformat(self.trained):%d %B %Y}".lstrip("0") if self.trained else ""


def describe_run(run: Path) -> RunDescription:
    """Describe a run from its directory. What is missing there, or can't be read, is left out."""
    try:
        settings = read_settings(run)
        model, corpus = _model(settings["model"]), str(settings["data"]["corpus"])
    except Exception:  # the user's own Trainer keeps none, and damage surfaces as any kind
        model = corpus = ""
    try:
        metrics = read_metrics(run)
        split = next((name for name in ("test", "validation") if name in metrics), "")
        tested = metrics.get(split, {})
        trained = str(metrics.get(PROVENANCE, {}).get("date", "")) or _day_of(run / CONFIG_FILE)
        date.fromisoformat(trained or "2000-01-01")
    except Exception:
        split, tested, trained = "", {}, ""
    name, warning = _corpus(corpus)
    return RunDescription(model, name, trained, warning, tested, split)


def _model(settings: Mapping[str, Any]) -> str:
    weights = str(settings["weights"])
    if weights == "random":
        layers = settings.get("layers") or 12
        return f"GPT-2 of {layers} layer{'s' * (layers != 1)}, trained from scratch"
    size = PUBLISHED.get(weights)
    source = f"GPT-2 {size}" if size else f"GPT-2 with the weights {Path(weights).name}"
    if weights.endswith(".ckpt") or (Path(weights) / CHECKPOINTS_DIRECTORY).is_dir():
        source = f"GPT-2 that goes on from the run {weights}"
    return f"{source}, {TRAINED[settings['trainable']]}"


def _corpus(corpus: str) -> tuple[str, str]:
    """The name of a corpus, and a warning."""
    if corpus == "uci" or corpus.endswith(".zip"):  # no other archive is read
        return COLLECTION, OLD_SMS
    if corpus == "sample":
        return SAMPLE, SYNTHETIC
    return Path(corpus).name, ""


def _day_of(path: Path) -> str:
    return date.fromtimestamp(path.stat().st_mtime).isoformat() if path.exists() else ""
