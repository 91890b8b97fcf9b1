"""The command line: fit, then test, validate, predict and continue."""

import hashlib
import json
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

CONFIGS = Path(__file__).parents[1] / "configs"
SMALL = [
    *("--model.weights", "random", "--model.layers", "2", "--model.width", "32", "--model.heads", "2"),
    *("--model.context", "256", "--model.trainable", "all", "--model.learning_rate", "3e-3"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.enable_model_summary", "false", "--trainer.log_every_n_steps", "1"),
]
LAST_REAL = ["--model.token_position", "last_real", "--data.padding", "batch"]


@pytest.fixture
def three_classes(tmp_path: Path) -> Path:
    """90 messages, the class of each given away by a word."""
    words = {"news": "report", "sport": "goal", "weather": "rain"}
    rows = [(label, f"{words[label]} number {n}, as told at {n % 7} o'clock") for n in range(30) for label in words]
    path = tmp_path / "topics.csv"
    pd.DataFrame(rows, columns=["topic", "body"]).to_csv(path, index=False)
    return path


@pytest.fixture
def fit_topics(three_classes: Path) -> list[str]:
    columns = ["--data.text_column", "body", "--data.label_column", "topic"]
    return ["fit", *SMALL, *LAST_REAL, "--data.corpus", str(three_classes), *columns]


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run))
    events.Reload()
    found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    # files of one second are read in the order of their names, in which the tenth comes before the second
    return {tag: sorted(points, key=lambda point: point[0]) for tag, points in found.items()}


