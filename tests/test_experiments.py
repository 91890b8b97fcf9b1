"""A folder of configs as one table of experiments."""

import inspect
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
import yaml

from spam_classifier import SpamClassifier, SpamDataModule, experiments
from spam_classifier.comparing.launch import RunFailed
from spam_classifier.comparing.published import PUBLISHED, WITHOUT_RUN
from spam_classifier.comparing.rows import Row, choose_rows, read_rows, shrunken
from spam_classifier.comparing.table import draw_experiments, estimate, experiment_table, notes, run_record
from spam_classifier.errors import UserError
from spam_classifier.evaluation.metrics import wilson_interval
from spam_classifier.experiments import all_rows, main, parse
from spam_classifier.files import locked

BOOK = Path(__file__).parents[1] / "configs/experiments"
ROWS = all_rows(BOOK)


def metrics_of(accuracy: float, *, test: bool = False, messages: int = 100) -> dict:
    splits = ("train", "validation", "test") if test else ("train", "validation")
    figures = {"acc": accuracy, "acc_interval": wilson_interval(accuracy, messages)}
    run = {"seconds": 12.5, "peak_memory": 1.5e9, "learning_parameters": 7_090_946}
    return {**dict.fromkeys(splits, figures), "run": run}


def row(number: int) -> Row:
    (found,) = choose_rows(ROWS, [str(number)])
    return found


def table_of(records: Sequence[dict], rows: Sequence[Row], seeds: Sequence[int] = (1,), *, test: bool = False):
    return experiment_table(rows, pd.DataFrame(records), seeds, test=test).set_index("row")


# --- the rows


def test_the_listing_of_the_folder_is_the_table() -> None:
    assert [int(row.number) for row in read_rows(BOOK)] == [*range(1, 18), 19]
    assert [int(row.number) for row in ROWS] == list(range(1, 20))
    assert {row.name for row in ROWS if row.config is None} == set(WITHOUT_RUN)


def test_every_row_has_its_published_figures() -> None:
    assert [row.name for row in ROWS] == list(PUBLISHED)
    assert all(0 < share <= 100 for figures in PUBLISHED.values() for share in figures[:3])
    assert PUBLISHED["18_padding_id_as_ignore_index"] == PUBLISHED["01_last_token_last_block"]
    assert PUBLISHED["09_gpt2_xl_all_layers"] == (100.00, 98.66, 98.67, 8.12)


