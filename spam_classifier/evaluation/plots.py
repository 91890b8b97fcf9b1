"""The figures of the report, and ``learning_curves.png``."""

import io
from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from torchmetrics.functional.classification import binary_roc

from spam_classifier.evaluation.coverage import coverage_curve
from spam_classifier.evaluation.metrics import wilson_interval
from spam_classifier.evaluation.predictions import PREFIX, label_confidence
from spam_classifier.evaluation.style import COLOURS, MARKS, SPLITS, STYLE, with_variables

SIZE = (4.7, 3.4)  # inches of a panel; as wide as a phone, so that the report's text is legible there
SCORE_BINS = 20
RELIABILITY_BINS = 10
FEWEST = 10  # messages in a bin of the reliability diagram
LEAST_COVERAGE = 0.5  # of fewer messages the intervals hide the rest
Curve = list[tuple[float, float]]
PANELS = {"loss": "loss (cross-entropy)", "acc": "accuracy", "learning_rate": "learning rate"}


def svg(figure: Figure) -> str:
    """A figure as an SVG element whose text stays text, and whose colours follow the page."""
    target = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    page = target.getvalue()
    return with_variables(page[page.index("<svg") :])


def panels_of(curves: Mapping[str, Curve]) -> list[str]:
    """The panels of the learning curves: the learning rate only where it changes."""
    rates = {rate for _, rate in curves.get("learning_rate", [])}
    return [panel for panel in PANELS if panel != "learning_rate" or len(rates) > 1]


@mpl.rc_context(STYLE)
def learning_curves(
    curves: Mapping[str, Curve], examples_per_epoch: int, panels: Sequence[str] | None = None
) -> Figure:
    """Draw the learning curves.

    ``curves`` are points (epoch, value) of ``train/loss_step``, ``train/loss``, ``val/loss``, ``train/acc``,
    ``val/acc`` and ``learning_rate``; any may be missing. The upper axis counts messages. ``panels`` are those of
    ``PANELS`` to draw, by default all that there are.
    """
    panels = panels_of(curves) if panels is None else panels
    figure = Figure(figsize=(SIZE[0] * len(panels), SIZE[1]), layout="constrained")
    best = min(curves.get("val/loss", []), key=lambda point: point[1], default=None)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        if panel == "learning_rate":
            axes.plot(*zip(*curves[panel], strict=True), color=COLOURS["note"])
        else:
            _draw_learning(axes, curves, panel, None if best is None else best[0])
        axes.set(xlabel="epoch", ylabel=PANELS[panel])
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=None if panel == "acc" else 0)
        seen = (lambda epochs: epochs * examples_per_epoch, lambda examples: examples / examples_per_epoch)
        above = axes.secondary_xaxis("top", functions=seen)
        above.set_xlabel("messages seen", fontsize="small", color=COLOURS["note"])
        above.tick_params(labelsize="small")
        above.xaxis.set_major_formatter(FuncFormatter(_count))
    return figure


def _draw_learning(axes: Axes, curves: Mapping[str, Curve], name: str, best: float | None) -> None:
    steps = curves.get(f"train/{name}_step", [])
    epochs = {stage: curves.get(f"{stage}/{name}", []) for stage in ("train", "val")}
    if steps:
        axes.plot(*zip(*steps, strict=True), label="training, each step", color=SPLITS["train"], alpha=0.4, linewidth=1)
    for stage, split, said in (("train", "train", "training, mean of an epoch"), ("val", "validation", "validation")):
        if points := epochs[stage]:
            axes.plot(*zip(*points, strict=True), label=said, **MARKS[split])
    if best is not None:
        axes.axvline(best, color=COLOURS["edge"], linestyle=":", linewidth=1.2, label="lowest validation loss")
    if steps:
        # the first steps may be several times as high as all that matters
        usual = np.quantile([value for _, value in steps], 0.95)
        highest = 1.15 * max([usual, *(value for points in epochs.values() for _, value in points)])
        if (top := max(value for _, value in steps)) > highest:
            axes.set_ylim(top=highest)
            axes.annotate(f"steps up to {top:.2g}", (0.02, 0.99), xycoords="axes fraction", va="top", fontsize="small")
    if axes.get_lines():
        axes.legend()


@mpl.rc_context(STYLE)
def scores(table: pd.DataFrame, classes: Sequence[str], threshold: float, split: str) -> Figure:
    """How many messages of each of two classes have which probability of the second."""
    figure, axes = _panel()
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    for label, name, place in zip(classes, ("ham", "spam"), (0, 0.5), strict=True):
        counts, _ = np.histogram(table.loc[table["label"] == label, PREFIX + classes[1]], edges)
        left = edges[:-1] + (0.05 + place * 0.9) / SCORE_BINS
        axes.bar(left, counts, width=0.45 / SCORE_BINS, align="edge", color=COLOURS[name], label=f"truly {label}")
    axes.axvline(threshold, color=COLOURS["ink"], linewidth=1.2, label=f"threshold {threshold:.3g}")
    axes.set_yscale("symlog", linthresh=1)  # a few messages in the middle, hundreds at the ends
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(_count))
    axes.set(xlabel=f"probability of {classes[1]}", ylabel=f"{split} messages", xlim=(-0.01, 1.01))
    axes.grid(visible=False, axis="x")
    _legend_below(figure)
    return figure


