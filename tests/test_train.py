"""The command line: fit, then test, validate, predict and continue."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from spam_classifier import hints, load_classifier
from spam_classifier.data import folders
from spam_classifier.data.corpora import corpus_sha256
from spam_classifier.data.mails import mail_row
from spam_classifier.training.logger import RunDirectory, RunLogger

CONFIGS = Path(__file__).parents[1] / "configs"
RUN = Path("lightning_logs/version_0")
LAST = RUN / "checkpoints/last.ckpt"
CONTINUE = ("fit", "--ckpt_path", "last")
SMALL = [
    *("--model.weights", "random", "--model.layers", "2", "--model.width", "32", "--model.heads", "2"),
    *("--model.context", "256", "--model.trainable", "all", "--model.learning_rate", "3e-3"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.enable_model_summary", "false", "--trainer.log_every_n_steps", "1"),
]
LAST_REAL = ["--model.token_position", "last_real", "--data.padding", "batch"]


@pytest.fixture
def topics(tmp_path: Path) -> Path:
    """90 messages, the class of each given away by a word."""
    words = {"news": "report", "sport": "goal", "weather": "rain"}
    rows = [(label, f"{words[label]} number {n}, as told at {n % 7} o'clock") for n in range(30) for label in words]
    path = tmp_path / "topics.csv"
    pd.DataFrame(rows, columns=["topic", "body"]).to_csv(path, index=False)
    return path


@pytest.fixture
def fit_topics(topics: Path) -> list[str]:
    columns = ["--data.text_column", "body", "--data.label_column", "topic"]
    return ["fit", *SMALL, *LAST_REAL, "--data.corpus", str(topics), *columns]


@pytest.fixture
def done(train: Callable) -> Callable[..., str]:
    """Run ``train`` with arguments that must work; its standard output."""

    def done(*arguments: object) -> str:
        outcome = train(*arguments)
        assert outcome.code == 0, outcome.err
        return outcome.out

    return done


@pytest.fixture
def fit(done: Callable, fit_topics: list[str]) -> Callable[..., str]:
    """Train on the topics for some epochs; the standard output."""
    return lambda epochs, *flags: done(*fit_topics, "--trainer.max_epochs", epochs, *flags)


def read_metrics() -> dict[str, Any]:
    return json.loads((RUN / "metrics.json").read_text())


def load(checkpoint: Path | str) -> dict[str, Any]:
    return torch.load(checkpoint, weights_only=True)


def scalars(run: Path = RUN) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run)).Reload()
    found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    # files of one second are read in the order of their names, in which the tenth comes before the second
    return {tag: sorted(points, key=lambda point: point[0]) for tag, points in found.items()}


@pytest.mark.report
@pytest.mark.slow
def test_fit_leaves_a_whole_run_behind(fit: Callable, topics: Path) -> None:
    Path("random").mkdir()  # which --model.weights random does not mean
    out = fit(4)
    assert "62 / 9 / 19 (train / validation / test)" in out
    state = load(LAST)["state_dict"]
    parameters = sum(value.numel() for name, value in state.items() if not name.startswith("decision."))
    assert f"{parameters:,} learning of {parameters:,}" in out
    commands = [hints.command_line("test"), f"{hints.program('predict')} ", hints.command_line("serve"), "tensorboard "]
    following = [line.removeprefix("next").strip() for line in out.splitlines()[-4:]]
    assert [line.startswith(command) for line, command in zip(following, commands, strict=True)] == [True] * 4
    assert "--ckpt_path" not in "".join(following)
    assert hints.EXAMPLE not in out  # the classes are topics
    assert str(next(RUN.glob("checkpoints/best-*.ckpt"))) in out

    sizes = {name: len(pd.read_csv(RUN / f"{name}.csv")) for name in ("train", "validation", "test")}
    assert sizes == {"train": 62, "validation": 9, "test": 19}
    assert (RUN / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    logged = scalars()
    assert [step for step, _ in logged["train/loss_step"]] == list(range(28))
    assert all(len(logged[tag]) == 4 for tag in ("train/loss", "train/acc", "val/loss", "val/acc"))

    metrics = read_metrics()
    known = {"train", "validation", "curves", "run", "audit", "classes", "provenance"}
    assert set(metrics) == known  # the test split is not touched
    made_with, sha256 = metrics["provenance"], hashlib.sha256(topics.read_bytes()).hexdigest()
    assert (made_with["seed"], made_with["corpus_sha256"]) == (123, {"--data.corpus": sha256})
    assert made_with["commands"][0].endswith("--trainer.max_epochs 4")
    assert made_with["weights_sha256"] == {}
    assert metrics["validation"]["messages"] == 9
    assert metrics["audit"]["splits"]["train"]["messages"] == 62
    assert yaml.safe_load((RUN / "config.yaml").read_text())["model"]["weights"] == "random"
    report = (RUN / "report.html").read_text()
    assert sha256 in report
    assert "has not been looked at yet" in report
    assert report.count("<svg") == 4  # loss, accuracy, calibration, coverage: ROC curves are for two classes
    assert metrics["validation"]["loss"] == pytest.approx(min(loss for _, loss in logged["val/loss"]), abs=1e-6)
    assert {tag.partition("/")[0] for tag in logged} == {"train", "val"}


@pytest.mark.report
@pytest.mark.slow
def test_evaluations_rebuild_model_and_data_of_the_newest_run(done: Callable, fit: Callable) -> None:
    fit(6, "--data.split_seed", 7)
    best = next(RUN.glob("checkpoints/best-*.ckpt"))
    out = done("test")
    assert re.search(r"^test +19 ", out, flags=re.MULTILINE)
    accuracy = read_metrics()["test"]["acc"]
    assert accuracy > 0.6  # chance is a third
    steps = load(best)["global_step"]
    assert scalars()["test/acc"] == [(steps, pytest.approx(accuracy))]
    assert list(RUN.parent.iterdir()) == [RUN]  # the test belongs to the run that it tests

    curves = scalars()
    done("validate", "--ckpt_path", "last")
    assert scalars() == curves  # a second look adds no points to the curves of training
    table = pd.read_csv(RUN / "predictions/test.csv")
    assert table[["label", "text"]].equals(pd.read_csv(RUN / "test.csv"))
    assert (table["predicted"] == table["label"]).mean() == pytest.approx(accuracy)
    probabilities = table[["probability_news", "probability_sport", "probability_weather"]]
    assert probabilities.sum(axis=1).tolist() == pytest.approx([1] * 19)
    assert "has not been looked at" not in (RUN / "report.html").read_text()

    # later flags win over the run's settings
    for messages, flags in ((18, ["--data.validation_fraction", 0.3]), (36, [])):
        out = done("test", "--data.train_fraction", 0.5, *flags)
        assert re.search(rf"^test +{messages} ", out, flags=re.MULTILINE)


class StopAt(pl.Callback):
    """Presses Ctrl-C as a step begins."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            self.step = -1
            os.kill(os.getpid(), signal.SIGINT)


