"""A folder of experiments as one table and one picture, beside the published figures."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from spam_classifier.comparing.published import PUBLISHED, WITHOUT_RUN
from spam_classifier.comparing.rows import Row
from spam_classifier.data.splits import TEST, TRAIN, VALIDATION
from spam_classifier.evaluation.plots import COLOURS

COSTS = ("learning_parameters", "seconds", "peak_memory")
MISSING = "-"


class Estimate(NamedTuple):
    """An accuracy over the seeds, in per cent.

    Attributes:
        middle: The mean.
        low: One standard deviation below; of one run the lower end of its 95 % Wilson interval.
        high: The same, above.
        runs: How many runs it is the mean of.
    """

    middle: float
    low: float
    high: float
    runs: int


def run_record(
    row: Row, seed: int, metrics: Mapping[str, Any], error: str | None, splits_digest: str
) -> dict[str, Any]:
    """A run as a row of ``experiments.csv``: accuracies and their 95 % intervals as shares, memory in bytes.

    Args:
        row: What was run.
        seed: Its seed.
        metrics: The run's ``metrics.json``; what it lacks is None.
        error: Why the run failed, None if it did not.
        splits_digest: Tells its splits from others.
    """
    record: dict[str, Any] = {"row": row.number, "what": row.what, "config": row.name, "seed": seed}
    for split in (TRAIN, VALIDATION, TEST):
        figures = metrics.get(split, {})
        low, high = figures.get("acc_interval", (None, None))
        record |= {split: figures.get("acc"), f"{split}_low": low, f"{split}_high": high}
    return {
        **record,
        **{name: metrics.get("run", {}).get(name) for name in COSTS},
        "error": error,
        "splits": splits_digest,
    }


def estimate(runs: pd.DataFrame, split: str) -> Estimate | None:
    """The accuracy of a row on a split; None where no run has any.

    Args:
        runs: The row's runs, as of ``run_record``.
        split: The split's name.
    """
    known = 100 * runs[[split, f"{split}_low", f"{split}_high"]].astype(float).dropna()
    if known.empty:
        return None
    mean = float(known[split].mean())
    if len(known) == 1:
        return Estimate(mean, float(known[f"{split}_low"].iloc[0]), float(known[f"{split}_high"].iloc[0]), 1)
    spread = float(known[split].std())
    return Estimate(mean, mean - spread, mean + spread, len(known))


def runs_of(row: Row, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of one row."""
    return runs[runs["config"] == row.name]


def experiment_table(rows: Sequence[Row], runs: pd.DataFrame, seeds: Sequence[int], *, test: bool) -> pd.DataFrame:
    """The table, its cells as text; columns that nothing is known for are left out.

    Args:
        rows: The rows in their order.
        runs: The runs so far, as of ``run_record``.
        seeds: The seeds that each row is run with.
        test: Whether the test split is looked at, too.
    """
    runs = runs.assign(odd=_of_other_splits(runs))
    return pd.DataFrame([_cells(row, runs_of(row, runs), seeds, test=test) for row in rows]).pipe(_without_empty)


def _of_other_splits(runs: pd.DataFrame) -> pd.Series:
    """Whether a run has other splits than most runs with its seed."""
    known = runs[runs["splits"] != ""]
    usual = known.groupby("seed")["splits"].agg(lambda digests: digests.mode().iloc[0])
    return (runs["splits"] != "") & (runs["splits"] != runs["seed"].map(usual))


def _cells(row: Row, runs: pd.DataFrame, seeds: Sequence[int], *, test: bool) -> dict[str, str]:
    parameters, seconds, memory = (runs[name].astype(float).dropna() for name in COSTS)
    cells = {
        "row": row.number or MISSING,
        "what": row.what,
        "learning parameters": f"{parameters.max():,.0f}" if len(parameters) else "",
        "train": _accuracy(estimate(runs, TRAIN), interval=False),
        "validation": _accuracy(estimate(runs, VALIDATION)),
        "test": _accuracy(estimate(runs, TEST)) if test else "",
        "seconds": f"{seconds.mean():,.1f}" if len(seconds) else MISSING,
        "peak memory, MB": f"{memory.max() / 1e6:,.0f}" if len(memory) else MISSING,
    }
    if row.name in PUBLISHED:
        cells |= {f"book: {name}": f"{value:.2f}" for name, value in PUBLISHED[row.name]._asdict().items()}
    return {**cells, "remark": _remark(row, runs, seeds)}


def _accuracy(accuracy: Estimate | None, *, interval: bool = True) -> str:
    if accuracy is None:
        return MISSING
    if accuracy.runs > 1:
        return f"{accuracy.middle:.2f} ± {accuracy.high - accuracy.middle:.2f}"
    return f"{accuracy.middle:.2f}" + (f" ({accuracy.low:.2f} to {accuracy.high:.2f})" if interval else "")


