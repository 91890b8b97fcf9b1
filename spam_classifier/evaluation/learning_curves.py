"""Loss and accuracy over a training run, drawn as in the book."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

Curve = list[tuple[float, float]]


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