def assert_same_weights(one: Path, other: Path) -> None:
    torch.testing.assert_close(load(one)["state_dict"], load(other)["state_dict"], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("step", "flags"),
    [
        (9, []),
        (13, []),
        (4, ["--trainer.accumulate_grad_batches", "2"]),
        (9, ["--model.trainable", "last_block", "--model.dropout", "0"]),  # on kept hidden states
    ],
)
@pytest.mark.slow
def test_interrupted_run_continues_exactly(train: Callable, fit_topics: list[str], step: int, flags: list[str]) -> None:
    """Stopped by Ctrl-C in the middle of the second epoch of seven batches, and at its end."""
    fit_topics += ["--trainer.max_epochs", "4", "--model.dropout", "0.1", "--model.schedule", "cosine", *flags]
    assert train(*fit_topics, "--trainer.default_root_dir", "whole").code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spam_classifier.training.module.StopAtNaN", lambda: StopAt(step))
        stopped = train(*fit_topics)
    assert stopped.code == 130
    assert f"continue with: {hints.command_line('fit', '--ckpt_path', 'last')}" in stopped.err
    assert load(LAST)["global_step"] == step + 1

    assert train(*CONTINUE).code == 0
    assert load(LAST)["global_step"] == load("whole" / LAST)["global_step"]
    assert_same_weights(LAST, "whole" / LAST)
    first, second = scalars("whole" / RUN), scalars()
    for curve in ("val/loss", "val/acc", "train/loss", "train/acc"):
        assert [value for _, value in first[curve]] == pytest.approx([value for _, value in second[curve]], abs=1e-6)
    at_the_stop = set(first["train/loss_step"]) - set(second["train/loss_step"])
    assert [at for at, _ in at_the_stop] in ([], [step])  # the Trainer logs a step after what Ctrl-C has ended
    assert set(second["train/loss_step"]) <= set(first["train/loss_step"])
    assert [command.split()[-3:] for command in read_metrics()["provenance"]["commands"][1:]] == [[*CONTINUE]]