@pytest.mark.parametrize("path", sorted(BOOK.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_config_asks_a_question_and_says_what_differs(path: Path) -> None:
    """That ``fit`` accepts it, tests/test_configs.py checks."""
    assert path.read_text().startswith("# ")
    assert path.read_text().splitlines()[0].endswith((".", "?"))
    settings = yaml.safe_load(path.read_text())
    for section, signature in (("model", SpamClassifier), ("data", SpamDataModule)):
        parameters = inspect.signature(signature).parameters
        for name, value in settings.get(section, {}).items():
            if not name.startswith("lora_"):  # stated, as the row's name has them
                assert value != parameters[name].default, f"{section}.{name} is the default"


@pytest.mark.parametrize("asked", [["3"], ["03"], ["03_head_only"], ["configs/experiments/03_head_only.yaml"]])
def test_rows_are_asked_for_by_number_or_name(asked: list[str]) -> None:
    assert [row.name for row in choose_rows(ROWS, asked)] == ["03_head_only"]


def test_rows_keep_the_order_of_the_table() -> None:
    assert [row.number for row in choose_rows(ROWS, ["16", "1", "16"])] == ["01", "16"]
    assert choose_rows(ROWS, []) == ROWS


@pytest.mark.parametrize(
    ("number", "divisor", "sizes"),
    [
        (1, 12, (2, 64, 1, 1024)),
        (6, 4, (6, 256, 4, 1024)),
        (9, 12, (4, 128, 2, 1024)),
        (10, 3, (4, 256, 4, 1024)),
        (7, 1, (36, 1280, 20, 1024)),
        (1, 100, (2, 64, 1, 1024)),
    ],
)
def test_a_shrunken_model_has_fewer_layers_and_heads_as_wide(number: int, divisor: int, sizes: tuple[int, ...]) -> None:
    names = ("layers", "width", "heads", "context")
    expected = [f"--model.{name}={size}" for name, size in zip(names, sizes, strict=True)]
    assert shrunken(row(number), divisor) == ["--model.weights=random", *expected]


def test_own_sizes_of_a_config_are_shrunken(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("model: {weights: random, layers: 8, width: 128, heads: 4, context: 256}")
    flags = ["--model.layers=4", "--model.width=64", "--model.heads=2", "--model.context=256"]
    assert shrunken(Row("own", path), 2)[1:] == flags


# --- the table


def test_one_seed_has_the_interval_of_its_messages() -> None:
    records = [run_record(row(1), 1, metrics_of(0.9), None, "splits")]
    table = table_of(records, [row(1), row(18)])
    low, high = wilson_interval(0.9, 100)
    first = table.loc["01"]
    assert first["what"] == "last token last block"
    assert first["train"] == "90.00"
    assert first["validation"] == f"90.00 ({100 * low:.2f} to {100 * high:.2f})"
    assert (first["seconds"], first["peak memory, MB"], first["learning parameters"]) == ("12.5", "1,500", "7,090,946")
    assert list(first[["book: train", "book: validation", "book: test", "book: minutes"]]) == [
        *("96.63", "99.33", "95.00", "0.28")
    ]
    assert "test" not in table.columns
    eighteenth = table.loc["18"]
    assert (eighteenth["validation"], eighteenth["book: validation"]) == ("-", "99.33")
    assert "never the padding id" in eighteenth["remark"]


def test_several_seeds_have_mean_and_spread() -> None:
    records = [
        run_record(row(1), seed, metrics_of(accuracy, test=True), None, "splits")
        for seed, accuracy in enumerate((0.90, 0.92, 0.94), 1)
    ]
    table = table_of(records, [row(1)], (1, 2, 3), test=True)
    assert table.loc["01", "validation"] == table.loc["01", "test"] == "92.00 ± 2.00"
    assert estimate(pd.DataFrame(records), "validation") == pytest.approx((92, 90, 94, 3))


def test_what_is_not_known_is_a_dash_and_what_nobody_knows_no_column() -> None:
    metrics = metrics_of(0.9)
    metrics["run"] = {"seconds": 3.25}
    table = table_of([run_record(row(1), 1, metrics, None, "splits")], [row(1), row(2)])
    assert table["peak memory, MB"].tolist() == ["-", "-"]
    assert "learning parameters" not in table.columns
    assert table.loc["02", "remark"] == "not run yet"


def test_failures_stand_in_the_table() -> None:
    records = [run_record(row(8), 1, {}, "out of memory", ""), run_record(row(8), 2, metrics_of(0.9), None, "splits")]
    remark = table_of(records, [row(8)], (1, 2, 3)).loc["08", "remark"]
    assert remark == "seed 1 failed: out of memory; seed 3 not run yet"


def test_rows_of_other_folders_have_no_published_figures() -> None:
    own = Row("01_mine", Path("01_mine.yaml"))
    table = table_of([run_record(own, 1, metrics_of(0.9), None, "splits")], [own])
    assert not [name for name in table.columns if name.startswith("book")]
    assert "A100" not in notes([own], [1], None, [])


def test_notes_say_what_the_figures_are() -> None:
    said = notes(ROWS, [1], 12, ["--data.corpus", "my messages.csv"])
    assert "pretrained GPT-2 on an A100" in said
    assert "5,572" in said
    assert "random weights and 1/12 of the layers and heads" in said
    assert "--data.corpus 'my messages.csv'" in said
    assert "random weights" not in notes(ROWS, [1], None, [])
    assert "standard deviation over the seeds 1, 2" in notes(ROWS, [1, 2], None, [])


def test_picture_has_measured_and_published_marks() -> None:
    runs = pd.DataFrame([run_record(row(1), 1, metrics_of(0.9, test=True), None, "splits")])
    axes = draw_experiments([row(1), row(2)], runs, test=True).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["01 last token last block", "02 first token"]
    marks = {tuple(line.get_xdata()) for line in axes.get_lines()}
    assert {(90.0,), (99.33, 80.54), (95.0, 75.0)} <= marks
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row on top


# --- the command


class Launched:
    """Stands in for training: writes the figures that a run leaves, and takes down what was asked."""

    def __init__(self) -> None:
        self.fits: list[tuple[str, int, list[str]]] = []
        self.tests: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.states_at_start: list[bool] = []
        self.messages = "label,text\n"

    def fit(self, config: Path, seed: int, flags: Sequence[str], root: Path, *, defaults: Sequence[str]) -> Path:
        self.fits.append((config.stem, seed, [*defaults, "--config", *flags]))
        (cache,) = (Path(flag.split("=", 1)[1]) for flag in flags if flag.startswith("--model.prefix_cache="))
        self.states_at_start.append(cache.exists())
        cache.mkdir(exist_ok=True)
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

    def test(self, root: Path) -> None:
        self.tests.append(root.parent.name)
        path = root / "lightning_logs/version_0/metrics.json"
        path.write_text(json.dumps(metrics_of(0.9, test=True)))

    @property
    def rows(self) -> list[str]:
        return [name for name, _, _ in self.fits]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Launched:
    fake = Launched()
    monkeypatch.setattr(experiments, "launch_fit", fake.fit)
    monkeypatch.setattr(experiments, "launch_test", fake.test)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs"
    folder.mkdir()
    for number, name in enumerate(("plain", "head", "other"), 1):
        (folder / f"0{number}_{name}.yaml").write_text(f"model: {{learning_rate: 1.0e-{number}}}")
    return fake


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str, configs: object = "configs") -> tuple[int, str, str]:
        place = words.index("--") if "--" in words else len(words)
        words = (*words[:place], "--configs", str(configs), *words[place:])
        monkeypatch.setattr(sys, "argv", ["experiments", *words])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run


DIRECTORY = Path("lightning_logs/experiments")


def test_every_row_is_run_and_what_is_finished_is_not_run_again(launched: Launched, run: Callable) -> None:
    code, out, err = run("1", "2")
    assert (code, launched.rows) == (0, ["01_plain", "02_head"]), err
    assert "| 02 | head |" in out
    assert (DIRECTORY / "experiments.md").read_text() in out
    assert (DIRECTORY / "experiments.png").read_bytes().startswith(b"\x89PNG")
    assert not launched.tests
    code, out, _ = run()
    assert (code, launched.rows) == (0, ["01_plain", "02_head", "03_other"])
    assert pd.read_csv(DIRECTORY / "experiments.csv")["config"].tolist() == ["01_plain", "02_head", "03_other"]
    assert "not run yet" not in out
    _, out, _ = run("3")  # the other rows keep their place in the table
    assert len(launched.rows) == 3
    assert "| 01 | plain |" in out


def test_the_best_checkpoint_is_kept_of_each_run(launched: Launched, run: Callable) -> None:
    run("1")
    kept = [path.name for path in DIRECTORY.glob("01_plain/seed_123/lightning_logs/version_0/checkpoints/*")]
    assert kept == ["best-epoch0.ckpt"]


def test_what_is_unfinished_starts_anew(launched: Launched, run: Callable) -> None:
    launched.fails["02_head"] = KeyboardInterrupt()
    code, _, err = run()
    assert code == 130
    assert "the same command goes on" in err
    assert "| 02 | head | - |" in (DIRECTORY / "experiments.md").read_text()
    assert "| 01 | plain | 7,090,946 | 90.00 |" in (DIRECTORY / "experiments.md").read_text()
    assert not (DIRECTORY / "hidden_states").exists()
    launched.fails.clear()
    launched.fits.clear()
    code, _, err = run()
    assert (code, launched.rows) == (0, ["02_head", "03_other"]), err


def test_a_row_that_fails_is_named_and_the_others_go_on(launched: Launched, run: Callable) -> None:
    launched.fails["02_head"] = RunFailed("no room | none", ["fit"])
    code, out, err = run()
    assert code == 1
    assert launched.rows == ["01_plain", "02_head", "03_other"]
    assert "failed: no room \\| none |" in out
    assert "error: runs that failed: 02_head (seed 123)" in err
    launched.fails.clear()
    code, out, _ = run()
    assert (code, launched.rows[3:]) == (0, ["02_head"])
    assert "failed" not in out


def test_seeds_are_the_outer_loop_and_share_no_hidden_states(launched: Launched, run: Callable) -> None:
    code, out, _ = run("1", "2", "--seeds", "1", "2")
    assert code == 0
    assert [(name, seed) for name, seed, _ in launched.fits] == [
        *(("01_plain", 1), ("02_head", 1), ("01_plain", 2), ("02_head", 2))
    ]
    assert launched.states_at_start == [False, True, False, True]
    assert not (DIRECTORY / "hidden_states").exists()
    assert "90.00 ± 0.00" in out


def test_the_test_split_is_looked_at_when_asked_for(launched: Launched, run: Callable) -> None:
    run("1")
    code, out, _ = run("1", "--test")
    assert (code, len(launched.fits), launched.tests) == (0, 1, ["01_plain"])
    assert "| validation | test |" in out
    _, out, _ = run("1")
    assert launched.tests == ["01_plain"]
    assert "| validation | test |" not in out
    assert "test" not in pd.read_csv(DIRECTORY / "experiments.csv").columns


def test_flags_and_shrunken_sizes_reach_every_fit(launched: Launched, run: Callable) -> None:
    run("1", "--shrink", "12", "--", "--data.corpus", "sample")
    ((_, _, flags),) = launched.fits
    assert flags[:3] == ["--data.corpus", "sample", "--config"]  # which wins
    assert flags[3].startswith("--model.prefix_cache=")
    assert flags[4:] == [
        *("--model.weights=random", "--model.layers=2", "--model.width=64", "--model.heads=1", "--model.context=1024"),
    ]


@pytest.mark.parametrize("other", [["--shrink", "6"], ["--shrink", "12", "--", "--data.corpus", "sample"], []])
def test_runs_with_other_flags_are_not_mixed(launched: Launched, run: Callable, other: list[str]) -> None:
    run("1", "--shrink", "12")
    before = (DIRECTORY / "experiments.md").read_text()
    code, _, err = run("2", *other)
    assert (code, launched.rows) == (1, ["01_plain"])
    assert "another --directory" in err
    assert len(err.splitlines()) == 1
    assert (DIRECTORY / "experiments.md").read_text() == before
    assert run("2", "--directory", "elsewhere", *other)[0] == 0


def test_flags_can_be_mended_while_nothing_is_finished(launched: Launched, run: Callable) -> None:
    launched.fails["01_plain"] = RunFailed("no such flag", ["fit"])
    assert run("1", "--", "--data.corpsu", "sample")[0] == 1
    launched.fails.clear()
    assert run("1", "--", "--data.corpus", "sample")[0] == 0


def test_a_config_that_has_changed_is_not_taken_for_its_run(launched: Launched, run: Callable) -> None:
    run("1")
    config = Path("configs/01_plain.yaml")
    config.write_text(f"# a remark changes nothing\n{config.read_text()}")
    assert run("2")[0] == 0
    config.write_text("model: {learning_rate: 0.5}")
    code, _, err = run("3")
    assert (code, launched.rows) == (1, ["01_plain", "02_head"])
    assert "01_plain.yaml has changed since its run" in err


def test_files_of_others_are_left_alone(launched: Launched, run: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine/hidden_states").mkdir(parents=True)
    code, _, err = run("1", "--directory", "mine")
    assert code == 1
    assert "holds other files" in err
    assert (tmp_path / "mine/hidden_states").is_dir()


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["7"], "there is no row 7: the rows are 01_plain, 02_head, 03_other"),
        (["18"], "there is no row 18"),
        (["--seeds", "1", "1"], "a seed is given twice"),
        (["--shrink", "0"], "--shrink must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    launched: Launched, run: Callable, words: list[str], refusal: str
) -> None:
    code, _, err = run(*words)
    assert code == 1
    assert err.startswith(f"error: {refusal}")
    assert len(err.splitlines()) == 1
    assert not launched.fits
    assert not DIRECTORY.exists()


@pytest.mark.parametrize("text", ["", "just words", "model: [", "\xff"])
def test_a_file_that_is_no_config_is_refused_at_once(launched: Launched, run: Callable, text: str) -> None:
    Path("configs/04_bad.yaml").write_bytes(text.encode("latin-1"))
    code, _, err = run()
    assert code == 1
    assert "04_bad.yaml" in err
    assert not launched.fits


def test_rows_of_other_messages_are_told_apart(launched: Launched, run: Callable) -> None:
    run("1", "2")
    launched.messages = "label,text\nham,a new one\n"  # the corpus has grown
    _, out, _ = run("3")
    assert "other splits" in next(line for line in out.splitlines() if "| 03 |" in line)
    assert out.count("other splits than most rows") == 1


def test_two_commands_do_not_share_a_directory(launched: Launched, run: Callable) -> None:
    DIRECTORY.parent.mkdir(parents=True)
    lock = DIRECTORY.with_name(".experiments.lock")
    with locked(lock, lock, "busy"):
        code, _, err = run("1")
    assert code == 1
    assert "another command is at work" in err
    assert not launched.fits
    assert run("1")[0] == 0


def test_damaged_settings_are_named(launched: Launched, run: Callable) -> None:
    DIRECTORY.mkdir(parents=True)
    (DIRECTORY / "settings.json").write_text("{")
    code, _, err = run("1")
    assert code == 1
    assert "settings.json is damaged" in err


def test_a_folder_without_configs_is_refused(launched: Launched, run: Callable) -> None:
    code, _, err = run(configs="nowhere")
    assert code == 1
    assert "nowhere: no .yaml file there" in err


def test_row_18_needs_no_run(launched: Launched, run: Callable) -> None:
    code, out, _ = run("18", configs=BOOK)
    assert (code, launched.fits) == (0, [])
    assert "| 18 | padding id as ignore index | - | - | - | - | 96.63 | 99.33 | 95.00 | 0.28 |" in out


def test_numbers_of_the_command_line_are_checked() -> None:
    arguments, flags = parse(["01", "3", "--seeds", "1", "2", "--", "--seeds", "of fit"])
    assert (arguments.rows, arguments.seeds, flags) == (["01", "3"], [1, 2], ["--seeds", "of fit"])
    with pytest.raises(UserError, match="--shrink"):
        parse(["--shrink", "-1"])


@pytest.mark.slow
def test_rows_are_trained(command: Callable, forked_runs: None, tmp_path: Path) -> None:
    flags = ["--data.corpus", "sample", "--data.train_fraction", "0.05", "--data.validation_fraction", "0.05"]
    flags += ["--data.max_length", "64", "--trainer.accelerator", "cpu", "--trainer.limit_train_batches", "3"]
    flags += ["--trainer.max_epochs", "1"]
    own = ["01", "16", "--configs", BOOK, "--shrink", "12"]
    done = command("spam_classifier.experiments", *own, "--", *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    directory = tmp_path / DIRECTORY
    runs = pd.read_csv(directory / "experiments.csv")
    assert runs["config"].tolist() == ["01_last_token_last_block", "16_last_real_token"]
    assert runs["validation"].between(runs["validation_low"], runs["validation_high"]).all()
    assert (runs["seconds"] > 0).all()
    splits = {path.read_bytes() for path in directory.glob("*/seed_123/lightning_logs/version_0/train.csv")}
    assert len(splits) == 1
    assert (directory / "experiments.png").stat().st_size > 0
    assert "| 16 | last real token |" in done.out
    assert not (directory / "hidden_states").exists()
