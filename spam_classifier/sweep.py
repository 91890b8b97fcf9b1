"""Run configs over several seeds and sizes of the train split: ``python -m spam_classifier.sweep``."""

import argparse
import importlib
import itertools
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from spam_classifier.comparing.launch import flags_behind_dashes, launch_fit, launch_test, splits_digest
from spam_classifier.errors import UserError, one_line_errors
from spam_classifier.evaluation.markdown import to_markdown
from spam_classifier.files import atomic_write, claim_directory
from spam_classifier.runs.find import RUNS_DIRECTORY
from spam_classifier.runs.metrics import read_metrics

DESCRIPTION = """Train each config once for every seed, which draws the splits, the initial weights and the order of the
messages, and print the mean and the spread of the validation figures; configs with the same splits are also compared
seed by seed. Choose by these, and report others: the validation split has chosen checkpoint, temperature and threshold
already. --test adds the test split's figures, for the choice that has been made. --baselines adds the linear baselines
on the same splits, --sizes the learning curve over messages per class."""
EPILOG = "What stands behind -- are flags of every fit, as in: sweep configs/book.yaml -- --data.corpus sample"
FIGURES = {"f1": "F1", "balanced_acc": "balanced accuracy", "acc": "accuracy", "false_positive_rate": "false positives"}


def train_runs(arguments: argparse.Namespace, flags: Sequence[str], directory: Path) -> pd.DataFrame:
    """Train every config at every size with every seed, in processes of their own.

    Returns:
        A row for each run, split and model: ``config``, ``size``, ``seed``, ``split``, ``model``, ``messages`` (a
        digest of the run's splits), ``evaluated`` and ``trained`` (messages of this split and of the train split) and
        the figures.

    Raises:
        RunFailed: A run fails.
    """
    from spam_classifier.baseline import compare

    plan = list(itertools.product(arguments.configs, arguments.sizes or [None], arguments.seeds))
    rows: list[dict[str, object]] = []
    for config, size, seed in tqdm(plan, desc="runs", unit=" run"):
        root = directory / config.stem / (f"{size}_per_class" if size else "all") / f"seed_{seed}"
        of_size = ["--data.train_per_class", size, *_fixed_steps(arguments.steps)] if size else []
        run = launch_fit(config, seed, [*flags, *of_size], root)
        if arguments.test:
            launch_test(root)
        compared = compare(run) if arguments.baselines else {}
        metrics = read_metrics(run)
        messages = splits_digest(run)
        trained = metrics["train"]["messages"]
        for split in ("validation", "test", "natural"):
            if split in metrics:
                for model, figures in {"GPT-2": metrics[split], **compared.get(split, {})}.items():
                    false = figures.get("false_positives", {}).get("share")
                    named = {name: figures.get(name) for name in FIGURES} | {"false_positive_rate": false}
                    what = {"config": config.stem, "size": size or 0, "seed": seed, "split": split, "model": model}
                    what |= {"messages": messages, "evaluated": figures["messages"], "trained": trained}
                    rows.append({**what, **named})
        with atomic_write(directory / "sweep.csv") as unfinished:  # whatever is done, if the next run fails
            pd.DataFrame(rows).to_csv(unfinished, index=False)
    return pd.DataFrame(rows)


