"""The runs of a grid of experiments as tables and as a picture."""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from spam_classifier.comparing.rows import PUBLISHED, Row
from spam_classifier.data.splits import TEST, TRAIN, VALIDATION
from spam_classifier.evaluation.figures import NATURAL
from spam_classifier.evaluation.style import COLOURS, MARKS, STYLE

Lines = list[dict[str, Any]]
GPT2 = "GPT-2"
COSTS = ("learning_parameters", "seconds", "peak_memory")
FIGURES = {"f1": "F1", "balanced_acc": "balanced accuracy", "acc": "accuracy", "false_positive_rate": "false positives"}
COLUMNS = ["config", "size", "seed", "split", "model", "messages", *FIGURES, "acc_low", "acc_high", *COSTS]
COLUMNS += ["splits", "error"]
FEWEST_SEEDS = 3  # for an interval and a p of differences
IN_FILES_ONLY = {"learning parameters", "peak memory, MB", "seeds", "accuracy"}
IN_FILES_ONLY |= {"book: train", "book: validation", "book: test", "book: minutes"}


def run_records(
    row: Row, size: int, seed: int, metrics: Mapping[str, Any], *, test: bool, splits: str, error: str | None
) -> Lines:
    """A run as lines of ``experiments.csv``, one for each split and model: shares from 0 to 1, memory in bytes.

    ``size`` is 0 for all messages, ``splits`` a digest of the messages. A run that failed before its end has no
    ``metrics``, and one line without a split.
    """
    run = {"config": row.name, "size": size, "seed": seed, "splits": splits, "error": error}
    run |= {name: metrics.get("run", {}).get(name) for name in COSTS}
    lines = []
    for split in (TRAIN, VALIDATION, TEST, NATURAL) if test else (TRAIN, VALIDATION):
        models = {GPT2: metrics[split], **metrics.get("baselines", {}).get(split, {})} if split in metrics else {}
        for model, figures in models.items():
            low, high = figures["acc_interval"]
            line = {"split": split, "model": model, "messages": figures["messages"], "acc_low": low, "acc_high": high}
            line |= {name: figures.get(name) for name in FIGURES}
            line["false_positive_rate"] = figures.get("false_positives", {}).get("share")
            lines.append({**run, **line})
    return lines or [{**run, "split": "", "model": GPT2}]


def accuracy_table(rows: Sequence[Row], runs: pd.DataFrame, seeds: Sequence[int], sizes: Sequence[int]) -> Lines:
    """A line for each config and size: GPT-2's accuracies, costs, published figures, and per seed what is missing."""
    runs = runs[runs["model"] == GPT2]
    known = runs[(runs["split"] == TRAIN) & (runs["splits"] != "")]
    usual = known.groupby(["seed", "size"])["splits"].agg(lambda digests: digests.mode().iloc[0])
    lines = []
    for row in rows:
        for size in sizes:
            own = runs[(runs["config"] == row.name) & (runs["size"] == size)]
            parameters, seconds, memory = (own.drop_duplicates("seed")[name].astype(float).dropna() for name in COSTS)
            line = {
                "row": row.number or None,
                "what": row.what,
                "per class": size or None,
                "learning parameters": f"{parameters.max():,.0f}" if len(parameters) else None,
                "train": _accuracy(own, TRAIN, bounds=False),
                "validation": _accuracy(own, VALIDATION),
                "test": _accuracy(own, TEST),
                "seconds": f"{seconds.mean():,.1f}" if len(seconds) else None,
                "peak memory, MB": f"{memory.max() / 1e6:,.0f}" if len(memory) else None,
            }
            remarks = []
            if row.name in PUBLISHED.index:
                figures = PUBLISHED.loc[row.name]
                names = ("train", "validation", "test", "minutes")
                line |= {f"book: {name}": f"{figures[name]:.2f}" for name in names}
                remarks += [figures["remark"]] if figures["remark"] else []
            for seed in seeds if row.config else []:
                name = f"seed {seed} " if len(seeds) > 1 else ""
                remarks += [f"{name}{remark}" for remark in _remarks(own, seed, usual)]
            lines.append({**line, "remark": "; ".join(remarks)})
    return _without_empty_columns(lines)