def _remark(row: Row, runs: pd.DataFrame, seeds: Sequence[int]) -> str:
    if row.name in WITHOUT_RUN:
        return WITHOUT_RUN[row.name]
    remarks = []
    for seed in seeds:
        name = f"seed {seed} " if len(seeds) > 1 else ""
        of_seed = runs[runs["seed"] == seed]
        if of_seed.empty:
            remarks.append(f"{name}not run yet")
        remarks += [f"{name}failed: {error}" for error in of_seed["error"].dropna()]
        if of_seed["odd"].any():
            remarks.append(f"{name}other splits than most rows: not to be compared with them")
    return "; ".join(remarks)


def _without_empty(table: pd.DataFrame) -> pd.DataFrame:
    table = table.fillna("")
    table = table.loc[:, (table != "").any()]
    filled = [name for name in table.columns if name != "remark"]
    return table.assign(**{name: table[name].replace("", MISSING) for name in filled})


def notes(rows: Sequence[Row], seeds: Sequence[int], shrink: int | None, flags: Sequence[str]) -> str:
    """What a reader of the table has to know, as a Markdown list.

    Args:
        rows: The rows of the table.
        seeds: The seeds.
        shrink: What layers and heads were divided by, None for the models of the configs.
        flags: Flags of ``fit`` that all rows had.
    """
    drawn = "draws the splits, the initial weights and the order of the messages"
    lines = [
        f"Accuracies in per cent, in brackets the 95 % interval (Wilson). Seed {seeds[0]} {drawn}."
        if len(seeds) == 1
        else "Accuracies in per cent, mean ± standard deviation over the seeds "
        f"{', '.join(map(str, seeds))}, each of which {drawn}.",
        "They are those of the checkpoint with the lowest validation loss, which flatters the validation figures.",
        "Seconds are those of the whole fit. Rows with the same frozen blocks share the hidden states behind them: the "
        "first to need them computes them for the others.",
    ]
    if any(row.name in PUBLISHED for row in rows):
        lines.append(
            "Book: the figures published for pretrained GPT-2 on an A100, after the last step, on the book's reading "
            "of the corpus (5,572 of its 5,574 messages). Its splits hold other messages: compare bands, not digits."
        )
    if shrink is not None:
        size = f"1/{shrink} of the layers and heads" if shrink > 1 else "the full size"
        lines.append(
            f"These runs had random weights and {size}: nothing here can be held against the published figures, and "
            "rows that differ in pretraining alone (05 and 10 of the book's) are the same."
        )
    else:
        lines.append("These runs had the weights and sizes of their configs, unless the flags below say otherwise.")
    if flags:
        lines.append(f"Flags of every fit: `{shlex.join(flags)}`")
    return "\n".join(f"- {line}" for line in lines)


def draw_experiments(rows: Sequence[Row], runs: pd.DataFrame, *, test: bool) -> Figure:
    """The accuracies of the rows with their intervals or spreads, the published ones as hollow marks beside them.

    Args:
        rows: The rows in their order, the first on top.
        runs: The runs so far, as of ``run_record``.
        test: Whether to draw the test split, too.
    """
    splits = (VALIDATION, TEST) if test else (VALIDATION,)
    figure = Figure(figsize=(9, 1.8 + 0.32 * len(rows) * len(splits)), layout="constrained")
    axes = figure.subplots()
    published = [(place, PUBLISHED[row.name]) for place, row in enumerate(rows) if row.name in PUBLISHED]
    for number, split in enumerate(splits):
        below = 0.4 * number - 0.2 * (len(splits) - 1)
        colour = COLOURS[split]
        found = [(place, estimate(runs_of(row, runs), split)) for place, row in enumerate(rows)]
        shown = [(place, accuracy) for place, accuracy in found if accuracy is not None]
        middles = [accuracy.middle for _, accuracy in shown]
        reach = [[max(0.0, accuracy.middle - accuracy.low) for _, accuracy in shown]]
        reach += [[max(0.0, accuracy.high - accuracy.middle) for _, accuracy in shown]]
        label = f"{split} ({'95 % interval' if runs['seed'].nunique() < 2 else '± standard deviation'})"
        heights = [place + below for place, _ in shown]
        axes.errorbar(middles, heights, xerr=reach, fmt="o", color=colour, capsize=3, label=label)
        if published:
            values = [getattr(figures, split) for _, figures in published]
            places = [place + below + 0.12 for place, _ in published]
            label = f"{split}, published for pretrained GPT-2"
            axes.plot(values, places, "o", color=colour, markerfacecolor="none", label=label)
    names = [f"{row.number} {row.what}".strip().replace("$", r"\$") for row in rows]
    axes.set_yticks(range(len(rows)), labels=names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("accuracy, %")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2)
    return figure
