"""Labels by another engine, as docs/very_large_files.md shows it, are those of ``predict``."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from spam_classifier.data.corpora import read_corpus
from spam_classifier.predict import main as predict

PAGE = Path(__file__).parents[1] / "docs/very_large_files.md"


@pytest.mark.ci
def test_two_ray_workers_give_predicts_bits(train: Callable, call: Callable) -> None:
    read_corpus("sample").messages[["text"]].to_csv("inbox.csv", index=False)
    assert train("fit", "--config", "quickstart", "--trainer.max_steps", "20", "--trainer.accelerator", "cpu").code == 0
    (example,) = re.findall(r"```python\n(import ray\n.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    Path("label.py").write_text(example)
    run = subprocess.run([sys.executable, "label.py"], capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    done = call(predict, "--input", "inbox.csv", "--output", "labels.csv")
    assert done.code == 0, done.err
    columns = ["text", "predicted", "probability"]
    ours = pd.read_csv("labels.csv", float_precision="round_trip", keep_default_na=False)[columns]
    theirs = pd.read_parquet("labels")[columns]
    assert theirs["text"].nunique() > 4000
    pd.testing.assert_frame_equal(theirs, ours, check_exact=True, check_dtype=False)