def _remarks(runs: pd.DataFrame, seed: int, usual: pd.Series) -> list[str]:
    runs = runs[runs["seed"] == seed]
    if runs.empty:
        return ["not run yet"]
    remarks = [f"failed: {error}" for error in runs["error"].dropna().unique()]
    size, splits = runs[["size", "splits"]].iloc[0]
    if splits and splits != usual.get((seed, size), splits):
        remarks.append("other splits than most rows: do not compare it with them")
    return remarks


def estimate(runs: pd.DataFrame, split: str) -> tuple[float, float, float] | None:
    """The accuracy of one model on a split in per cent, and its bounds; None without a run.

    Of several seeds it is the mean, a standard deviation to either side; of one seed the bounds are its 95% interval.
    """
    known = 100 * runs[runs["split"] == split][["acc", "acc_low", "acc_high"]].astype(float)
    if known.empty:
        return None
    mean, low, high = known.mean()
    spread = known["acc"].std()
    return (mean, mean - spread, mean + spread) if len(known) > 1 else (mean, low, high)


def _accuracy(runs: pd.DataFrame, split: str, *, bounds: bool = True) -> str | None:
    found = estimate(runs, split)
    if found is None:
        return None
    middle, low, high = found
    if (runs["split"] == split).sum() > 1:
        return f"{middle:.2f} ± {high - middle:.2f}"
    return f"{middle:.2f}" + (f" ({low:.2f} to {high:.2f})" if bounds else "")


def _without_empty_columns(lines: Lines) -> Lines:
    names = max(lines, key=len, default=())
    filled = [name for name in names if any(line.get(name) not in (None, "") for line in lines)]
    return [{name: line.get(name) for name in filled} for line in lines]


def figure_table(runs: pd.DataFrame) -> Lines:
    """Mean and standard deviation over the seeds in per cent, a line for each split, config, size and model."""
    lines = []
    for split in (VALIDATION, TEST, NATURAL):
        of_split = runs[runs["split"] == split]
        for (config, size, model), group in of_split.groupby(["config", "size", "model"], sort=False):
            figures = {}
            for name, title in FIGURES.items():
                values = 100 * group[name].astype(float).dropna()
                spread = f" ± {values.std():.2f}" if len(values) > 1 else ""
                figures[title] = f"{values.mean():.2f}{spread}" if len(values) else None
            what = {"split": split, "config": config, "per class": size or None, "model": model, "seeds": len(group)}
            lines.append({**what, **figures})
    return _without_empty_columns(lines)


def paired_differences(runs: pd.DataFrame) -> Lines:
    """Differences in F1, seed by seed: each config minus the first one, each GPT-2 minus the linear models.

    Only runs with the same messages are paired. Each line says what is subtracted from what, with the mean difference
    in percentage points, and its interval and p by ``corrected_interval``. The last two are missing where there are too
    few seeds, where all differences are equal, or where the train splits have a size: they overlap less than the
    correction assumes. Needs SciPy, of the extra ``baseline``.
    """
    trained = runs[runs["split"] == TRAIN].set_index(["config", "size", "seed"])["messages"].to_dict()
    several = runs["config"].nunique() > 1
    lines = []
    for (split, size), group in runs[~runs["split"].isin(["", TRAIN])].groupby(["split", "size"], sort=False):
        models = {key: own.set_index("seed") for key, own in group.groupby(["config", "model"], sort=False)}
        first = group["config"].iloc[0]
        for config, model in models:
            minuend = (config, GPT2)
            subtrahend = (first, GPT2) if model == GPT2 else (config, model)
            if minuend == subtrahend or minuend not in models or subtrahend not in models:
                continue
            pairs = models[minuend].join(models[subtrahend].add_suffix(" of other"), how="inner")
            pairs = pairs.dropna(subset=["f1", "f1 of other"])
            if len(pairs) < 2 or (pairs["splits"] != pairs["splits of other"]).any():
                continue
            differences = 100 * (pairs["f1"] - pairs["f1 of other"]).astype(float)
            mean = float(differences.mean())
            share = float((pairs["messages"] / [trained[config, size, seed] for seed in pairs.index]).mean())
            what = f"{config} minus {first}" if model == GPT2 else f"{GPT2} minus {model}"
            where = f", {config}" if model != GPT2 and several else ""
            line = {"split": split, "per class": size or None, "F1 of": what + where, "seeds": len(pairs)}
            line |= {"difference": f"{mean:+.2f}", "95% interval": None, "p": None}
            if differences.std() > 1e-9 and not size and len(pairs) >= FEWEST_SEEDS:
                reach, p = corrected_interval(differences, share)
                line |= {"95% interval": f"{mean - reach:.2f} to {mean + reach:.2f}", "p": f"{p:.2g}"}
            lines.append(line)
    return _without_empty_columns(lines)


