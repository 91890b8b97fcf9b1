"""Loss and accuracy over a training run, drawn as in the book."""

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
    for axes, name, label in zip(
        figure.subplots(1, 2), ("loss", "acc"), ("loss (cross-entropy)", "accuracy"), strict=True
    ):
        if points := curves.get(f"train/{name}_step"):
            axes.plot(*zip(*points, strict=True), label="training, each step", color="tab:blue", alpha=0.25)
        for stage, said, colour in (("train", "training, mean of the epoch", "blue"), ("val", "validation", "orange")):
            if points := curves.get(f"{stage}/{name}"):
                axes.plot(*zip(*points, strict=True), label=said, color=f"tab:{colour}", marker="o")
        axes.set(xlabel="epochs", ylabel=label)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        if name == "loss":
            axes.set_ylim(bottom=0)
        if axes.get_lines():
            axes.legend()
        seen = (lambda epochs: epochs * examples_per_epoch, lambda examples: examples / examples_per_epoch)
        axes.secondary_xaxis("top", functions=seen).set_xlabel("examples seen")
    return figure
