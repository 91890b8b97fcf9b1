"""A run, once more from its directory."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from spam_classifier.comparing.reproduce import (
    differences,
    other_products,
    other_versions,
    refuse_other_sources,
    same_weights,
)
from spam_classifier.data.corpora import corpus_sha256
from spam_classifier.errors import UserError
from spam_classifier.rerun import main
from spam_classifier.runs.provenance import PRODUCTS, git_revision, versions

SMALL = [
    *("--model.weights", "random", "--model.layers", "2", "--model.width", "16", "--model.heads", "2"),
    *("--model.context", "64", "--model.trainable", "last_block", "--model.token_position", "last_real"),
    *("--data.padding", "batch", "--data.batch_by_length", "true", "--trainer.accelerator", "cpu"),
    *("--trainer.max_epochs", "2", "--trainer.enable_progress_bar", "false"),
]


def test_only_what_has_to_be_alike_is_compared() -> None:
    run = {"steps": 7, "seconds": 1.5, "peak_memory": 10}
    first = {"run": run, "provenance": {"seed": 1}, "test": {"acc": 0.5, "loss": None}}
    alike = {"run": {**run, "seconds": 2.5, "peak_memory": 11}, "provenance": {}, "test": {"loss": None, "acc": 0.5}}
    assert list(differences(first, alike)) == []
    other = {"run": {**run, "steps": 8}, "test": {"acc": 0.5, "loss": 0.25, "seconds": 1}}
    assert list(differences(first, other)) == [
        "run steps: 7, now 8",
        "test loss: None, now 0.25",
        "test seconds: None, now 1",
    ]


def test_other_messages_or_weights_are_refused(tmp_path: Path) -> None:
    corpus = tmp_path / "own.csv"
    corpus.write_text("label,text\nham,hello\nspam,win\n")
    settings = {"data": {"corpus": str(corpus)}, "model": {"weights": "random"}}
    now = "0" * 64
    made_with = {"corpus_sha256": {"--data.corpus": now}, "weights_sha256": {}}
    with pytest.raises(UserError, match=f"--data.corpus has SHA-256 .*, in the run it had {now}"):
        refuse_other_sources(settings, made_with)
    made_with["corpus_sha256"] = {"--data.corpus": corpus_sha256(str(corpus))}
    refuse_other_sources(settings, made_with)
    with pytest.raises(UserError, match=r"model\.safetensors has SHA-256 None"):
        refuse_other_sources(settings, {**made_with, "weights_sha256": {"model.safetensors": now}})


def test_versions_that_differ_are_said() -> None:
    made_with = {"versions": {**versions(), "torch": "0.1"}, "git": git_revision()}
    (line,) = other_versions(made_with)
    assert line.startswith("torch was 0.1, is ")


def test_products_of_an_earlier_version_are_not_known() -> None:
    made_with, again = ({"versions": {PRODUCTS: said} if said else {}} for said in ("", "ieee on CPU"))
    assert other_products(made_with, again) == other_products(again, again) == []


@pytest.mark.slow
def test_products_that_were_computed_otherwise_are_said(
    train: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")  # as a user's callback may do
        assert train("fit", *SMALL, "--data.corpus", "sample", "--trainer.limit_train_batches", "3").code == 0
    finally:
        torch.set_float32_matmul_precision(before)
    monkeypatch.setattr(sys, "argv", ["rerun.py"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    assert f"not as in the run: {PRODUCTS} were bf16 on CPU, tf32 on CUDA, are ieee on CPU, ieee on CUDA" in said


@pytest.mark.slow
def test_a_run_in_another_process_has_the_same_weights_and_figures(
    train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{label},{label} number {number} at {number % 7}" for number in range(40) for label in ("ham", "spam")]
    (tmp_path / "own.csv").write_text("label,text\n" + "\n".join(lines) + "\n")
    assert train("fit", *SMALL, "--data.corpus", "own.csv").code == 0
    run, elsewhere = tmp_path / "lightning_logs/version_0", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "argv", ["rerun.py", "--ckpt_path", str(run)])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().out
    assert f"{tmp_path}/lightning_logs/rerun_0/lightning_logs/version_0: the same weights, bit for bit" in said
    assert "all figures are the same" in said
    assert end.value.code == 0

    last = run / "checkpoints/last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    bias = checkpoint["state_dict"]["head.bias"]
    bias[0] = torch.nextafter(bias[0], torch.tensor(9.0))
    torch.save(checkpoint, last)
    assert not same_weights(run, tmp_path / "lightning_logs/rerun_0/lightning_logs/version_0")
