"""The comparison with the book, run end to end on a model that cannot match it."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "reproduce_book.py"


@pytest.mark.ci
@pytest.mark.slow
def test_a_model_that_learnt_nothing_is_outside_the_bands(tmp_path: Path) -> None:
    flags = ["--data.corpus", "sample", "--model.weights", "random", "--model.layers", "1", "--model.width", "16"]
    flags += ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "2"]
    flags += ["--model.token_position", "last_real", "--trainer.accelerator", "cpu", "--model.context", "256"]
    done = subprocess.run([sys.executable, SCRIPT, *flags], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "outside the published band: train, validation, test" in done.stderr
    (test_row,) = (line for line in done.stdout.splitlines() if line.startswith("test  "))
    assert test_row.split()[3:5] == ["95.67%", "95.00%"]
    low, high = (float(word.rstrip("%")) for word in test_row.split()[5:] if word != "to")
    assert low < 94 < 96.3 < high  # about 1,000 rows
