import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from spam_classifier.runs import provenance
from spam_classifier.runs.provenance import PRODUCTS, git_revision, peak_of_process, versions


def test_peak_grows_with_what_is_held() -> None:
    before = peak_of_process()
    held = np.ones(before + 2**24, np.uint8)
    assert peak_of_process() >= len(held)


@pytest.mark.slow
def test_peak_is_not_that_of_the_parent() -> None:
    held = np.ones(2**30, np.uint8)
    code = "from spam_classifier.runs.provenance import peak_of_process; print(peak_of_process())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 0 < int(printed) < len(held)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package, of which the module under test claims to be a part."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    package = tmp_path / "project/package"
    (package / "runs").mkdir(parents=True)
    (package / "code.py").write_text("old\n")
    monkeypatch.setattr(provenance, "__file__", str(package / "runs/provenance.py"))
    return package


def test_revision_of_a_checkout(package: Path) -> None:
    checkout = package.parent
    me = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for words in (["init", "--quiet"], ["add", "."], [*me, "commit", "--quiet", "--message", "first"]):
        subprocess.run(["git", "-C", checkout, *words], check=True)
    head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert git_revision() == {"revision": head.stdout.strip(), "changed": False}
    (package / "code.py").write_text("new\n")
    assert git_revision() == {"revision": head.stdout.strip(), "changed": True}


def test_no_revision_of_a_package_below_another_checkout(package: Path) -> None:
    assert git_revision() is None
    project = package.parents[1]
    me = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for words in (["init", "--quiet"], [*me, "commit", "--quiet", "--allow-empty", "--message", "first"]):
        subprocess.run(["git", "-C", project, *words], check=True)
    assert git_revision() is None


def test_no_revision_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_revision() is None


def test_how_products_are_computed_is_recorded() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        assert versions()[PRODUCTS] == "ieee on CPU, ieee on CUDA"
        torch.set_float32_matmul_precision("medium")
        assert versions()[PRODUCTS] == "bf16 on CPU, tf32 on CUDA"
        torch.backends.mkldnn.matmul.fp32_precision = "tf32"  # PyTorch's own getter now raises an error
        assert versions()[PRODUCTS] == "tf32 on CPU, tf32 on CUDA"
    finally:
        torch.set_float32_matmul_precision(before)
