"""What the Dockerfile names exists; Docker itself is not needed here."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from spam_classifier import serve

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def instructions(name: str) -> list[str]:
    return re.findall(rf"^\s*{name} (.*)$", DOCKERFILE, flags=re.MULTILINE)


def test_copied_files_exist_and_are_not_ignored() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {name for line in instructions("COPY") for name in line.split()[:-1]}
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)
    assert {PROJECT["readme"], *PROJECT["license-files"]} <= copied


def test_python_and_extras_are_ours() -> None:
    (python,) = re.findall(r"^FROM python:(.*)-slim$", DOCKERFILE, flags=re.MULTILINE)
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    (extras,) = re.findall(r'"\.\[(.*)\]"', DOCKERFILE)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_command_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    words = json.loads(instructions("CMD")[0])
    assert words[0] in PROJECT["scripts"]
    monkeypatch.setattr("sys.argv", words[1:])
    arguments = serve.parse()
    assert (arguments.host, str(arguments.root)) == ("0.0.0.0", "/runs")
    assert instructions("EXPOSE") == [str(arguments.port)]


def test_health_check_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    python, flag, code = json.loads(instructions("HEALTHCHECK")[0].partition(" CMD ")[2])
    assert (python, flag) == ("python", "-c")
    asked: list[str] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: asked.append(url))
    exec(code)
    assert asked == ["http://127.0.0.1:8000/health"]
