"""The runs of a grid of experiments as tables and as a picture."""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spam_classifier.comparing.published import PUBLISHED
from spam_classifier.comparing.rows import Row
from spam_classifier.data.splits import TEST, TRAIN, VALIDATION
from spam_classifier.evaluation.figures import NATURAL

Lines = list[dict[str, Any]]
GPT2 = "GPT-2"
COSTS = ("learning_parameters", "seconds", "peak_memory")
FIGURES = {"f1": "F1", "balanced_acc": "balanced accuracy", "acc": "accuracy", "false_positive_rate": "false positives"}
COLUMNS = ["config", "size", "seed", "split", "model", "messages", *FIGURES, "acc_low", "acc_high", *COSTS]
COLUMNS += ["splits", "error"]
FEWEST_SEEDS = 3  # for an interval and a p of differences
OWN_COSTS = ("learning parameters", "seconds", "peak memory, MB")
BOOK_ACCURACIES = ("book: validation", "book: test")
SHORT = {  # names of columns on a terminal
    "learning parameters": "learning",
    "peak memory, MB": "memory, MB",
    "book: validation": "book val.",
    "book: test": "book test",
    "book: minutes": "book, min",
    "balanced accuracy": "balanced",
    "false positives": "false pos.",
}


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

    Only runs with the same messages are paired.

    Returns:
        A line for each pair: what is subtracted from what, the mean difference in percentage points, and its interval
        and p by ``corrected_interval``. The last two are missing where there are too few seeds, where all differences
        are equal, or where the train splits have a size: they overlap less than the correction assumes.

    Raises:
        ModuleNotFoundError: SciPy is missing; it comes with the extra ``baseline``.
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
    """How uncertain the mean of differences over seeds is.

    The seeds draw their splits from one corpus, so the splits overlap and the differences are not independent: the
    variance of the mean is taken as s^2 (1/n + evaluated/trained) for n seeds (Nadeau and Bengio 2003, "Inference for
    the Generalization Error").

    Args:
        differences: One for each seed.
        share: Messages evaluated for each message trained on.

    Returns:
        Half the width of the 95% interval by Student's t, and p of the corrected t-test.

    Raises:
        ModuleNotFoundError: SciPy is missing; it comes with the extra ``baseline``.
    """
    from scipy.stats import t as student

    error, freedom = float(differences.std()) * math.sqrt(1 / len(differences) + share), len(differences) - 1
    p = 2 * float(student.sf(abs(float(differences.mean())) / error, freedom))
    return error * float(student.ppf(0.975, freedom)), p


def narrow(lines: Lines) -> list[Lines]:
    """The lines of ``accuracy_table`` as tables that fit a terminal: accuracies, costs, remarks."""
    accuracies = {name: SHORT.get(name, name) for name in ("train", "validation", "test", *BOOK_ACCURACIES)}
    costs = {name: SHORT.get(name, name) for name in (*OWN_COSTS, "book: minutes")}
    tables = []
    for names in (accuracies, costs, {"remark": "remark"}):
        shown = {"row": "row", "what": "what", "per class": "per class", **names}
        kept = [{short: line.get(name) or None for name, short in shown.items()} for line in lines]
        kept = [line for line in kept if any(line[short] is not None for short in names.values())]
        tables.append(_without_empty_columns(kept))
    return [table for table in tables if table]


def figures_by_split(lines: Lines) -> dict[str, Lines]:
    """The lines of ``figure_table`` as a table for each split, with short names, for a terminal."""
    tables: dict[str, Lines] = {}
    for line in lines:
        short = {SHORT.get(name, name): value for name, value in line.items() if name != "split"}
        tables.setdefault(line["split"], []).append({**short, "model": line["model"].partition(",")[0]})
    return tables


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