@pytest.mark.report
def test_fit_leaves_a_whole_run_behind(train: Callable, fit_topics: list[str], tmp_path: Path) -> None:
    (tmp_path / "random").mkdir()  # which --model.weights random does not mean
    done = train(*fit_topics, "--trainer.max_epochs", 4)
    assert done.code == 0, done.err
    run = tmp_path / "lightning_logs/version_0"

    assert "62 / 9 / 19 (train / validation / test)" in done.out
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    parameters = sum(value.numel() for name, value in state.items() if not name.startswith("decision."))
    assert f"{parameters:,} learning of {parameters:,}" in done.out
    assert "python -m spam_classifier.train test" in done.out
    assert str(next((run / "checkpoints").glob("best-*.ckpt"))) in done.out

    sizes = {name: len(pd.read_csv(run / f"{name}.csv")) for name in ("train", "validation", "test")}
    assert sizes == {"train": 62, "validation": 9, "test": 19}
    assert (run / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    logged = scalars(run)
    assert [step for step, _ in logged["train/loss_step"]] == list(range(28))
    assert all(len(logged[tag]) == 4 for tag in ("train/loss", "train/acc", "val/loss", "val/acc"))

    metrics = json.loads((run / "metrics.json").read_text())
    known = {"train", "validation", "curves", "run", "audit", "classes", "provenance"}
    assert set(metrics) == known  # the test split is not touched
    made_with = metrics["provenance"]
    assert made_with["seed"] == 123
    assert made_with["commands"][0].endswith("--trainer.max_epochs 4")
    sha256 = hashlib.sha256((tmp_path / "topics.csv").read_bytes()).hexdigest()
    assert made_with["corpus_sha256"] == {"--data.corpus": sha256}
    assert made_with["weights_sha256"] == {}
    assert metrics["validation"]["messages"] == 9
    assert metrics["audit"]["splits"]["train"]["messages"] == 62
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["weights"] == "random"
    report = (run / "report.html").read_text()
    assert sha256 in report
    assert "has not been looked at yet" in report
    assert report.count("<svg") == 3  # learning curves, reliability, length: ROC curves are for two classes
    assert metrics["validation"]["loss"] == pytest.approx(min(loss for _, loss in logged["val/loss"]), abs=1e-6)
    assert logged["best/validation_loss"][-1][1] == pytest.approx(metrics["validation"]["loss"])


@pytest.mark.report
def test_evaluations_rebuild_model_and_data_of_the_newest_run(
    train: Callable, fit_topics: list[str], tmp_path: Path
) -> None:
    assert train(*fit_topics, "--trainer.max_epochs", 6, "--data.split_seed", 7).code == 0
    run = tmp_path / "lightning_logs/version_0"
    best = next((run / "checkpoints").glob("best-*.ckpt"))

    tested = train("test")
    assert tested.code == 0, tested.err
    assert str(best.relative_to(tmp_path)) in tested.out
    assert "test split, 19 messages: accuracy" in tested.out
    accuracy = json.loads((run / "metrics.json").read_text())["test"]["acc"]
    assert accuracy > 0.6  # chance is a third
    steps = torch.load(best, weights_only=True)["global_step"]
    events = EventAccumulator(str(run)).Reload()
    pictures = events.Tags()["images"]
    assert "report/reliability diagram" in pictures
    assert {image.step for image in events.Images("report/length and error")} == {steps, 42}  # of fit and of test
    assert "report/learning curves" in pictures
    assert scalars(run)["test/acc"] == [(steps, pytest.approx(accuracy))]
    assert list((tmp_path / "lightning_logs").iterdir()) == [run]  # it belongs to the run that it tests

    curves = scalars(run)
    assert train("validate", "--ckpt_path", "last").code == 0
    assert scalars(run) == curves  # a second look adds no points to the curves of training
    table = pd.read_csv(run / "predictions/test.csv")
    assert table[["label", "text"]].equals(pd.read_csv(run / "test.csv"))
    assert (table["predicted"] == table["label"]).mean() == pytest.approx(accuracy)
    probabilities = table[["probability_news", "probability_sport", "probability_weather"]]
    assert probabilities.sum(axis=1).tolist() == pytest.approx([1] * 19)

    report = (run / "report.html").read_text()
    assert "has not been looked at" not in report

    # later flags win over the run's settings
    other = train("test", "--data.train_fraction", 0.5, "--data.validation_fraction", 0.3)
    assert "test split, 18 messages" in other.out
    other = train("test", "--data.train_fraction", 0.5)
    assert "test split, 36 messages" in other.out


class StopAt(pl.Callback):
    """Presses Ctrl-C as a step begins."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            self.step = -1
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("step", "flags"),
    [
        (9, []),
        (13, []),
        (4, ["--trainer.accumulate_grad_batches", "2"]),
        (9, ["--model.trainable", "last_block", "--model.dropout", "0"]),  # on kept hidden states
    ],
)
def test_interrupted_run_continues_exactly(
    train: Callable, fit_topics: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, flags: list[str]
) -> None:
    """Stopped by Ctrl-C in the middle of the second epoch of seven batches, and at its end."""
    fit_topics += ["--trainer.max_epochs", "4", "--model.dropout", "0.1", "--model.schedule", "cosine", *flags]
    assert train(*fit_topics, "--trainer.default_root_dir", "whole").code == 0

    monkeypatch.setattr("spam_classifier.training.module.StopAtNaN", lambda: StopAt(step))
    stopped = train(*fit_topics)
    last = tmp_path / "lightning_logs/version_0/checkpoints/last.ckpt"
    assert stopped.code == 1
    assert f"continue with: python -m spam_classifier.train fit --ckpt_path {last}" in stopped.err
    assert torch.load(last, weights_only=True)["global_step"] == step + 1
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)

    assert train("fit", "--ckpt_path", "last").code == 0
    whole = torch.load("whole/lightning_logs/version_0/checkpoints/last.ckpt", weights_only=True)
    continued = torch.load(last, weights_only=True)
    assert continued["global_step"] == whole["global_step"]
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, continued["state_dict"][name]), name
    first, second = scalars(Path("whole/lightning_logs/version_0")), scalars(last.parents[1])
    for curve in ("val/loss", "val/acc", "train/loss", "train/acc"):
        assert [value for _, value in first[curve]] == pytest.approx([value for _, value in second[curve]], abs=1e-6)
    at_the_stop = set(first["train/loss_step"]) - set(second["train/loss_step"])
    assert [at for at, _ in at_the_stop] in ([], [step])  # the Trainer logs a step after what Ctrl-C has ended
    assert set(second["train/loss_step"]) <= set(first["train/loss_step"])
    commands = json.loads((last.parents[1] / "metrics.json").read_text())["provenance"]["commands"]
    assert [command.split()[-3:] for command in commands[1:]] == [["fit", "--ckpt_path", "last"]]


def test_error_after_training_leaves_the_last_checkpoint_alone(
    train: Callable, fit_topics: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluation at the end has other weights in hand than those that were trained last."""
    last = tmp_path / "lightning_logs/version_0/checkpoints/last.ckpt"
    written = []

    def fail(self: pl.LightningModule, *_: object) -> None:
        if self.trainer.state.fn == "predict":
            written.append(last.read_bytes())
            raise KeyboardInterrupt

    monkeypatch.setattr("spam_classifier.training.module.SpamClassifier.on_predict_epoch_end", fail)
    assert train(*fit_topics, "--trainer.max_epochs", 2).code == 1
    assert last.read_bytes() == written[0]


def test_a_run_without_a_directory_writes_no_files(train: Callable, fit_topics: list[str], tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("my own\n")
    (tmp_path / "config.yaml").write_text("trainer: {}\n")
    before = sorted(tmp_path.iterdir())
    flags = ["--trainer.logger", "false", "--trainer.enable_checkpointing", "false", "--trainer.max_epochs", "1"]
    done = train(*fit_topics, *flags, "--config", "config.yaml")
    assert done.code == 0, done.err
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "train.csv").read_text() == "my own\n"


def test_changed_corpus_is_not_tested_as_the_runs(train: Callable, fit_topics: list[str], three_classes: Path) -> None:
    assert train(*fit_topics, "--trainer.max_epochs", 1).code == 0
    kept = ("train.csv", "test.csv", "checkpoints/last.ckpt")
    before = [Path("lightning_logs/version_0", name).read_bytes() for name in kept]
    with three_classes.open("a") as file:
        file.write("news,one report more\n")
    for arguments in (["test"], ["fit", "--ckpt_path", "last", "--trainer.max_epochs", "2"]):
        refused = train(*arguments)
        assert refused.code == 1
        assert "has changed since the run" in refused.err
    assert [Path("lightning_logs/version_0", name).read_bytes() for name in kept] == before
    assert train("test", "--data.corpus", three_classes).code == 0


def test_a_refused_continuation_leaves_the_settings_alone(train: Callable, fit_topics: list[str]) -> None:
    assert train(*fit_topics, "--trainer.max_epochs", 1).code == 0
    config = Path("lightning_logs/version_0/config.yaml")
    before = config.read_text()
    refused = train("fit", "--ckpt_path", "last", "--trainer.max_epochs", 2, "--model.trainable", "last_block")
    assert refused.code == 1
    assert config.read_text() == before


def test_moved_run_keeps_its_best_checkpoint(train: Callable, fit_topics: list[str], tmp_path: Path) -> None:
    assert train(*fit_topics, "--trainer.max_epochs", 3).code == 0
    moved = tmp_path / "elsewhere/run"
    moved.parent.mkdir()
    (tmp_path / "lightning_logs/version_0").rename(moved)
    (best,) = (moved / "checkpoints").glob("best-*")
    worse = ["--trainer.limit_train_batches", "1", "--trainer.max_epochs", "4"]
    state = torch.load(moved / "checkpoints/last.ckpt", weights_only=True)
    state["state_dict"]["head.bias"] += torch.tensor([9.0, 0, -9])  # what follows can't be better
    torch.save(state, moved / "checkpoints/last.ckpt")
    done = train("fit", "--ckpt_path", moved / "checkpoints/last.ckpt", *worse)
    assert done.code == 0, done.err
    assert list((moved / "checkpoints").glob("best-*")) == [best]
    assert f"--ckpt_path {best}" in done.out  # no command finds it without
    assert train("test", "--ckpt_path", best).code == 0


@pytest.mark.report
def test_figures_of_a_part_are_not_kept_as_the_splits(train: Callable, fit_topics: list[str]) -> None:
    limited = ["--trainer.limit_val_batches", "0", "--trainer.limit_test_batches", "1", "--trainer.max_epochs", "1"]
    done = train(*fit_topics, *limited, "--data.batch_size", 4)
    assert done.code == 0, done.err
    metrics = json.loads(Path("lightning_logs/version_0/metrics.json").read_text())
    assert "neither temperature nor threshold is fitted" in done.out
    assert "nothing was fitted" in Path("lightning_logs/version_0/report.html").read_text()
    assert metrics["validation"]["messages"] == 9  # all of it, whatever the training looked at
    part = train("test", "--trainer.limit_test_batches", 1)
    assert "test split, a part of it" in part.out
    assert "nothing of the test split" in train("test", "--trainer.limit_test_batches", 0).out
    assert "test" not in json.loads(Path("lightning_logs/version_0/metrics.json").read_text())
    cut = train("test", "--data.max_length", 4)
    assert "not kept: these are not the run's own messages" in cut.out
    assert "test" not in json.loads(Path("lightning_logs/version_0/metrics.json").read_text())
    assert "test split, 19 messages" in train("test").out  # the limits of the training are not those of the test
    kept = Path("lightning_logs/version_0/metrics.json").read_text()
    for other in (["--data.keep", "tail"], ["--model.token_position", "first"]):
        assert "not read as in its training" in train("test", *other).out
        assert Path("lightning_logs/version_0/metrics.json").read_text() == kept
    assert "report: " in train("test", "--data.padding", "longest").out  # which this position does not see
    assert "the checkpoint's model has all; leave the flag out" in train("test", "--model.trainable", "lora").err


def test_a_run_stopped_early_is_audited_when_it_is_tested(train: Callable, fit_topics: list[str]) -> None:
    assert train(*fit_topics, "--trainer.max_epochs", 3).code == 0
    run = Path("lightning_logs/version_0")
    (run / "metrics.json").unlink()  # as if the process had been killed after its last epoch
    assert train("test").code == 0
    assert set(json.loads((run / "metrics.json").read_text())) == {"test", "audit", "classes"}


def test_a_decision_of_other_weights_is_named(train: Callable, fit_topics: list[str]) -> None:
    flags = ["--trainer.max_epochs", 2, "--trainer.check_val_every_n_epoch", 2]
    assert train(*fit_topics, *flags).code == 0
    assert "were fitted at step" not in train("test").out
    assert train("fit", "--ckpt_path", "last", "--trainer.max_epochs", 3).code == 0
    assert re.search(r"fitted at step 14, the weights are of step 21", train("test", "--ckpt_path", "last").out)
    tested = json.loads(Path("lightning_logs/version_0/metrics.json").read_text())["test"]
    assert (tested["decision_step"], tested["step"]) == (14, 21)


def test_diverged_run_says_so(train: Callable, fit_topics: list[str]) -> None:
    done = train(*fit_topics, "--model.learning_rate", "1e30")
    assert done.code == 1
    assert "the training has diverged: lower --model.learning_rate" in done.err


def test_runs_that_start_together_get_a_directory_each(tmp_path: Path) -> None:
    from spam_classifier.training.logger import RunLogger

    loggers = [RunLogger(tmp_path / "lightning_logs", run=None, evaluated_step=None) for _ in range(3)]
    assert len({logger.log_dir for logger in loggers}) == 3


def test_finished_run_trains_on(train: Callable, fit_topics: list[str], tmp_path: Path) -> None:
    assert train(*fit_topics, "--trainer.max_epochs", 1).code == 0
    assert train("test").code == 0
    metrics = tmp_path / "lightning_logs/version_0/metrics.json"
    assert "test" in json.loads(metrics.read_text())
    assert train("fit", "--ckpt_path", "last", "--trainer.max_epochs", 3).code == 0
    assert "test" not in json.loads(metrics.read_text())  # it was of another checkpoint
    assert train(*fit_topics, "--trainer.max_epochs", 3).code == 0
    longer, whole = (
        torch.load(tmp_path / f"lightning_logs/version_{n}/checkpoints/last.ckpt", weights_only=True) for n in range(2)
    )
    assert all(torch.equal(value, longer["state_dict"][name]) for name, value in whole["state_dict"].items())


@pytest.mark.parametrize("course", [[], ["--model.schedule", "cosine", "--model.warmup_steps", "2"]])
def test_run_goes_on_with_another_learning_rate(
    train: Callable, fit_topics: list[str], tmp_path: Path, course: list[str]
) -> None:
    last = tmp_path / "lightning_logs/version_0/checkpoints/last.ckpt"
    assert train(*fit_topics, *course, "--trainer.max_epochs", 1).code == 0
    before = torch.load(last, weights_only=True)
    others = ["--model.learning_rate", "1e-12", "--model.weight_decay", "0"]
    assert train("fit", "--ckpt_path", "last", "--trainer.max_epochs", 3, *others).code == 0
    after = torch.load(last, weights_only=True)
    (group,) = after["optimizer_states"][0]["param_groups"]
    assert group["lr"] <= 1e-12
    assert group["weight_decay"] == 0
    assert after["global_step"] > before["global_step"]
    for name, value in before["state_dict"].items():
        if name.startswith(("backbone.", "head.")):
            assert torch.allclose(value, after["state_dict"][name], rtol=0, atol=1e-8), name


def test_book_position_on_another_corpus_pads_as_in_training(
    train: Callable, fit_topics: list[str], tmp_path: Path
) -> None:
    """What the row's last position says depends on the padding, so the checkpoint's length goes along."""
    book = [word for word in fit_topics if word not in LAST_REAL]
    assert train(*book, "--trainer.max_epochs", 1).code == 0
    rows = pd.read_csv(tmp_path / "topics.csv")
    rows["body"] = rows["body"].str.slice(0, 8)
    rows.to_csv(tmp_path / "short.csv", index=False)
    from spam_classifier import load_classifier

    assert train("test").code == 0
    run = tmp_path / "lightning_logs/version_0"
    table = pd.read_csv(run / "predictions/test.csv")
    best = next((run / "checkpoints").glob("best-*.ckpt"))
    alone = torch.cat([load_classifier(best).probabilities([text]) for text in table["text"]])
    columns = ["probability_news", "probability_sport", "probability_weather"]
    assert torch.allclose(torch.tensor(table[columns].to_numpy()).float(), alone, atol=1e-5)


def test_what_the_trainer_refuses_is_one_line(train: Callable, fit_topics: list[str]) -> None:
    done = train(*fit_topics, "--trainer.strategy", "fsdp")  # on a CPU
    assert done.code == 1
    assert re.search(r"^error: the Trainer refuses its flags: .*FSDP.*--trainer.accelerator auto", done.err, re.M)
    assert done.err.splitlines()[-1].startswith("error: ")


def test_trainer_flags_work_as_lightning_users_expect(train: Callable, fit_topics: list[str], tmp_path: Path) -> None:
    assert train(*fit_topics, "--trainer.fast_dev_run", "true").code == 0
    assert not (tmp_path / "lightning_logs").exists()
    flags = ["--trainer.precision", "bf16-mixed", "--trainer.gradient_clip_val", "1", "--trainer.max_epochs", "9"]
    flags += ["--trainer.enable_checkpointing", "false", "--trainer.default_root_dir", "elsewhere"]
    flags += ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"]
    flags += ["--trainer.callbacks.patience", "0", "--trainer.callbacks.min_delta", "100"]
    done = train(*fit_topics, *flags)
    assert done.code == 0, done.err
    assert "2 epochs" in done.out  # stopped early: no second epoch can be better by 100
    assert not list(tmp_path.rglob("*.ckpt"))
    assert (tmp_path / "elsewhere/lightning_logs/version_0/train.csv").is_file()


@pytest.mark.slow
def test_quickstart_needs_no_network(command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's first command, its two steps in processes of their own, where sockets only connect locally."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX:
            raise RuntimeError(f"network used: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    config = ["--config", CONFIGS / "quickstart.yaml"]
    config += ["--trainer.max_epochs", 1, "--trainer.limit_train_batches", 60]  # .ci/run goes through all of it
    fit = command("spam_classifier.train", "fit", *config, cwd=tmp_path)
    assert fit.code == 0, fit.err
    tested = command("spam_classifier.train", "test", cwd=tmp_path)
    assert tested.code == 0, tested.err
    metrics = json.loads((tmp_path / "lightning_logs/version_0/metrics.json").read_text())
    assert metrics["test"]["messages"] == 601
    said = command("spam_classifier.predict", "hello there", "WIN a prize", cwd=tmp_path)
    assert said.code == 0, said.err
    assert [line.split("\t")[0] in ("ham", "spam") for line in said.out.splitlines()[1:]] == [True, True]


@pytest.mark.slow
def test_real_corpus_with_a_small_model(train: Callable, tmp_path: Path, uci_archive: Path) -> None:
    small = [*SMALL, *LAST_REAL, "--data.corpus", uci_archive, "--trainer.max_epochs", 2]
    fit = train("fit", *small)
    assert fit.code == 0, fit.err
    assert "1,045 / 149 / 300 (train / validation / test), up to 120 tokens" in fit.out
    assert train("test").code == 0
    run = tmp_path / "lightning_logs/version_0"
    assert len(pd.read_csv(run / "predictions/test.csv", keep_default_na=False)) == 300
    assert json.loads((run / "metrics.json").read_text())["test"]["acc"] > 0.8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_smoke(train: Callable, fit_topics: list[str]) -> None:
    done = train(*fit_topics, "--trainer.accelerator", "gpu", "--trainer.devices", 1, "--trainer.max_epochs", 1)
    assert done.code == 0, done.err