def _fixed_steps(steps: int) -> list[object]:
    """Flags for the same number of steps whatever the size, with ten looks at the validation split."""
    often = ["--trainer.check_val_every_n_epoch", "null", "--trainer.val_check_interval", max(1, steps // 10)]
    return ["--trainer.max_epochs", -1, "--trainer.max_steps", steps, *often]


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over the seeds, a row for each config, size, split and model."""
    groups = runs.groupby(["split", "config", "size", "model"], sort=False)[list(FIGURES)]
    mean, spread = groups.mean() * 100, groups.std() * 100
    table = pd.DataFrame({FIGURES[name]: mean[name].map("{:.2f}".format) for name in FIGURES})
    for name in FIGURES:
        table[FIGURES[name]] += spread[name].map(lambda value: "" if pd.isna(value) else f" ± {value:.2f}")
    table = table.loc[:, ~mean.isna().all().to_numpy()]  # false positives are of two classes
    table.insert(0, "seeds", groups.size())
    table = table.reset_index()
    table["size"] = table["size"].map(lambda size: size or "all")
    return table


def paired_differences(runs: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Each pair of models, trained by a config or linear, compared seed by seed where they had the same messages.

    The seeds draw their splits from one corpus, so that these overlap and the differences are not independent: the
    variance of their mean is taken as s^2 (1/n + evaluated/trained) for n seeds (Nadeau and Bengio 2003, "Inference for
    the Generalization Error").

    Returns:
        A row for each split, size and pair: the mean ``difference`` (second minus first, in percentage points), its
        95 % interval by Student's t, and ``p`` of the corrected t-test; without these where all differences are equal,
        or the train split is but a part of itself.
    """
    from scipy.stats import t as student

    rows = []
    for (split, size), of_split in runs.groupby(["split", "size"], sort=False):
        options: dict[str, Any] = {"index": "seed", "columns": ["config", "model"], "sort": False}
        by_seed = of_split.pivot_table(values=figure, **options).dropna()
        messages = of_split.pivot_table(values="messages", aggfunc="first", **options).loc[by_seed.index]
        for first, second in itertools.combinations(by_seed.columns, 2):
            alike = first[1] == second[1] or first[0] == second[0]
            if len(by_seed) < 2 or not alike or not messages[first].equals(messages[second]):
                continue
            differences = 100 * (by_seed[second] - by_seed[first])
            seeds, mean = len(differences), float(differences.mean())
            share = float((of_split["evaluated"] / of_split["trained"]).mean())
            error = float(differences.std()) * math.sqrt(1 / seeds + share)
            tested = {"low": math.nan, "high": math.nan, "p": math.nan}
            if error > 1e-9 and not size:  # small parts of the train splits overlap less than the correction assumes
                reach = error * float(student.ppf(0.975, seeds - 1))
                p = 2 * float(student.sf(abs(mean) / error, seeds - 1))
                tested = {"low": mean - reach, "high": mean + reach, "p": p}
            rows.append(
                {
                    "split": split,
                    "size": size or "all",
                    "first": f"{first[1]}, {first[0]}",
                    "second": f"{second[1]}, {second[0]}",
                    "difference": mean,
                    **tested,
                }
            )
    return pd.DataFrame(rows)


def draw_learning_curve(runs: pd.DataFrame, figure_name: str, path: Path) -> None:
    """Draw a figure against the messages per class, with the spread over the seeds."""
    from matplotlib.figure import Figure

    splits = list(dict.fromkeys(runs["split"]))
    figure = Figure(figsize=(6 * len(splits), 4.5), layout="constrained")
    for axes, split in zip(figure.subplots(1, len(splits), squeeze=False)[0], splits, strict=True):
        for (config, model), rows in runs[runs["split"] == split].groupby(["config", "model"], sort=False):
            by_size = rows.groupby("size")[figure_name]
            mean, spread = by_size.mean(), by_size.std().fillna(0)
            label = (model if runs["config"].nunique() == 1 else f"{model}, {config}").replace("$", r"\$")
            axes.errorbar(mean.index, mean, yerr=spread, marker="o", capsize=3, label=label)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sorted(runs["size"].unique()), labels=[str(size) for size in sorted(runs["size"].unique())])
        axes.set(xlabel="training messages per class", ylabel=FIGURES[figure_name], title=split)
        axes.grid(alpha=0.3)
        axes.legend()
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)


def check(arguments: argparse.Namespace) -> None:
    """Refuse at once what would fail or mislead after hours.

    Raises:
        UserError: A config, seed or size is named twice, a size is none, or scikit-learn is missing.
        OSError: A config can't be read.
    """
    importlib.import_module("spam_classifier.comparing.baselines")
    for config in arguments.configs:
        config.open().close()
    for what, values in (
        ("config", [config.stem for config in arguments.configs]),
        ("seed", arguments.seeds),
        ("size", arguments.sizes or []),
    ):
        if len(set(values)) < len(values):
            raise UserError(f"a {what} is given twice: {', '.join(map(str, values))}; name each once")
    if min(arguments.sizes or [1]) < 1:
        raise UserError("--sizes are messages per class, at least 1")


def main() -> None:
    """Train, summarise, compare."""
    own, flags = flags_behind_dashes(sys.argv[1:])
    parser = argparse.ArgumentParser(
        prog="python -m spam_classifier.sweep", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument("configs", type=Path, nargs="+", help="config files of fit")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="(default: 1 2 3 4 5)")
    parser.add_argument("--sizes", type=int, nargs="+", help="training messages per class, for a learning curve")
    parser.add_argument("--steps", type=int, default=300, help="training steps of each run with --sizes (default: 300)")
    parser.add_argument("--baselines", action="store_true", help="the linear baselines, too")
    parser.add_argument("--test", action="store_true", help="look at the test split, too")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="directory that holds lightning_logs (default: this one)"
    )
    arguments = parser.parse_args(own)
    with one_line_errors():
        check(arguments)
        directory = claim_directory(arguments.root.resolve() / RUNS_DIRECTORY, "sweep_")
        runs = train_runs(arguments, flags, directory)
        parts = [to_markdown(summarise(runs))]
        differences = paired_differences(runs, "f1") if len(arguments.seeds) > 1 else pd.DataFrame()
        if len(differences):
            parts += [f"{FIGURES['f1']}, compared seed by seed:", to_markdown(differences)]
        text = "\n\n".join(parts) + "\n"
        with atomic_write(directory / "sweep.md") as unfinished:
            unfinished.write_text(text, encoding="utf-8")
        if arguments.sizes:
            draw_learning_curve(runs, "f1", directory / "learning_curve.png")
        print(f"\n{text}\nkept in {directory}")


if __name__ == "__main__":
    main()