def test_mails_are_parsed_once_for_messages_and_digest(
    done: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "mails"
    for number in range(40):
        mail = corpus / ("ham", "spam")[number % 2] / f"{number}.eml"
        mail.parent.mkdir(parents=True, exist_ok=True)
        mail.write_text(f"From: a@b.example\nSubject: {number}\n\nhello {number}\n")
    parsed: list[object] = []

    def noted(raw: bytes, place: str, *rest: Any) -> Any:
        parsed.append(place)
        return mail_row(raw, place, *rest)

    monkeypatch.setattr(folders, "mail_row", noted)
    done("fit", *SMALL, *LAST_REAL, "--data.corpus", corpus, "--trainer.max_steps", "1")
    assert len(parsed) == len(set(parsed)) == 40
    assert read_metrics()["provenance"]["corpus_sha256"] == {"--data.corpus": corpus_sha256(str(corpus))}


def test_what_is_imported_first_is_kept_out_of_garbage_collection() -> None:
    code = """import gc, sys
from spam_classifier.train import without_collection
with without_collection():
    assert not gc.isenabled()
frozen = gc.get_freeze_count()
assert gc.isenabled() and frozen > 1000
sys.modules["lightning"] = None
with without_collection():
    assert gc.isenabled()
assert gc.get_freeze_count() == frozen"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_error_after_training_leaves_the_last_checkpoint_alone(
    train: Callable, fit_topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluation at the end uses the best weights, not those trained last."""
    written = []

    def fail(self: pl.LightningModule, *_: object) -> None:
        if self.trainer.state.fn == "predict":
            written.append(LAST.read_bytes())
            raise KeyboardInterrupt

    monkeypatch.setattr("spam_classifier.training.module.SpamClassifier.on_predict_epoch_end", fail)
    assert train(*fit_topics, "--trainer.max_epochs", 2).code == 130
    assert LAST.read_bytes() == written[0]


def test_a_run_leaves_the_users_own_files_alone(fit: Callable, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("my own\n")
    (tmp_path / "config.yaml").write_text("trainer: {}\n")
    before = sorted(tmp_path.iterdir())
    fit(1, "--trainer.logger", "false", "--trainer.enable_checkpointing", "false", "--config", "config.yaml")
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "lightning_logs"])
    assert (tmp_path / "train.csv").read_text() == "my own\n"
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.slow
def test_refused_commands_leave_the_run_alone(train: Callable, done: Callable, fit: Callable, topics: Path) -> None:
    fit(1)
    kept = [RUN / name for name in ("train.csv", "test.csv", "config.yaml", "checkpoints/last.ckpt")]
    before = [path.read_bytes() for path in kept]
    more = [*CONTINUE, "--trainer.max_epochs", 2]
    assert train(*more, "--model.trainable", "last_block").code == 1
    with topics.open("a") as file:
        file.write("news,one report more\n")
    for arguments in (["test"], more):
        refused = train(*arguments)
        assert refused.code == 1
        assert "has changed since the run" in refused.err
    assert [path.read_bytes() for path in kept] == before
    done("test", "--data.corpus", topics)


