"""The notebook for readers of the book."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import spam_classifier

NOTEBOOK = Path(__file__).parents[2] / "docs/book_chapter_6.ipynb"
BOOK = nbformat.read(NOTEBOOK, as_version=4)
CODE = [cell for cell in BOOK.cells if cell.cell_type == "code"]


def test_notebook_has_no_outputs_and_uses_public_names() -> None:
    nbformat.validate(BOOK)
    assert not any(cell.outputs or cell.execution_count for cell in CODE)
    lines = [line for cell in CODE for line in cell.source.splitlines() if not line.startswith("%")]
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spam_classifier"):
            assert node.module == "spam_classifier"
            assert {alias.name for alias in node.names} <= set(spam_classifier.HOMES)


def test_named_configs_are_packaged() -> None:
    named = re.findall(r"^- `(\w+)`:", "\n".join(cell.source for cell in BOOK.cells), flags=re.MULTILINE)
    assert {"quickstart", "book", "recommended"} == set(named)
    assert all(set(spam_classifier.read_config(name)) >= {"trainer", "model", "data"} for name in named)


@pytest.mark.ci
def test_notebook_runs(tmp_path: Path) -> None:
    """With the quickstart's settings, as it is."""
    book = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(book, timeout=1200, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    shown = {cell.id: cell.outputs for cell in book.cells if cell.cell_type == "code"}
    for name in ("curves", "words"):
        assert any("image/png" in output.get("data", {}) for output in shown[name])
    assert "test/acc" in str(shown["test"])
    assert "You have won a prize, call now" in str(shown["predict"])
    assert len(nbformat.writes(book)) < 1_000_000
