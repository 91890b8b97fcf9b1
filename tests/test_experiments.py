"""Configs as one table of experiments, over seeds and sizes."""

import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
import yaml

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.comparing import grid, table
from spam_classifier.comparing.launch import RunFailed
from spam_classifier.comparing.rows import PUBLISHED, Row, choose_rows, read_rows, shrunken
from spam_classifier.comparing.table import (
    accuracy_table,
    difference_notes,
    estimate,
    figure_table,
    notes,
    paired_differences,
)
from spam_classifier.evaluation.metrics import wilson_interval
from spam_classifier.experiments import main
from spam_classifier.files import locked

BOOK = Path(__file__).parents[1] / "configs/experiments"
ROWS = read_rows([BOOK])
ONE, TWO = Row("01_one", Path("01_one.yaml")), Row("02_two", Path("02_two.yaml"))  # rows of another folder


def metrics_of(accuracy: float, *, test: bool = False) -> dict:
    splits = ("train", "validation", "test") if test else ("train", "validation")
    figures = {"acc": accuracy, "acc_interval": wilson_interval(accuracy, 100), "f1": accuracy, "messages": 100}
    run = {"seconds": 12.5, "peak_memory": 1.5e9, "learning_parameters": 7_090_946}
    return {**dict.fromkeys(splits, figures), "run": run}


def row(number: int) -> Row:
    (found,) = choose_rows(ROWS, [str(number)])
    return found


def records(row: Row, *accuracies: float | None, test: bool = False, splits: str = "of seed {}") -> list[dict]:
    """The lines of a row's runs with the seeds 1, 2, ...; one without an accuracy has failed."""
    lines = []
    for seed, accuracy in enumerate(accuracies, 1):
        metrics = metrics_of(accuracy, test=test) if accuracy is not None else {}
        what = {"splits": splits.format(seed) if metrics else "", "error": None if metrics else "out of memory"}
        lines += table.run_records(row, 0, seed, metrics, test=test, **what)
    return lines


def lines_of(runs: list[dict], rows: Sequence[Row], seeds: Sequence[int] = (1,)) -> list[dict]:
    return accuracy_table(rows, pd.DataFrame(runs, columns=table.COLUMNS), seeds, [0])


# --- the rows


def test_the_folder_has_the_rows_of_the_table() -> None:
    assert [row.name for row in ROWS] == PUBLISHED.index.tolist()
    assert {row.name for row in ROWS if row.config is None} == set(PUBLISHED.index[~PUBLISHED["has_run"]])
    assert PUBLISHED[["train", "validation", "test"]].stack().between(70, 100).all()
    assert PUBLISHED.loc["09_gpt2_xl_all_layers"].tolist()[:4] == [100.00, 98.66, 98.67, 8.12]


