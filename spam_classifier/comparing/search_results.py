"""The trials of a search as tables and as a picture."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator
from optuna.trial import FrozenTrial

from spam_classifier.comparing.search_space import CategoricalDistribution, Distribution
from spam_classifier.comparing.table import Lines
from spam_classifier.data.splits import VALIDATION
from spam_classifier.evaluation.style import COLOURS, SPLITS, STYLE
from spam_classifier.evaluation.text_tables import percent

COMPLETE = "complete"
STATES = {"COMPLETE": COMPLETE, "PRUNED": "pruned", "FAIL": "failed"}
PANELS = 4  # in a row
LOSS = "validation loss"


def record_of(number: int, trial: FrozenTrial, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A trial as a line of ``search.csv``: shares from 0 to 1, its lowest validation loss so far."""
    figures = metrics.get(VALIDATION, {})
    return {
        "trial": number,
        "state": STATES[trial.state.name],
        **trial.params,
        "validations": len(trial.intermediate_values),
        LOSS: min(trial.intermediate_values.values(), default=None),
        "accuracy": figures.get("acc"),
        "f1": figures.get("f1"),
        "seconds": trial.user_attrs["seconds"],
        "error": trial.user_attrs.get("error"),
    }


def table_of(records: Lines, space: Mapping[str, Distribution]) -> tuple[Lines, Lines]:
    """The trials' results and their settings, as two tables that fit a terminal."""
    results, settings = [], []
    for record in records:
        loss = record[LOSS]
        results.append(
            {
                "trial": record["trial"],
                "state": record["state"],
                LOSS: None if loss is None else f"{loss:.5f}",
                "accuracy": percent(record["accuracy"]),
                "F1": percent(record["f1"]),
                "validations": record["validations"],
                "seconds": f"{record['seconds']:,.1f}",
                **({"error": record["error"] or ""} if any(other["error"] for other in records) else {}),
            }
        )
        values = {name: record[name] for name in space}
        shown = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in values.items()}
        settings.append({"trial": record["trial"], **{name.partition(".")[2]: value for name, value in shown.items()}})
    return results, settings


def sentence_of(differences: Lines, seeds: Sequence[int]) -> str:
    """What the comparison of the best trial with the config says."""
    of_test = [line for line in differences if line["split"] == "test"]
    if not of_test:
        return "The best and the config could not be compared on the test split: see the runs above."
    line = of_test[0]
    sure = f"95% interval {line['95% interval']}" if line.get("95% interval") else "no interval"
    return (
        f"On the test splits of {len(seeds)} seeds that the search has not seen, F1 of the best minus F1 of the config "
        f"is {line['difference']} percentage points ({sure})."
    )


@mpl.rc_context(STYLE)
def draw_search(records: Lines, space: Mapping[str, Distribution]) -> Figure:
    """The loss by trial with the lowest so far, and by each setting; trials that did not end are hollow."""
    trials = [record for record in records if record[LOSS] is not None]
    rows = math.ceil(len(space) / PANELS)
    figure = Figure(figsize=(11, 3 + 2.4 * rows), layout="constrained")
    grid = figure.add_gridspec(1 + rows, PANELS, height_ratios=[1.3] + [1] * rows)
    whole = figure.add_subplot(grid[0, :])
    whole.set(xlabel="trial", ylabel=LOSS, yscale="log")
    whole.xaxis.set_major_locator(MaxNLocator(integer=True))
    whole.yaxis.set(major_locator=MaxNLocator(5), major_formatter="{x:.3g}", minor_locator=NullLocator())
    panels = []
    for place, (name, values) in enumerate(space.items()):
        axes = figure.add_subplot(grid[1 + place // PANELS, place % PANELS], sharey=whole)
        axes.set_title(name.partition(".")[2])
        axes.tick_params("y", labelleft=place % PANELS == 0)
        axes.tick_params("x", labelsize="small")
        if isinstance(values, CategoricalDistribution):
            axes.set_xticks(range(len(values.choices)), labels=map(str, values.choices))
            axes.margins(x=0.2)
        elif values.log:
            axes.set_xscale("log")
            axes.xaxis.set(major_formatter="{x:g}", minor_formatter=NullFormatter())
        panels.append(axes)
    style: dict[str, Any] = {"color": SPLITS[VALIDATION], "marker": "o", "linestyle": "none"}
    for label, fill in ((COMPLETE, SPLITS[VALIDATION]), ("pruned or failed, lowest until then", "none")):
        some = [record for record in trials if (record["state"] == COMPLETE) == (label == COMPLETE)]
        losses = [record[LOSS] for record in some]
        whole.plot([record["trial"] for record in some], losses, markerfacecolor=fill, label=label, **style)
        for axes, (name, values) in zip(panels, space.items(), strict=True):
            places = [record[name] for record in some]
            if isinstance(values, CategoricalDistribution):
                places = [values.choices.index(value) for value in places]
            axes.plot(places, losses, markerfacecolor=fill, **style)
    complete = [record for record in trials if record["state"] == COMPLETE]
    lowest = [*accumulate((record[LOSS] for record in complete), min)]
    ends = [record["trial"] for record in complete] + [record["trial"] for record in trials[-1:]]
    whole.step(ends, lowest + lowest[-1:], where="post", color=COLOURS["edge"], label="lowest of the complete ones")
    whole.legend()
    return figure