@pytest.mark.slow
def test_moved_run_keeps_its_best_checkpoint(done: Callable, fit: Callable, tmp_path: Path) -> None:
    fit(3)
    moved = tmp_path / "elsewhere/run"
    moved.parent.mkdir()
    RUN.rename(moved)
    last = moved / "checkpoints/last.ckpt"
    (best,) = last.parent.glob("best-*")
    state = load(last)
    state["state_dict"]["head.bias"] += torch.tensor([9.0, 0, -9])  # what follows can't be better
    torch.save(state, last)
    out = done("fit", "--ckpt_path", last, "--trainer.limit_train_batches", 1, "--trainer.max_epochs", 4)
    assert list(last.parent.glob("best-*")) == [best]
    assert f"{hints.command_line('test')} --ckpt_path elsewhere/run\n" in out  # no command finds it without
    done("test", "--ckpt_path", best)


@pytest.mark.report
@pytest.mark.slow
def test_figures_of_a_part_are_not_kept_as_the_splits(train: Callable, done: Callable, fit: Callable) -> None:
    limited = ["--trainer.limit_val_batches", "0", "--trainer.limit_test_batches", "1", "--data.batch_size", 4]
    assert "neither temperature nor threshold is fitted" in fit(1, *limited)
    assert "nothing was fitted" in (RUN / "report.html").read_text()
    assert read_metrics()["validation"]["messages"] == 9  # all of it, whatever the training looked at
    refused = train("test", "--trainer.limit_test_batches", 1)
    assert "--trainer.limit_test_batches has no effect: an evaluation takes the whole split" in refused.err
    assert "not kept: these are not the run's own messages" in done("test", "--data.max_length", 4)
    assert "test" not in read_metrics()
    assert "\ntest              19  " in done("test")  # the limits of the training are not those of the test
    kept = read_metrics()
    for other in (["--data.keep", "tail"], ["--model.token_position", "first"]):
        assert "not read as in its training" in done("test", *other)
        assert read_metrics() == kept
    assert "\nreport" in done("test", "--data.padding", "longest")  # which this position does not see
    assert "the checkpoint's model has all; leave the flag out" in train("test", "--model.trainable", "lora").err


@pytest.mark.slow
def test_a_run_stopped_early_is_audited_when_it_is_tested(done: Callable, fit: Callable) -> None:
    fit(3)
    (RUN / "metrics.json").unlink()  # as if the process had been killed after its last epoch
    done("test")
    assert set(read_metrics()) == {"test", "audit", "classes"}


@pytest.mark.slow
def test_a_decision_of_other_weights_is_named(done: Callable, fit: Callable) -> None:
    fit(2, "--trainer.check_val_every_n_epoch", 2)
    assert "were fitted at step" not in done("test")
    done(*CONTINUE, "--trainer.max_epochs", 3)
    assert re.search(r"fitted at step 14, the weights are of step 21", done("test", "--ckpt_path", "last"))
    tested = read_metrics()["test"]
    assert (tested["decision_step"], tested["step"]) == (14, 21)


def test_runs_that_start_together_get_a_directory_each(tmp_path: Path) -> None:
    loggers = [RunLogger(RunDirectory(tmp_path / "lightning_logs")) for _ in range(3)]
    assert len({logger.log_dir for logger in loggers}) == 3


@pytest.mark.slow
def test_finished_run_trains_on(done: Callable, fit: Callable) -> None:
    fit(1)
    done("test")
    assert "test" in read_metrics()
    done(*CONTINUE, "--trainer.max_epochs", 3)
    assert "test" not in read_metrics()  # it was of another checkpoint
    fit(3, "--trainer.default_root_dir", "whole")
    assert_same_weights(LAST, "whole" / LAST)