@pytest.mark.parametrize("path", sorted(BOOK.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_config_asks_a_question_and_sets_no_default(path: Path) -> None:
    """tests/test_configs.py checks that ``fit`` accepts it."""
    first = path.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith((".", "?"))
    settings = yaml.safe_load(path.read_text())
    for section, signature in (("model", SpamClassifier), ("data", SpamDataModule)):
        parameters = inspect.signature(signature).parameters
        for name, value in settings.get(section, {}).items():
            if not name.startswith("lora_"):  # stated, as the row's name has them
                assert value != parameters[name].default, f"{section}.{name} is the default"


@pytest.mark.parametrize("asked", [["3"], ["03"], ["03_head_only"], ["configs/experiments/03_head_only.yaml"]])
def test_rows_are_chosen_by_number_or_name_and_keep_their_order(asked: list[str]) -> None:
    assert [row.name for row in choose_rows(ROWS, ["16", *asked, "16"])] == ["03_head_only", "16_last_real_token"]
    assert choose_rows(ROWS, []) == ROWS


def test_a_shrunken_model_has_fewer_layers_and_heads_as_wide(tmp_path: Path) -> None:
    own = Row("own", tmp_path / "own.yaml")
    (tmp_path / "own.yaml").write_text("model: {weights: random, layers: 8, width: 128, heads: 4, context: 256}")
    for shrunk, divisor, sizes in (
        *((row(1), divisor, (2, 64, 1, 1024)) for divisor in (12, 100)),
        *((row(6), 4, (6, 256, 4, 1024)), (row(7), 1, (36, 1280, 20, 1024))),
        *((row(9), 12, (4, 128, 2, 1024)), (row(10), 3, (4, 256, 4, 1024)), (own, 2, (4, 64, 2, 256))),
    ):
        names = ("layers", "width", "heads", "context")
        expected = [f"--model.{name}={size}" for name, size in zip(names, sizes, strict=True)]
        assert shrunken(shrunk, divisor) == ["--model.weights=random", *expected]


# --- the table


def test_one_seed_has_the_interval_of_its_messages() -> None:
    first, eighteenth = lines_of(records(row(1), 0.9), [row(1), row(18)])
    low, high = wilson_interval(0.9, 100)
    assert first == {
        **{"row": "01", "what": "last token last block", "learning parameters": "7,090,946", "train": "90.00"},
        **{"validation": f"90.00 ({100 * low:.2f} to {100 * high:.2f})", "seconds": "12.5", "peak memory, MB": "1,500"},
        **{"book: train": "96.63", "book: validation": "99.33", "book: test": "95.00", "book: minutes": "0.28"},
        "remark": "",
    }
    assert (eighteenth["validation"], eighteenth["book: validation"]) == (None, "99.33")
    assert "never the padding id" in eighteenth["remark"]


def test_several_seeds_have_mean_and_spread() -> None:
    runs = records(row(1), 0.90, 0.92, 0.94, test=True)
    (line,) = lines_of(runs, [row(1)], (1, 2, 3))
    assert line["validation"] == line["test"] == "92.00 ± 2.00"
    assert estimate(pd.DataFrame(runs), "validation") == pytest.approx((92, 90, 94))
    figures = figure_table(pd.DataFrame(runs))
    shown = [(line["split"], line["seeds"], line["F1"]) for line in figures]
    assert shown == [(split, 3, "92.00 ± 2.00") for split in ("validation", "test")]
    assert "false positives" not in figures[0]  # nobody knows them


def test_failures_and_missing_runs_are_remarks() -> None:
    first, second = lines_of(records(row(7), None, 0.9), [row(7), row(8)], (1, 2, 3))
    assert first["remark"] == "seed 1 failed: out of memory; seed 3 not run yet"
    assert first["validation"].startswith("90.00 (")
    note, *missing = second["remark"].split("; ")
    assert "99.81 is not possible" in note  # of the book's row 08
    assert missing == ["seed 1 not run yet", "seed 2 not run yet", "seed 3 not run yet"]


def test_notes_explain_the_figures() -> None:
    said = "\n".join(notes(ROWS, [1], 12, ["--data.corpus", "my messages.csv"]))
    assert all(len(line) <= 2 * grid.NOTE_WIDTH for line in said.splitlines())
    assert "pretrained GPT-2 on an A100" in said
    assert "5,572" in said
    assert "random weights and 1/12 of the layers and heads" in said
    assert "--data.corpus 'my messages.csv'" in said
    assert "random weights" not in "".join(notes(ROWS, [1], None, []))
    assert "standard deviation over seeds 1, 2" in notes(ROWS, [1, 2], None, [])[0]
    assert "A100" not in "".join(notes([ONE], [1], None, []))
    (line,) = lines_of(records(ONE, 0.9), [ONE])
    assert not [name for name in line if name.startswith("book")]


def test_picture_has_measured_and_published_marks() -> None:
    axes = table.draw_accuracies([row(1), row(2)], pd.DataFrame(records(row(1), 0.9, test=True))).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["01 last token last block", "02 first token"]
    marks = {tuple(line.get_xdata()) for line in axes.get_lines()}
    assert {(90.0,), (99.33, 80.54), (95.0, 75.0)} <= marks
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row on top


def test_configs_are_compared_seed_by_seed() -> None:
    runs = pd.DataFrame([*records(ONE, 0.9, 0.8, 0.7, 0.6), *records(TWO, 0.92, 0.82, 0.71, 0.63)])
    runs.loc[runs["split"] == "train", "messages"] = 400
    (line,) = paired_differences(runs)
    assert (line["split"], line["F1 of"], line["seeds"]) == ("validation", "02_two minus 01_one", 4)
    # differences 2, 2, 1, 3: mean 2, variance 2/3 * (1/4 + 100/400), Student's t of three degrees 3.182
    assert (line["difference"], line["95% interval"]) == ("+2.00", "0.16 to 3.84")
    assert 0.03 < float(line["p"]) < 0.05
    assert len(difference_notes([line])) == 1
    (line,) = paired_differences(runs[runs["seed"] <= 2])
    assert "p" not in line
    assert "Fewer than 3 seeds" in difference_notes([line])[1]


def test_linear_models_are_compared_with_their_gpt2() -> None:
    metrics = metrics_of(0.9)
    metrics["baselines"] = {"validation": {"words": {**metrics["validation"], "f1": 0.95}}}
    runs = [pd.DataFrame(table.run_records(ONE, 0, n, metrics, test=False, splits="s", error=None)) for n in (1, 2)]
    (line,) = paired_differences(pd.concat(runs))
    assert (line["F1 of"], line["difference"]) == ("GPT-2 minus words", "-5.00")
    assert "p" not in line  # equal differences say nothing of chance


def test_figures_of_other_messages_are_not_paired() -> None:
    other = records(TWO, 0.7, 0.6, splits="others of seed {}")
    assert paired_differences(pd.DataFrame([*records(ONE, 0.9, 0.8), *other])) == []


# --- the command


class Launched:
    """Replaces training: writes the figures that a run leaves, and keeps what was asked."""

    def __init__(self) -> None:
        self.fits: list[tuple[str, int]] = []
        self.flags: list[list[str]] = []
        self.defaults: list[dict | None] = []
        self.tests: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.messages = "label,text\n"

    def fit(
        self, config: Path, seed: int, flags: Sequence[str], root: Path, *, defaults: dict | None, states: Path
    ) -> Path:
        self.fits.append((config.stem, seed))
        self.flags.append([*flags])
        self.defaults.append(defaults)
        run = root / "lightning_logs/version_0"
        assert not run.exists()
        (run / "checkpoints").mkdir(parents=True)
        (run / "metrics.json").write_text(json.dumps({"curves": {}}))
        if config.stem in self.fails:
            raise self.fails[config.stem]
        (run / "metrics.json").write_text(json.dumps(metrics_of(0.9)))
        for name in ("train", "validation", "test"):
            (run / f"{name}.csv").write_text(self.messages)
        for name in ("best-epoch0.ckpt", "last.ckpt"):
            (run / "checkpoints" / name).touch()
        return run

    def test(self, root: Path, *, states: Path) -> None:
        self.tests.append(root.parent.name)
        path = root / "lightning_logs/version_0/metrics.json"
        path.write_text(json.dumps(metrics_of(0.9, test=True)))

    @property
    def rows(self) -> list[str]:
        return [name for name, _ in self.fits]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Launched:
    fake = Launched()
    monkeypatch.setattr(grid, "launch_fit", fake.fit)
    monkeypatch.setattr(grid, "launch_test", fake.test)
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    for number, name in enumerate(("plain", "head", "other"), 1):
        Path(f"configs/0{number}_{name}.yaml").write_text(f"model: {{learning_rate: 1.0e-{number}}}")
    return fake


@pytest.fixture
def run(call: Callable) -> Callable:
    """Run the command on the configs; its exit code and output."""

    def run(*words: str, configs: Sequence[object] = ("configs",)) -> tuple[int, str, str]:
        place = words.index("--") if "--" in words else len(words)
        return call(main, *words[:place], "--configs", *configs, *words[place:])

    return run


DIRECTORY = Path("lightning_logs/experiments")


def written() -> str:
    return (DIRECTORY / "experiments.md").read_text()


def cells(text: str, name: str) -> list[str]:
    """The cells of the first line of a table that has a cell with this name."""
    lines = ([cell.strip() for cell in line.split("| ")[1:]] for line in text.splitlines())
    return next(line for line in lines if name in line)


@pytest.mark.slow
def test_every_row_is_run_once(launched: Launched, run: Callable) -> None:
    code, out, err = run("1", "2")
    assert (code, launched.rows) == (0, ["01_plain", "02_head"]), err
    assert cells(written(), "head")[0] == "02"
    assert "|" not in out
    assert max(map(len, out.splitlines())) <= 120
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["row", "01", "02"]
    assert (DIRECTORY / "experiments.png").read_bytes().startswith(b"\x89PNG")
    assert not launched.tests
    kept = [path.name for path in DIRECTORY.glob("01_plain/seed_123/lightning_logs/version_0/checkpoints/*")]
    assert kept == ["best-epoch0.ckpt"]
    code, out, _ = run()
    assert (code, launched.rows) == (0, ["01_plain", "02_head", "03_other"])
    assert set(pd.read_csv(DIRECTORY / "experiments.csv")["config"]) == {"01_plain", "02_head", "03_other"}
    assert "not run yet" not in out
    _, out, _ = run("3")  # the other rows keep their place in the table
    assert len(launched.rows) == 3
    assert cells(written(), "plain")[0] == "01"


def test_unfinished_runs_start_again(launched: Launched, run: Callable) -> None:
    launched.fails["02_head"] = KeyboardInterrupt()
    code, _, err = run()
    assert code == 130
    assert "the same command continues" in err
    said = (DIRECTORY / "experiments.md").read_text()
    assert cells(said, "head")[-1].startswith("not run yet")
    assert cells(said, "plain")[2:4] == ["7,090,946", "90.00"]
    launched.fails.clear()
    launched.fits.clear()
    code, _, err = run()
    assert (code, launched.rows) == (0, ["02_head", "03_other"]), err


@pytest.mark.slow
def test_a_row_that_fails_is_named_and_the_others_go_on(launched: Launched, run: Callable) -> None:
    launched.fails["02_head"] = RunFailed("no room | none")
    code, out, err = run()
    assert code == 1
    assert launched.rows == ["01_plain", "02_head", "03_other"]
    assert "failed: no room \\| none |" in written()
    assert "failed: no room | none" in out
    assert "error: runs that failed: 02_head (seed 123)" in err
    launched.fails.clear()
    code, out, _ = run()
    assert (code, launched.rows[3:]) == (0, ["02_head"])
    assert "failed" not in out
    # flags can be corrected while no run is finished
    launched.fails["01_plain"] = RunFailed("no room")
    assert run("1", "--name", "new", "--", "--data.batch_size", "1000")[0] == 1
    launched.fails.clear()
    assert run("1", "--name", "new", "--", "--data.batch_size", "10")[0] == 0


def test_seeds_are_the_outer_loop_and_are_compared(launched: Launched, run: Callable) -> None:
    code, out, _ = run("1", "2", "--seeds", "1", "2")
    assert code == 0
    assert launched.fits == [("01_plain", 1), ("02_head", 1), ("01_plain", 2), ("02_head", 2)]
    assert "90.00 ± 0.00" in out
    assert "02_head minus 01_plain" in out
    assert "Fewer than 3 seeds" in out


def test_the_test_split_is_evaluated_when_asked_for(launched: Launched, run: Callable) -> None:
    run("1")
    code, *_ = run("1", "--test")
    assert (code, len(launched.fits), launched.tests) == (0, 1, ["01_plain"])
    assert "test" in cells(written(), "validation")
    run("1")
    assert launched.tests == ["01_plain"]
    assert "test" not in cells(written(), "validation")
    assert set(pd.read_csv(DIRECTORY / "experiments.csv")["split"]) == {"train", "validation"}


def test_flags_and_shrunken_sizes_reach_every_fit(launched: Launched, run: Callable) -> None:
    small = ["--model.layers=2", "--model.width=64", "--model.heads=1", "--model.context=1024"]
    run("1", "--shrink", "12", "--", "--data.corpus", "sample")
    assert launched.flags == [["--model.weights=random", *small]]
    assert launched.defaults == [{"data": {"corpus": "sample"}}]
    # over a config that is given by itself
    run("--name", "own", "--", "--data.corpus", "sample", configs=["configs/01_plain.yaml"])
    assert (launched.flags[1:], launched.defaults[1:]) == ([["--data.corpus", "sample"]], [None])


def test_a_row_of_a_folder_says_which_flags_it_overrides(launched: Launched, run: Callable) -> None:
    _, _, err = run("1", "2", "--", "--model.learning_rate", "0.5", "--model.dropout", "0.1")
    assert [line for line in err.splitlines() if line.startswith("note")] == [
        "note: 01_plain keeps its own model.learning_rate",
        "note: 02_head keeps its own model.learning_rate",
    ]


def test_the_table_is_kept_under_the_root(launched: Launched, run: Callable) -> None:
    assert run("1", "--root", "there", "--name", "mine")[0] == 0
    assert Path("there/lightning_logs/mine/experiments.md").is_file()


@pytest.mark.slow
def test_sizes_are_runs_of_their_own_with_a_learning_curve(launched: Launched, run: Callable) -> None:
    code, _out, err = run("1", "--sizes", "8", "16", "--steps", "50")
    assert (code, launched.rows) == (0, ["01_plain", "01_plain"]), err
    for size, flags in zip((8, 16), launched.flags, strict=True):
        assert {f"--data.train_per_class={size}", "--trainer.max_steps=50"} <= set(flags)
    assert "per class" in cells(written(), "what")
    (axes,) = table.draw_learning_curve(pd.read_csv(DIRECTORY / "experiments.csv")).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "16"]
    assert run("1", "--sizes", "8", "16", "32", "--steps", "50")[0] == 0
    assert len(launched.rows) == 3
    assert "other flags" in run("1", "--sizes", "8", "--steps", "60")[2]


@pytest.mark.parametrize("other", [["--shrink", "6"], ["--shrink", "12", "--", "--data.corpus", "sample"], []])
def test_runs_with_other_flags_are_not_mixed(launched: Launched, run: Callable, other: list[str]) -> None:
    run("1", "--shrink", "12")
    before = (DIRECTORY / "experiments.md").read_text()
    code, _, err = run("2", *other)
    assert (code, launched.rows) == (1, ["01_plain"])
    assert "choose another --name" in err
    assert len(err.splitlines()) == 1
    assert (DIRECTORY / "experiments.md").read_text() == before
    assert run("2", "--name", "elsewhere", *other)[0] == 0


def test_runs_of_a_changed_config_are_refused(launched: Launched, run: Callable) -> None:
    run("1")
    config = Path("configs/01_plain.yaml")
    config.write_text(f"# a remark changes nothing\n{config.read_text()}")
    assert run("2")[0] == 0
    config.write_text("model: {learning_rate: 0.5}")
    code, _, err = run("3")
    assert (code, launched.rows) == (1, ["01_plain", "02_head"])
    assert "was trained with another configs/01_plain.yaml" in err


@pytest.mark.parametrize(
    ("words", "configs", "refusal"),
    [
        (["--name", "mine"], ["configs"], "{}/lightning_logs/mine holds other files"),
        (["7"], ["configs"], "there is no row 7: the rows are 01_plain, 02_head, 03_other"),
        (["--seeds", "1", "1"], ["configs"], "--seeds 1 1 names one twice"),
        (["--sizes", "8", "0"], ["configs"], "--sizes must be at least 1, not 0"),
        (["--shrink", "0"], ["configs"], "--shrink must be at least 1, not 0"),
        (
            ["--", "--data.corpsu", "x"],
            ["configs"],
            "unrecognized arguments: --data.corpsu x; did you mean --data",
        ),
        (["--", "--data.corpus", "x.csv"], ["configs"], "cannot read --data.corpus x.csv"),
        (["--", "--data.corpus=sample", "--data.text_column=a"], ["configs"], "--data.text_column has no effect"),
        ([], ["nowhere"], "--configs nowhere: no such file or packaged config"),
        ([], ["missing.yaml"], "--configs missing.yaml: no such file or packaged config"),
        ([], ["configs", "configs/01_plain.yaml"], "two configs have the same name"),
        ([], ["empty.yaml"], "empty.yaml holds no settings"),
        ([], ["words.yaml"], "words.yaml holds no settings"),
        ([], ["open.yaml"], "open.yaml is not YAML"),
        ([], ["binary.yaml"], "binary.yaml is not YAML"),
    ],
)
def test_mistakes_are_refused_before_any_run(
    launched: Launched, run: Callable, words: list[str], configs: list[str], refusal: str
) -> None:
    for name, text in (("empty", b""), ("words", b"just words"), ("open", b"model: ["), ("binary", b"\xff")):
        Path(f"{name}.yaml").write_bytes(text)
    Path("lightning_logs/mine/thesis").mkdir(parents=True)
    code, _, err = run(*words, configs=configs)
    assert code in (1, 2)
    assert err.startswith(f"error: {refusal.format(Path.cwd())}")
    assert len(err.splitlines()) == 1
    assert not launched.fits
    assert not DIRECTORY.exists()
    assert [path.name for path in Path("lightning_logs/mine").iterdir()] == ["thesis"]


def test_rows_of_other_messages_are_told_apart(launched: Launched, run: Callable) -> None:
    run("1", "2")
    launched.messages = "label,text\nham,a new one\n"  # the corpus has grown
    _, out, _ = run("3")
    assert cells(written(), "other")[-1].startswith("other splits than most rows")
    assert out.count("other splits than most rows") == 1


def test_two_commands_can_not_share_a_directory(launched: Launched, run: Callable) -> None:
    DIRECTORY.parent.mkdir(parents=True)
    lock = DIRECTORY.with_name(".experiments.lock")
    with locked(lock, lock, "busy"):
        code, _, err = run("1")
    assert code == 1
    assert "another command is at work" in err
    assert not launched.fits
    assert run("1")[0] == 0


def test_row_18_needs_no_run(launched: Launched, run: Callable) -> None:
    code, *_ = run("18", configs=[BOOK])
    assert (code, launched.fits) == (0, [])
    assert cells(written(), "padding id as ignore index")[2:6] == ["96.63", "99.33", "95.00", "0.28"]


@pytest.mark.slow
@pytest.mark.ci
def test_rows_are_trained(command: Callable, tmp_path: Path) -> None:
    flags = ["--data.corpus", "sample", "--data.validation_fraction", "0.05", "--data.max_length", "64"]
    flags += ["--trainer.accelerator", "cpu"]
    own = ["01", "16", "--configs", BOOK, "--shrink", "12", "--sizes", "8", "--steps", "3", "--baselines"]
    done = command("spam_classifier.experiments", *own, "--", *flags, cwd=tmp_path, fresh=True)
    assert done.code == 0, done.err
    directory = tmp_path / DIRECTORY
    runs = pd.read_csv(directory / "experiments.csv")
    counts = runs[runs["split"] == "validation"]["config"].value_counts().to_dict()
    assert counts == {"01_last_token_last_block": 3, "16_last_real_token": 3}
    assert runs["acc"].between(runs["acc_low"], runs["acc_high"]).all()
    assert (runs["seconds"] > 0).all()
    assert set(runs[runs["split"] == "train"]["messages"]) == {16}
    splits = {path.read_bytes() for path in directory.glob("*/8_per_class/seed_123/lightning_logs/version_0/train.csv")}
    assert len(splits) == 1
    figures = cells((directory / "experiments.md").read_text(), "words, logistic regression")
    assert figures[2:5] == ["8", "words, logistic regression", "1"]
