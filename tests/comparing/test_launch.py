"""Training runs in processes of their own."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spam_classifier.comparing.launch import RunFailed, launch_fit, launched_run


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Let a shell script stand in for Python; the directory for the run."""

    def training(script: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        return tmp_path / "run"

    return training


def test_a_fit_gets_its_seed_and_flags_and_says_where_it_is(training: Callable[[str], Path]) -> None:
    root = training('echo "$@"; mkdir -p "$(dirname "$0")/run/lightning_logs/version_0"')
    run = launch_fit(Path("some.yaml"), 7, ["--data.corpus", "sample"], root)
    assert run == launched_run(root) == root / "lightning_logs/version_0"
    said = (root / "output.txt").read_text()
    assert said.startswith("-m spam_classifier.train fit --config some.yaml --seed_everything 7 --data.split_seed 7 ")
    assert "--data.corpus sample" in said
    assert f"--root {root}" in said


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'error: no such corpus' >&2; echo later; exit 1", "no such corpus"),
        ("echo Traceback; echo 'OutOfMemoryError: CUDA out of memory'; exit 1", "OutOfMemoryError: CUDA out of memory"),
        ("kill -9 $$", "SIGKILL"),
        ("exit 3", "no output"),
        ("exit 0", "it left no run directory"),
    ],
)
def test_a_failure_is_one_line(training: Callable[[str], Path], script: str, reason: str) -> None:
    root = training(script)
    with pytest.raises(RunFailed) as failure:
        launch_fit(Path("some.yaml"), 1, [], root)
    assert failure.value.reason.startswith(reason)
    assert str(failure.value).startswith(f"the run failed: {reason}")
    assert len(str(failure.value).splitlines()) == 1
