"""The benchmark scripts run, at a size that says nothing about speed."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers

from spam_classifier.data.corpora import read_corpus

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = ["--layers", "2", "--width", "32"]
COMPARED = [*TINY, "--heads", "2", "--gemm", "64", "--corpus", "small.csv"]


def run(script: str, *flags: object, cwd: Path) -> str:
    command = [sys.executable, BENCHMARKS / script, *map(str, flags)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(table: str) -> list[list[str]]:
    """The cells of a Markdown table's rows, without those of its head."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    return rows[2:]


def write_small_corpus(directory: Path) -> None:
    rows = [f"{label},message {number} of {label}" for number in range(60) for label in ("ham", "spam")]
    (directory / "small.csv").write_text("\n".join(["label,text", *rows]) + "\n")


@pytest.mark.ci
@pytest.mark.slow
def test_finetune_compares_four_ways(tmp_path: Path) -> None:
    write_small_corpus(tmp_path)
    figures = tmp_path / "figures.json"
    table = run("finetune.py", *COMPARED, "--scale", 0.3, "--json", figures, cwd=tmp_path)
    results = json.loads(figures.read_text())
    assert list(results) == ["ours, recommended", "ours, book", "transformers", "book, plain"]
    for name, result in results.items():
        assert f"| {name} |" in table
        assert result["seconds"] > 0
        assert set(result["accuracies"]) == {"train", "validation", "test"}
    assert len(results["ours, book"]["frozen_passes"]) == 3


@pytest.mark.ci
@pytest.mark.slow
def test_the_losses_of_all_ways_agree(tmp_path: Path) -> None:
    write_small_corpus(tmp_path)
    table = run("agreement.py", *TINY, "--heads", 2, "--corpus", "small.csv", "--steps", 5, cwd=tmp_path)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    assert [row[:3] for row in rows[2:]] == [
        [config, "32-true", way]
        for config in ("recommended.yaml", "book.yaml")
        for way in ("ours, states reused", "ours, frozen_prefix off", "plain loop")
    ]
    assert all(float(row[4]) < 1e-5 for row in rows[2:])


@pytest.mark.ci
@pytest.mark.slow
def test_inference_compares_three_ways(tmp_path: Path) -> None:
    write_small_corpus(tmp_path)
    table = run("inference.py", *COMPARED, "--rounds", 1, cwd=tmp_path)
    assert all(f"| {name} |" in table for name in ("ours", "pipeline", "one at a time"))


@pytest.mark.ci
@pytest.mark.slow
def test_growth_measures_corpus_and_epochs(tmp_path: Path) -> None:
    write_small_corpus(tmp_path)
    table = run("growth.py", *TINY, "--corpus", "small.csv", "--largest", 1, cwd=tmp_path)
    rows = [line for line in table.splitlines() if line.startswith("| 1 x")]
    assert [row.split("|")[2].strip() for row in rows] == ["5", "1", "20", "5"]


def test_computed_activations_are_what_autograd_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from memory import need

    from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
    from spam_classifier.models.trainable import freeze

    shape = GPT2Shape(layers=6, width=64, heads=2, context=128, vocabulary=100)
    for policy in ("last_two_blocks", "all"):
        backbone = GPT2Backbone(shape)
        freeze(backbone, torch.nn.Linear(64, 2), policy)
        own = {parameter.untyped_storage().data_ptr() for parameter in backbone.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor, own: set[int] = own, kept: dict[int, int] = kept) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = backbone.at(backbone.embed(torch.zeros(8, 120, dtype=torch.int64)), torch.full((8,), 119), 0)
        assert out.requires_grad
        computed = need(shape, policy, 8 * 120, 4, False).activations
        assert sum(kept.values()) == pytest.approx(computed, rel=0.15)


@pytest.mark.ci
@pytest.mark.slow
def test_memory_is_computed_and_measured(tmp_path: Path) -> None:
    table = run("memory.py", "--tokens", 1024, cwd=tmp_path)
    assert "| gpt2-xl | lora |" in table
    measured = rows_of(run("memory.py", "--measure", "tiny", "--policies", "last_block", "all", cwd=tmp_path))
    assert [row[:4] for row in measured] == [
        ["tiny", "last_block", "float32", "no"],
        ["tiny", "all", "float32", "no"],
        ["tiny", "all", "float32", "yes"],
    ]
    assert float(measured[1][5]) > 3e6 * 16 / 1e9  # weights, gradients and two averages


@pytest.mark.ci
@pytest.mark.slow
def test_corpus_measures_each_step(tmp_path: Path) -> None:
    table = run("corpus.py", "--rows", 600, cwd=tmp_path)
    assert table.startswith("600 rows, ")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    own = {row[0]: row[1] for row in rows}
    for step in ("read", "split", "encode", "all of it", "audit"):
        assert own[step] == "600"
    assert own["one epoch of batches"] == "420"
    assert all(float(row[2]) >= 0 and int(row[4].replace(",", "")) >= 0 for row in rows[2:])


