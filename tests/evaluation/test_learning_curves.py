"""The learning curves, from real training runs and from points given."""

import io
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.evaluation.plots import learning_curves, panels_of
from spam_classifier.training.curves import FILE_NAME, LearningCurves

TINY = {"weights": "random", "layers": 1, "width": 8, "heads": 1, "context": 64, "trainable": "last_layer"}
CURVES = {
    "train/loss_step": [(0.25, 0.9), (0.5, 0.8), (0.75, 0.7)],
    "train/loss": [(0.5, 0.8)],
    "val/loss": [(1.0, 0.6)],
    "train/acc": [(0.5, 0.5)],
    "val/acc": [(1.0, 0.75)],
    "learning_rate": [(0.25, 0.1), (0.5, 0.05)],
}


@pytest.fixture
def data(tmp_path: Path) -> SpamDataModule:
    """56 training messages: 7 batches; 8 for validation: one."""
    lines = ["label,text", *(f"{label},{label} {number}" for label in ("ham", "spam") for number in range(40))]
    path = tmp_path / "corpus.csv"
    path.write_text("\n".join(lines) + "\n")
    return SpamDataModule(str(path))


@pytest.fixture
def curves(tmp_path: Path, trainer: Callable) -> Callable[..., pl.Trainer]:
    """Make a Trainer that logs and has the callback."""

    def curves(callback: LearningCurves, **options: object) -> pl.Trainer:
        logger = pl.loggers.CSVLogger(tmp_path, name=None, version="run")
        options = {"max_epochs": 2, "log_every_n_steps": 1, "num_sanity_val_steps": None, **options}
        return trainer(callbacks=[callback], logger=logger, **options)

    return curves


def epochs(callback: LearningCurves, name: str) -> list[float]:
    return [epoch for epoch, _ in callback.curves[name]]


@pytest.mark.report
def test_a_run_leaves_the_picture_and_its_points(tmp_path: Path, curves: Callable, data: SpamDataModule) -> None:
    callback = LearningCurves()
    curves(callback).fit(SpamClassifier(**TINY), data)
    assert epochs(callback, "train/loss_step") == pytest.approx([step / 7 for step in range(1, 15)])
    assert epochs(callback, "train/loss") == epochs(callback, "train/acc") == [0.5, 1.5]
    assert epochs(callback, "val/loss") == epochs(callback, "val/acc") == [1, 2]
    by_step = [loss for _, loss in callback.curves["train/loss_step"]]
    by_epoch = [loss for _, loss in callback.curves["train/loss"]]
    assert by_epoch == pytest.approx([np.mean(by_step[:7]), np.mean(by_step[7:])], abs=1e-5)
    assert (tmp_path / "run" / FILE_NAME).read_bytes().startswith(b"\x89PNG")


def test_validation_within_an_epoch_is_placed_within_it(tmp_path: Path, curves: Callable, data: SpamDataModule) -> None:
    callback = LearningCurves()
    curves(callback, max_epochs=1, val_check_interval=3).fit(SpamClassifier(**TINY), data)
    assert epochs(callback, "val/loss") == pytest.approx([3 / 7, 6 / 7])


def test_a_continued_run_draws_the_whole(tmp_path: Path, curves: Callable, data: SpamDataModule) -> None:
    first = LearningCurves()
    run = curves(first, max_epochs=1)
    run.fit(SpamClassifier(**TINY), data)
    run.save_checkpoint(tmp_path / "first.ckpt")
    second = LearningCurves()
    curves(second).fit(SpamClassifier(**TINY), data, ckpt_path=tmp_path / "first.ckpt")
    assert all(second.curves[name][: len(points)] == points for name, points in first.curves.items())
    assert epochs(second, "val/loss") == [1, 2]
    assert epochs(second, "train/loss_step") == pytest.approx([step / 7 for step in range(1, 15)])


@pytest.mark.parametrize("options", [{"fast_dev_run": True}, {"max_epochs": 0}])
def test_no_picture_without_training(
    tmp_path: Path, curves: Callable, data: SpamDataModule, options: dict[str, object]
) -> None:
    curves(LearningCurves(), **options).fit(SpamClassifier(**TINY), data)
    assert not list(tmp_path.rglob(FILE_NAME))


def test_logging_of_steps_may_be_off(tmp_path: Path, curves: Callable, data: SpamDataModule) -> None:
    callback = LearningCurves()
    curves(callback, max_epochs=1, log_every_n_steps=0).fit(SpamClassifier(**TINY), data)
    assert not {"train/loss_step", "learning_rate"} & set(callback.curves)
    assert (tmp_path / "run" / FILE_NAME).is_file()


@pytest.mark.parametrize("missing", [[], *([name] for name in CURVES), list(CURVES)])
def test_each_curve_is_drawn_and_any_may_be_missing(missing: list[str]) -> None:
    shown = {name: points for name, points in CURVES.items() if name not in missing}
    figure = learning_curves(shown, 1045)
    lines = [line for axes in figure.axes for line in axes.get_lines() if line.get_linestyle() != ":"]  # the best epoch
    assert sorted(tuple(line.get_xydata()[0]) for line in lines) == sorted(points[0] for points in shown.values())
    if len(missing) != 1:  # drawing takes long
        figure.savefig(io.BytesIO(), format="png")


def test_a_high_first_step_does_not_flatten_the_rest() -> None:
    steps = [(0.01 * (number + 1), 0.4) for number in range(100)]
    points = {"train/loss_step": [(0.0, 9.0), *steps], "train/loss": [(0.5, 0.5)], "val/loss": [(1.0, 0.3)]}
    axes = learning_curves(points, 100).axes[0]
    assert axes.get_ylim()[1] < 0.7
    assert [text.get_text() for text in axes.texts] == ["steps up to 9"]


def test_a_constant_learning_rate_has_no_panel() -> None:
    assert panels_of({"learning_rate": [(0.1, 1e-3), (0.2, 1e-3)]}) == ["loss", "acc"]
    assert panels_of({"learning_rate": [(0.1, 1e-3), (0.2, 5e-4)]}) == ["loss", "acc", "learning_rate"]
