"""The runs of a grid of experiments as pictures."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from spam_classifier.comparing.published import PUBLISHED
from spam_classifier.comparing.rows import Row
from spam_classifier.comparing.table import GPT2, estimate
from spam_classifier.data.splits import TEST, VALIDATION
from spam_classifier.evaluation.figures import NATURAL
from spam_classifier.evaluation.style import COLOURS, MARKS, STYLE


@mpl.rc_context(STYLE)
def draw_accuracies(rows: Sequence[Row], runs: pd.DataFrame, *, compared: bool = True) -> Figure:
    """GPT-2's accuracies with intervals or spreads, the first row on top.

    Published ones are hollow and grey; they are left out unless ``compared``, as runs of smaller models can't be.
    """
    runs = runs[runs["model"] == GPT2]
    splits = [split for split in (VALIDATION, TEST) if split == VALIDATION or split in set(runs["split"])]
    spread = "± standard deviation" if runs["seed"].nunique() > 1 else "95% interval"
    known = {place: row.name for place, row in enumerate(rows) if compared and row.name in PUBLISHED.index}
    figure = Figure(figsize=(9, 1.8 + 0.32 * len(rows) * len(splits)), layout="constrained")
    axes = figure.subplots()
    for number, split in enumerate(splits):
        below = 0.4 * number - 0.2 * (len(splits) - 1)
        found = {place + below: estimate(runs[runs["config"] == row.name], split) for place, row in enumerate(rows)}
        shown = {place: accuracy for place, accuracy in found.items() if accuracy is not None}
        middles = [middle for middle, _, _ in shown.values()]
        reach = [[abs(accuracy[0] - accuracy[side]) for accuracy in shown.values()] for side in (1, 2)]
        style: dict[str, Any] = {**MARKS[split], "linestyle": "none", "capsize": 3}
        axes.errorbar(middles, list(shown), xerr=reach, label=f"{split} ({spread})", **style)
        if known:
            values = PUBLISHED.loc[list(known.values()), split]
            places = [place + below + 0.12 for place in known]
            label = f"{split}, published for pretrained GPT-2"
            style = {"color": COLOURS["edge"], "marker": MARKS[split]["marker"], "markerfacecolor": "none"}
            axes.plot(values, places, linestyle="none", label=label, **style)
    axes.set_yticks(range(len(rows)), labels=[f"{row.number} {row.what}".strip() for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("accuracy, %")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@mpl.rc_context(STYLE)
def draw_learning_curve(runs: pd.DataFrame) -> Figure:
    """F1 against the training messages per class, with its standard deviation over the seeds."""
    splits = [split for split in (VALIDATION, TEST, NATURAL) if split == VALIDATION or split in set(runs["split"])]
    sizes = sorted(runs["size"].unique())
    figure = Figure(figsize=(6 * len(splits), 4.5), layout="constrained")
    for axes, split in zip(figure.subplots(1, len(splits), squeeze=False)[0], splits, strict=True):
        for (config, model), group in runs[runs["split"] == split].groupby(["config", "model"], sort=False):
            by_size = (100 * group.astype({"f1": float}).set_index("size")["f1"]).groupby("size")
            mean, spread = by_size.mean(), by_size.std().fillna(0)
            label = str(model) if runs["config"].nunique() == 1 else f"{model}, {config}"
            axes.errorbar(mean.index, mean, yerr=spread, marker="o", capsize=3, label=label)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, labels=map(str, sizes))
        axes.set(xlabel="training messages per class", ylabel="F1, %", title=split)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    return figure