@pytest.mark.ci
@pytest.mark.slow
def test_predict_writes_every_row(tmp_path: Path) -> None:
    table = run("predict.py", "--rows", 9_000, cwd=tmp_path)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    assert [row[:2] for row in rows[2:]] == [["900", "900"], ["9,000", "9,000"]]


def test_the_book_spelt_out_is_gpt2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer that ours is timed against computes the same model."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from plain_gpt2 import PlainClassifier

    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=2, n_embd=32, n_head=4, n_positions=32, initializer_range=0.3)
    reference = transformers.GPT2Model(config).eval()
    reference.save_pretrained(tmp_path)
    model = PlainClassifier(tmp_path)
    input_ids = torch.randint(0, 50257, (3, 20))
    with torch.no_grad():
        expected = model.head(reference(input_ids).last_hidden_state)
        assert (model(input_ids) - expected).abs().max() <= 1e-4
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(name.startswith(("head.", "norm.", "blocks.1.")) for name in learning)


@pytest.mark.ci
@pytest.mark.slow
def test_explain_compares_named_with_random_words(tmp_path: Path) -> None:
    few = ["--", "--trainer.max_steps", 30, "--trainer.limit_val_batches", 4]
    table = run("explain.py", "--corpus", "sample", "--messages", 30, *few, cwd=tmp_path)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[2:6]] == ["1", "2", "3", "5"]
    for _, _, by_shapley, by_leaving_one_out, at_random, *_ in rows[2:6]:
        assert float(by_shapley) > float(at_random)
        assert float(by_leaving_one_out) > float(at_random)


@pytest.mark.ci
@pytest.mark.slow
def test_messages_have_the_same_bits_in_any_company(tmp_path: Path) -> None:
    write_small_corpus(tmp_path)
    table = run("same_bits.py", *TINY, "--corpus", "small.csv", cwd=tmp_path)
    assert [row[1:] for row in rows_of(table)] == [["120", "0"]] * 3


@pytest.mark.ci
@pytest.mark.slow
def test_a_search_has_the_figures_of_separate_trainings(tmp_path: Path) -> None:
    few = read_corpus("sample").messages.groupby("label").head(60)  # no near-duplicates, which recommended removes
    few.to_csv(tmp_path / "small.csv", index=False)
    table = run("search.py", *TINY, "--heads", 2, "--corpus", "small.csv", "--trials", 3, "--separate", 0, cwd=tmp_path)
    ((*_, compared, same),) = rows_of(table)
    assert compared == same != "0"


@pytest.mark.ci
@pytest.mark.slow
def test_repeats_are_counted_in_f1(tmp_path: Path) -> None:
    draw = random.Random(0)
    labels = ["ham", "spam"] * 60
    rows = [f"{label},{label} {' '.join(''.join(draw.choices('abcdefg', k=5)) for _ in range(6))}" for label in labels]
    (tmp_path / "small.csv").write_text("\n".join(["label,text", *rows, *rows]) + "\n")
    flags = ["--data.corpus", "small.csv", "--trainer.max_epochs", "1", "--data.stratify", "true"]
    flags += ["--model.width", "8", "--model.heads", "1"]
    table = run("repeats.py", "--seeds", 1, 2, 3, "--", *flags, cwd=tmp_path)
    assert [row[0].partition(",")[0] for row in rows_of(table)] == ["GPT-2", "words", "characters"]
    assert all(len(row) == 6 for row in rows_of(table))


@pytest.mark.ci
@pytest.mark.slow
def test_planted_errors_are_ranked(tmp_path: Path) -> None:
    config = "model: {weights: random, layers: 1, width: 16, heads: 1, token_position: last_real}\n"
    config += "data: {padding: batch, balance: none}\ntrainer: {max_steps: 20, limit_val_batches: 4}\n"
    (tmp_path / "tiny.yaml").write_text(config)
    flags = ["--corpus", "sample", "--config", "tiny.yaml", "--folds", 2, "--seeds", 1, 2]
    rows = rows_of(run("label_errors.py", *flags, cwd=tmp_path))
    assert [row[1] for row in rows] == ["1", "1", "2", "2", "mean", "mean"]
    assert all(0 <= float(cell.rstrip("%")) <= 100 for row in rows for cell in row[2:4])
    assert float(rows[1][3].rstrip("%")) > 50  # the linear model knows the sample's words


@pytest.mark.ci
@pytest.mark.slow
def test_defences_are_compared(tmp_path: Path) -> None:
    sizes = ["--model.layers", 1, "--model.width", 16, "--model.heads", 1, "--trainer.max_steps", 20]
    flags = ["--corpora", "sms", "--sms", "sample", "--defences", "plain", "both", "--", *sizes]
    found = run("robustness.py", *flags, cwd=tmp_path)
    rows = rows_of(found)
    assert [row[0] for row in rows].count("behind the cut") == 3  # GPT-2 and both linear models
    assert len(rows[0]) == 5  # both defences, cut and in windows
    assert run("robustness.py", *flags, cwd=tmp_path) == found