@mpl.rc_context(STYLE)
def roc(splits: Mapping[str, pd.DataFrame], classes: Sequence[str], thresholds: Mapping[str, float]) -> Figure:
    """ROC curves of the second of two classes, zoomed to where they bend; a mark at each split's threshold."""
    figure, axes = _panel()
    marks = []
    for name, table in splits.items():
        labels = torch.tensor((table["label"] == classes[1]).to_numpy(copy=True)).long()
        if len(labels.unique()) < 2:
            continue
        ranked = torch.tensor(table[PREFIX + classes[1]].to_numpy())
        false, true, _ = binary_roc(ranked, labels)
        style = {**MARKS[name], "marker": None, "drawstyle": "steps-post"}
        axes.plot(false, true, label=f"{name}, threshold {thresholds[name]:.3g}", **style)
        taken = ranked >= thresholds[name]
        here = float(taken[labels == 0].float().mean()), float(taken[labels == 1].float().mean())
        style = {**MARKS[name], "markersize": 8, "linestyle": "none"}
        axes.plot(*here, clip_on=False, zorder=3, **style)
        marks.append(here)
    right = 1 - _corner(1 - false for false, _ in marks)
    _zoom(axes, (-0.02 * right, 1.02 * right), _corner(true for _, true in marks))
    axes.set(xlabel=f"{classes[0]} taken for {classes[1]}", ylabel=f"{classes[1]} found")
    _legend_below(figure)
    return figure


def _corner(shares: Iterable[float]) -> float:
    """Where to begin an axis that ends at 1, so that the lowest of the shares is well inside."""
    return max(0.0, np.floor(20 * (1 - 3 * (1 - min(shares)) - 0.02)) / 20)


def _zoom(axes: Axes, across: tuple[float, float], bottom: float) -> None:
    axes.set(xlim=across, ylim=(bottom, 1 + 0.02 * (1 - bottom)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))


@mpl.rc_context(STYLE)
def reliability(table: pd.DataFrame, classes: Sequence[str], split: str) -> Figure:
    """How often a probability comes true: of the second of two classes, of the most probable one of more.

    The bins are tenths, put together until each has ``FEWEST`` messages; each has its number of messages beside it.
    """
    figure, axes = _panel()
    probabilities = table[[PREFIX + label for label in classes]].to_numpy()
    if len(classes) == 2:
        predicted, true = probabilities[:, 1], (table["label"] == classes[1]).to_numpy()
        axes.set(xlabel=f"probability of {classes[1]}", ylabel=f"share that is {classes[1]}")
    else:
        predicted = probabilities.max(axis=1)
        true = np.array(classes)[probabilities.argmax(axis=1)] == table["label"].to_numpy()
        axes.set(xlabel="probability of the most probable class", ylabel="share that is right")
    bins = np.minimum((predicted * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    axes.plot([0, 1], [0, 1], color=COLOURS["edge"], linestyle=":", linewidth=1.2, label="as it should be")
    shown = [(predicted[rows].mean(), true[rows].mean(), int(rows.sum())) for rows in _joined(bins)]
    x, y, counts = (np.array(values) for values in zip(*shown, strict=True))
    intervals = np.array([wilson_interval(share, rows) for share, rows in zip(y, counts, strict=True)])
    style = {**MARKS[split], "linestyle": "none"}
    axes.errorbar(x, y, yerr=np.abs(intervals.T - y), capsize=3, label=f"{split}, with 95% interval", **style)
    for place, share, rows in shown:
        is_right = place > 0.85
        axes.annotate(
            f"{rows:,}",
            (place, share),
            xytext=(-7 if is_right else 7, 0),
            textcoords="offset points",
            ha="right" if is_right else "left",
            va="center",
            fontsize="small",
            color=COLOURS["note"],
        )
    first = 0 if len(classes) == 2 else 1 / len(classes)
    axes.set(xlim=(first - 0.03, 1.03), ylim=(-0.03, 1.03))
    _legend_below(figure)
    return figure


@mpl.rc_context(STYLE)
def coverage(
    splits: Mapping[str, pd.DataFrame], classes: Sequence[str], thresholds: Mapping[str, float | None]
) -> Figure:
    """How many labels are right if only the surest messages get one, with 95% intervals."""
    figure, axes = _panel()
    lowest = 1.0
    for name, table in splits.items():
        curve = coverage_curve(*label_confidence(table, classes, thresholds[name]))
        shown = [point for point in curve if point.coverage >= LEAST_COVERAGE]
        shares = [point.coverage for point in shown]
        axes.plot(shares, [point.accuracy for point in shown], label=name, **{**MARKS[name], "marker": None})
        low, high = zip(*(point.interval for point in shown), strict=True)
        axes.fill_between(shares, low, high, color=SPLITS[name], alpha=0.15, linewidth=0)
        lowest = min(lowest, *low)
    _zoom(axes, (LEAST_COVERAGE - 0.02, 1.02), lowest)
    axes.set(xlabel="messages that get a label, the surest first", ylabel="labels that are right")
    _legend_below(figure)
    return figure


def _joined(bins: np.ndarray) -> list[np.ndarray]:
    """Masks of rows, bool [N]: neighbouring bins together until they have ``FEWEST`` rows; at least one mask."""
    masks: list[np.ndarray] = []
    gathered = np.zeros(len(bins), dtype=bool)
    for number in np.unique(bins):
        gathered = gathered | (bins == number)
        if gathered.sum() >= FEWEST:
            masks.append(gathered)
            gathered = np.zeros(len(bins), dtype=bool)
    if gathered.any():  # too few at the end
        masks = [*masks[:-1], masks[-1] | gathered] if masks else [gathered]
    return masks


def _count(number: float, _: int) -> str:
    return f"{number:,.0f}"


def _panel() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    return figure, figure.subplots()


def _legend_below(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels) if len(labels) < 4 else 2)
