"""The quickstart, whole: what its model makes of messages that a stranger types."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from spam_classifier import load_classifier

ROOT = Path(__file__).parents[1]


@pytest.mark.ci
def test_everyday_messages_are_labelled_right(tmp_path: Path) -> None:
    def done(*words: str | Path) -> str:
        return subprocess.run([sys.executable, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    done("-m", "spam_classifier.train", "fit", "--config", ROOT / "configs/quickstart.yaml")
    run = tmp_path / "lightning_logs/version_0"
    counts = re.findall(r"^(\d+) of 40", done(ROOT / "benchmarks/everyday.py", run), flags=re.MULTILINE)
    assert int(counts[0]) >= 36  # 39 where it was measured; another processor's rounding moves one or two
    assert len(counts) == 3

    spam, ham = load_classifier(run).predict(["You have won a prize, call now", "See you at seven?"])  # the README's
    assert spam.probabilities["spam"] > 0.9
    assert ham.probabilities["ham"] > 0.9
