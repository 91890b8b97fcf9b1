"""A small run of the script that kills training runs."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.ci
@pytest.mark.slow
def test_a_killed_run_is_identical(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks/survival.py"
    done = subprocess.run(
        [sys.executable, script, "lora", "--kills", "1", "--epochs", "3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    setting, _, kills, _, _, identical = [cell.strip() for cell in done.stdout.splitlines()[-1].strip("|").split("|")]
    assert (setting, kills, identical) == ("lora, dropout in the updates", "1", "yes")
