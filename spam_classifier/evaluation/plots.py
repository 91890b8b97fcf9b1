"""The report's pictures."""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

from spam_classifier.evaluation.metrics import wilson_interval
from spam_classifier.evaluation.predictions import PREFIX

RELIABILITY_BINS = 10
LENGTH_BINS = 5
Curve = list[tuple[float, float]]
COLOURS = {"validation": "tab:orange", "test": "tab:blue"}


def svg(figure: Figure) -> str:
    """A figure as an SVG element whose text stays text."""
    target = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):  # the same page for the same run
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    figure.set_layout_engine("none")  # it is laid out already; to do so again takes longer than the drawing
    page = target.getvalue()
    return page[page.index("<svg") :]


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


def roc_and_precision_recall(
    splits: Mapping[str, pd.DataFrame], classes: Sequence[str], thresholds: Mapping[str, float]
) -> Figure:
    """ROC and precision-recall curves of the second of two classes, with a dot at each split's threshold."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    roc, precision_recall = figure.subplots(1, 2)
    for name, table in splits.items():
        scores = torch.tensor(table[PREFIX + classes[1]].to_numpy())
        labels = torch.tensor((table["label"] == classes[1]).to_numpy(copy=True)).long()
        if len(labels.unique()) < 2:
            continue
        false, true, _ = binary_roc(scores, labels)
        precision, recall, _ = binary_precision_recall_curve(scores, labels)
        colour = COLOURS.get(name)
        style = {"label": f"{name}, threshold {thresholds[name]:.3g}", "color": colour, "drawstyle": "steps-post"}
        roc.plot(false, true, **style)
        precision_recall.plot(recall, precision, **style)
        taken = scores >= thresholds[name]
        share = float(taken[labels == 1].float().mean())
        roc.plot(float(taken[labels == 0].float().mean()), share, "o", color=colour)
        if bool(taken.any()):
            precision_recall.plot(share, float(labels[taken].float().mean()), "o", color=colour)
    roc.set(xlabel=f"{classes[0]} taken for {classes[1]}", ylabel=f"{classes[1]} found", title="ROC")
    precision_recall.set(
        xlabel=f"{classes[1]} found (recall)", ylabel="precision", title="precision and recall", ylim=(-0.02, 1.02)
    )
    for axes in (roc, precision_recall):
        axes.grid(alpha=0.3)
        axes.legend(title="dot: at the threshold")
    return figure


def reliability(splits: Mapping[str, pd.DataFrame], classes: Sequence[str]) -> Figure:
    """How often the most probable class is right, against its probability."""
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="calibrated")
    for name, table in splits.items():
        probabilities = table[[PREFIX + label for label in classes]].to_numpy()
        confidence = probabilities.max(axis=1)
        right = np.array(classes)[probabilities.argmax(axis=1)] == table["label"].to_numpy()
        bins = np.minimum((confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
        shown = [(confidence[bins == b].mean(), right[bins == b].mean(), (bins == b).sum()) for b in np.unique(bins)]
        x, y, messages = (np.array(values) for values in zip(*shown, strict=True))
        intervals = np.array([wilson_interval(share, rows) for share, rows in zip(y, messages, strict=True)])
        spread = np.abs(intervals.T - y)
        axes.errorbar(x, y, yerr=spread, marker="o", capsize=3, label=name, color=COLOURS.get(name))
    axes.set(xlabel="probability of the most probable class", ylabel="share that is right", title="reliability")
    axes.set_xlim(1 / len(classes) - 0.02, 1.02)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def errors_by_length(table: pd.DataFrame, tokens: np.ndarray, split_name: str) -> Figure:
    """Share of wrong labels among short and long messages; ``tokens`` are their lengths, int64 [N]."""
    edges = np.unique(np.quantile(tokens, np.linspace(0, 1, LENGTH_BINS + 1)).round().astype(int))
    bins = np.clip(np.searchsorted(edges, tokens, side="left") - 1, 0, max(len(edges) - 2, 0))
    wrong = (table["predicted"] != table["label"]).to_numpy()
    names, shares, intervals = [], [], []
    for number in np.unique(bins):
        chosen = bins == number
        names.append(f"{tokens[chosen].min()}-{tokens[chosen].max()}\n({chosen.sum()})")
        shares.append(wrong[chosen].mean())
        intervals.append(wilson_interval(shares[-1], int(chosen.sum())))
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.subplots()
    spread = np.abs(np.array(intervals).T - np.array(shares))
    axes.bar(names, shares, yerr=spread, capsize=4, color=COLOURS.get(split_name), alpha=0.7)
    axes.set(xlabel="tokens (messages)", ylabel="share that is wrong", title=f"length and error, {split_name}")
    axes.grid(alpha=0.3, axis="y")
    axes.tick_params(axis="x", labelsize="small")  # room for thousands of tokens
    return figure