def corrected_interval(differences: pd.Series, share: float) -> tuple[float, float]:
    """Half the width of the 95% interval of a mean of differences over seeds by Student's t, and p of the t-test.

    The seeds draw their splits from one corpus, so the splits overlap and the differences are not independent: the
    variance of the mean is taken as s^2 (1/n + evaluated/trained) for n seeds (Nadeau and Bengio 2003, "Inference for
    the Generalization Error"). ``share`` is evaluated/trained, in messages. Needs SciPy, of the extra ``baseline``.
    """
    from scipy.stats import t as student

    error, freedom = float(differences.std()) * math.sqrt(1 / len(differences) + share), len(differences) - 1
    p = 2 * float(student.sf(abs(float(differences.mean())) / error, freedom))
    return error * float(student.ppf(0.975, freedom)), p


def for_terminal(lines: Lines) -> Lines:
    """The lines without the columns that a terminal has no room for."""
    return [{name: value for name, value in line.items() if name not in IN_FILES_ONLY} for line in lines]


def notes(rows: Sequence[Row], seeds: Sequence[int], shrink: int | None, flags: Sequence[str]) -> list[str]:
    """What a reader of the tables has to know."""
    drawn = "draws splits, initial weights and the order of messages"
    lines = [
        f"Accuracies in per cent, in brackets the 95% interval (Wilson). Seed {seeds[0]} {drawn}."
        if len(seeds) == 1
        else f"In per cent, mean ± standard deviation over seeds {', '.join(map(str, seeds))}. A seed {drawn}.",
        "Figures are those of the checkpoint with the lowest validation loss, so validation figures flatter. "
        "Seconds are those of the whole fit.",
    ]
    if any(row.name in PUBLISHED.index for row in rows):
        lines.append(
            "Book: published for pretrained GPT-2 on an A100, on 5,572 of the 5,574 messages and other splits: "
            "compare bands, not digits."
        )
    if shrink is not None:
        size = f"1/{shrink} of the layers and heads" if shrink > 1 else "the full size"
        lines.append(
            f"These runs had random weights and {size}: do not compare them with the book's. "
            "Rows 05 and 10 differ in pretraining alone, so they are the same."
        )
    if flags:
        lines.append(f"Flags of every fit: `{shlex.join(flags)}`")
    return lines


def difference_notes(differences: Lines) -> list[str]:
    """What a reader of the differences has to know."""
    lines = [
        "Differences in F1 are means over the seeds, in percentage points; p is of the t-test corrected for "
        "overlapping splits (Nadeau and Bengio 2003)."
    ]
    if any(line["seeds"] < FEWEST_SEEDS for line in differences):
        lines.append(
            f"Fewer than {FEWEST_SEEDS} seeds give neither an interval nor a p: the difference may be chance alone. "
            "Give more --seeds."
        )
    return lines


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
