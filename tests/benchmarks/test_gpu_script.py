"""The command that runs all that needs a GPU, here without one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell script, and groups of processes")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PARTS = ["tests", "whole job, float32", "inference", "largest batch", "memory"]
PARTS += ["whole job, bf16-mixed, half the messages", "loss of each step", "server"]


@pytest.fixture(autouse=True)
def scripts_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def gpu(*flags: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [BENCHMARKS / "gpu.sh", *map(str, flags)]
    paths = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHON": sys.executable, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=paths)


@pytest.mark.ci
@pytest.mark.slow
def test_every_part_runs_at_a_tiny_size_on_the_cpu(tmp_path: Path) -> None:
    done = gpu("--try", "--out", tmp_path)
    record = json.loads((tmp_path / "gpu.json").read_text())
    assert done.returncode == 0, record
    assert list(record["parts"]) == PARTS
    for name, part in record["parts"].items():
        assert part["status"] == "ok", name
        assert all(part["tables"]), name  # none is empty
    tests = record["parts"]["tests"]["tables"][0]
    assert {row["result"] for row in tests} == {"passed"}
    assert any("largest difference of a weight" in row["measured"] for row in tests)
    assert len(record["parts"]["whole job, float32"]["figures"]) == 4
    text = (tmp_path / "gpu.md").read_text()
    assert all(f"| {name} | ok |" in text for name in PARTS)
    assert "| one at a time |" in text


def test_the_parts_on_a_gpu_are_those_on_the_cpu_with_flags_that_exist(tmp_path: Path) -> None:
    from gpu import ROOT, parts, tiny_parts

    on_gpu = parts("corpus.zip", tmp_path)
    assert [part.name for part in on_gpu] == [part.name for part in tiny_parts(tmp_path)] == PARTS
    for part in on_gpu[1:]:
        source = (ROOT / part.command[1]).read_text()
        assert all(f'"{word}"' in source for word in part.command[2:] if word.startswith("--")), part.name
        assert "--accelerator gpu" in " ".join(part.command)


@pytest.mark.ci
@pytest.mark.slow
def test_what_it_can_not_do_is_said_in_one_line(tmp_path: Path) -> None:
    nowhere = {"CUDA_VISIBLE_DEVICES": ""}
    for flags, reason in (([], "finds no GPU here: --try runs"), (["--try", "--parts", "all"], "there are 'tests'")):
        done = gpu("--out", tmp_path, *flags, **nowhere)
        assert done.returncode == 1
        assert reason in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_part_that_fails_or_takes_too_long_is_recorded(tmp_path: Path) -> None:
    from gpu import Part, run
    from gpu_tables import markdown

    table = "print('| way | rate |\\n| --- | --- |\\n| ours | 5 |', flush=True)"
    parts = {
        "fails": f"{table}; raise SystemExit('no memory | left')",
        "sleeps": f"{table}; import time; time.sleep(600)",
        "works": table,
    }
    done = {
        name: run(Part(name, 9, [sys.executable, "-c", code]), tmp_path, 600 if name != "sleeps" else 2, {})
        for name, code in parts.items()
    }
    assert [part["status"] for part in done.values()] == ["failed", "out of time", "ok"]
    assert done["fails"]["last_line"] == "no memory | left"
    assert [part["tables"] for part in done.values()] == [[[{"way": "ours", "rate": "5"}]]] * 3
    record = {"started": "today", "seconds": 1, "machine": {"GPU": "none", "git": None}, "parts": done}
    assert "| fails | failed |" in markdown(record)
    assert "no memory / left |" in markdown(record)


def test_the_largest_batch_is_found_by_doubling_and_halving() -> None:
    from largest_batch import largest

    def tried(limit: int, most: int) -> tuple[int, list[int]]:
        asked: list[int] = []

        def fits(messages: int) -> bool:
            asked.append(messages)
            return messages <= limit

        return largest(fits, most), asked

    for limit in (1, 2, 3, 7, 100, 1000, 4095):
        found, asked = tried(limit, 4096)
        assert limit - limit // 8 <= found <= limit
        assert max(asked) <= 2 * limit
    assert tried(0, 4096) == (0, [1])
    assert tried(10**6, 100)[0] == 100
    assert tried(10**6, 1) == (1, [1])