@pytest.mark.parametrize("schedule", [[], ["--model.schedule", "cosine", "--model.warmup_steps", "2"]])
@pytest.mark.slow
def test_run_goes_on_with_another_learning_rate(done: Callable, fit: Callable, schedule: list[str]) -> None:
    fit(1, *schedule)
    before = load(LAST)
    done(*CONTINUE, "--trainer.max_epochs", 3, "--model.learning_rate", "1e-12", "--model.weight_decay", "0")
    after = load(LAST)
    (group,) = after["optimizer_states"][0]["param_groups"]
    assert group["lr"] <= 1e-12
    assert group["weight_decay"] == 0
    assert after["global_step"] > before["global_step"]
    for name, value in before["state_dict"].items():
        if name.startswith(("backbone.", "head.")):
            assert torch.allclose(value, after["state_dict"][name], rtol=0, atol=1e-8), name


def test_book_position_pads_single_texts_as_in_training(done: Callable, fit_topics: list[str]) -> None:
    """The row's last position depends on the padding, so the checkpoint keeps the padded length."""
    done(*(word for word in fit_topics if word not in LAST_REAL), "--trainer.max_epochs", 1)
    done("test")
    table = pd.read_csv(RUN / "predictions/test.csv")
    classifier = load_classifier(next(RUN.glob("checkpoints/best-*.ckpt")))
    alone = torch.cat([classifier.probabilities([text]) for text in table["text"]])
    columns = ["probability_news", "probability_sport", "probability_weather"]
    assert torch.allclose(torch.tensor(table[columns].to_numpy()).float(), alone, atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--trainer.strategy", "fsdp"], "the Trainer refuses its flags: .*FSDP.*--trainer.accelerator auto"),  # on CPU
        (["--model.learning_rate", "1e30"], "the training has diverged: lower --model.learning_rate"),
    ],
)
def test_failed_trainings_end_in_one_line(train: Callable, fit_topics: list[str], flags: list[str], error: str) -> None:
    failed = train(*fit_topics, *flags)
    assert failed.code == 1
    assert re.match(f"error: .*{error}", failed.err.splitlines()[-1])


@pytest.mark.slow
def test_trainer_flags_work_as_lightning_users_expect(fit: Callable, tmp_path: Path) -> None:
    fit(1, "--trainer.fast_dev_run", "true")
    assert not (tmp_path / "lightning_logs").exists()
    flags = ["--trainer.precision", "bf16-mixed", "--trainer.gradient_clip_val", "1"]
    flags += ["--trainer.enable_checkpointing", "false", "--trainer.default_root_dir", "elsewhere"]
    flags += ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"]
    flags += ["--trainer.callbacks.patience", "0", "--trainer.callbacks.min_delta", "100"]
    assert "2 epochs" in fit(9, *flags)  # stopped early: no second epoch can be better by 100
    assert not list(tmp_path.rglob("*.ckpt"))
    assert (tmp_path / "elsewhere/lightning_logs/version_0/train.csv").is_file()


@pytest.mark.slow
def test_quickstart_needs_no_network(command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's first command, each step in another process, where sockets only connect locally."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX:
            raise RuntimeError(f"network used: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)

    def done(*arguments: object) -> str:
        outcome = command(*arguments, cwd=tmp_path)
        assert outcome.code == 0, outcome.err
        return outcome.out

    limits = ["--trainer.max_epochs", 1, "--trainer.limit_train_batches", 60]  # .ci/run goes through all of it
    done("spam_classifier.train", "fit", "--config", CONFIGS / "quickstart.yaml", *limits)
    done("spam_classifier.train", "test")
    assert read_metrics()["test"]["messages"] == 501
    predicted = done("spam_classifier.predict", "hello there", "WIN a prize").splitlines()
    assert [line.split("\t")[0] in ("ham", "spam") for line in predicted] == [True, True]


@pytest.mark.slow
def test_real_corpus_with_a_small_model(done: Callable, uci_archive: Path) -> None:
    out = done("fit", *SMALL, *LAST_REAL, "--data.corpus", uci_archive, "--trainer.max_epochs", 2)
    assert "1,045 / 149 / 300 (train / validation / test), up to 120 tokens" in out
    done("test")
    assert len(pd.read_csv(RUN / "predictions/test.csv", keep_default_na=False)) == 300
    assert read_metrics()["test"]["acc"] > 0.8
