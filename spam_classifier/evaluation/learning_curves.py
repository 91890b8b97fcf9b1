"""Loss and accuracy over a training run, as the book draws them: one picture in the run's directory."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spam_classifier.run_directory import run_directory
from spam_classifier.runs.logger import RunLogger
from spam_classifier.runs.metrics_file import update_metrics
from spam_classifier.whole_file import whole_file

FILE_NAME = "learning_curves.png"
Curve = list[tuple[float, float]]


class LearningCurves(Callback):
    """Draw loss and accuracy against epochs (below) and examples seen (above) when training has ended.

    The points travel in the checkpoint, so that a continued run draws the whole of it. The Trainer logs what a step or
    an epoch ends with only when the checkpoints of that moment are written: here it is logged before, or a run that is
    killed in between would go on without it.
    """

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}

    def state_dict(self) -> dict[str, Any]:
        """The points so far."""
        return {"curves": self.curves}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the points of the run that is continued."""
        self.curves = {name: [(x, y) for x, y in curve] for name, curve in state_dict["curves"].items()}

    def _record(self, trainer: pl.Trainer, epoch: float, *names: str) -> None:
        for name in names:
            if name in trainer.callback_metrics:
                self.curves.setdefault(name, []).append((epoch, float(trainer.callback_metrics[name])))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss of the step, as often as it is logged."""
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        done = batch_idx + 1
        stepped = done % trainer.accumulate_grad_batches == 0 or done == trainer.num_training_batches
        if every and stepped and trainer.global_step % every == 0:
            self._record(trainer, trainer.current_epoch + done / trainer.num_training_batches, "train/loss_step")
            self._log(trainer, "train/loss_step")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the validation metrics."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            done = trainer.fit_loop.epoch_loop.batch_progress.current.ready / trainer.num_training_batches
            self._record(trainer, trainer.current_epoch + done, "val/loss", "val/acc")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the epoch's training metrics: means over its steps, so they stand in its middle."""
        self._record(trainer, trainer.current_epoch + 0.5, "train/loss", "train/acc")
        self._log(trainer, "train/loss", "train/acc")

    def _log(self, trainer: pl.Trainer, *names: str) -> None:
        if isinstance(trainer.logger, RunLogger):
            figures = {
                name: float(trainer.callback_metrics[name]) for name in names if name in trainer.callback_metrics
            }
            trainer.logger.log_metrics({**figures, "epoch": trainer.current_epoch}, trainer.global_step - 1)
            trainer.logger.save()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw."""
        directory = run_directory(trainer)
        if trainer.is_global_zero and directory is not None and self.curves:
            batch_size = getattr(trainer.datamodule, "batch_size", 1)  # type: ignore[attr-defined]
            examples_per_epoch = int(trainer.num_training_batches * batch_size * trainer.world_size)
            curves = {**self.curves, "examples_per_epoch": examples_per_epoch}
            update_metrics(directory, {"curves": curves})
            with whole_file(directory / FILE_NAME) as unfinished:
                learning_curves(self.curves, examples_per_epoch).savefig(unfinished, dpi=120, format="png")


def learning_curves(curves: dict[str, Curve], examples_per_epoch: int) -> Figure:
    """Draw the learning curves.

    Args:
        curves: Points (epoch, value) of ``train/loss_step``, ``train/loss``, ``val/loss``, ``train/acc`` and
            ``val/acc``; any may be missing.
        examples_per_epoch: Messages seen in an epoch, for the upper axis.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    _plot(loss, curves, "train/loss_step", "training, each step", color="tab:blue", alpha=0.25)
    _plot(loss, curves, "train/loss", "training, mean of the epoch", color="tab:blue", marker="o")
    _plot(loss, curves, "val/loss", "validation", color="tab:orange", marker="o")
    _plot(accuracy, curves, "train/acc", "training, mean of the epoch", color="tab:blue", marker="o")
    _plot(accuracy, curves, "val/acc", "validation", color="tab:orange", marker="o")
    for axes, label in ((loss, "loss (cross-entropy)"), (accuracy, "accuracy")):
        axes.set_xlabel("epochs")
        axes.set_xlim(left=0)
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        if axes.get_lines():
            axes.legend()
        above = axes.secondary_xaxis(
            "top",
            functions=(
                lambda epochs: epochs * examples_per_epoch,
                lambda examples: examples / examples_per_epoch,
            ),
        )
        above.set_xlabel("examples seen")
    loss.set_ylim(bottom=0)
    return figure


def _plot(axes: Axes, curves: dict[str, Curve], name: str, label: str, **style: Any) -> None:
    if points := curves.get(name):
        axes.plot(*zip(*points, strict=True), label=label, **style)
