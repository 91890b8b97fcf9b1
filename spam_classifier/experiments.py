"""Run a folder of configs as one table of experiments: ``python -m spam_classifier.experiments``."""

import argparse
import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from tqdm import tqdm

from spam_classifier.comparing.launch import (
    RunFailed,
    flags_behind_dashes,
    launch_fit,
    launch_test,
    launched_run,
    splits_digest,
)
from spam_classifier.comparing.published import PUBLISHED, WITHOUT_RUN
from spam_classifier.comparing.rows import Row, choose_rows, read_rows, shrunken
from spam_classifier.comparing.table import draw_experiments, experiment_table, notes, run_record
from spam_classifier.data.splits import TEST, TRAIN, VALIDATION
from spam_classifier.errors import UserError, one_line_errors
from spam_classifier.evaluation.markdown import to_markdown
from spam_classifier.files import atomic_write, locked, writing
from spam_classifier.runs.find import BEST_PREFIX, CHECKPOINTS_DIRECTORY, LAST_CHECKPOINT, RUNS_DIRECTORY
from spam_classifier.runs.metrics import read_metrics

USAGE = "python -m spam_classifier.experiments [rows ...] [options] [-- flags of fit]"
DESCRIPTION = """Train each config of a folder and put the results into one table: which choices matter on your corpus?
configs/experiments holds the book's table of experiments, a file for each row: other positions, other
layers that learn, LoRA, larger models, padding, attention without the causal mask.

Rows with the same seed have the same splits, and those with the same frozen blocks share the hidden
states behind them. What is finished is not run again: after Ctrl-C or a failure the same command goes
on. A row that fails is named in the table, and the others go on. Of each run the best checkpoint is
kept. experiments.md, .csv and .png are written anew after each run."""
EPILOG = """what stands behind -- are flags of every fit, under the settings of a row's config, which win; runs with
other flags want another --directory. Examples:
  experiments                                       the whole table, validation figures
  experiments 01 03 16 --seeds 1 2 3                three rows, mean and spread over three seeds
  experiments --test                                the test split, too, when the choice has been made
  experiments --directory mine -- --data.corpus messages.csv                  on your messages
  experiments --shrink 12 --directory small -- --data.corpus sample           small random models, no network

Rows 06 to 09 and 12 are GPT-2 of 355M to 1558M parameters: they want a GPU, and many gigabytes of disk for
weights and checkpoints."""
SETTINGS_FILE = "settings.json"
ROW_FILE = "row.yaml"
STATES_DIRECTORY = "hidden_states"
FITTED = (TRAIN, VALIDATION, "run")  # what stands in metrics.json once a fit is through


def metrics_below(root: Path) -> dict[str, Any]:
    """The figures of the run below ``root``; none while it is not through."""
    directory = launched_run(root)
    metrics = read_metrics(directory) if directory else {}
    return metrics if all(name in metrics for name in FITTED) else {}


@dataclass(frozen=True)
class Run:
    """A row with one seed, and its place.

    Attributes:
        row: The row.
        seed: The seed.
        root: The directory that holds the run's ``lightning_logs``.
    """

    row: Row
    seed: int
    root: Path

    def metrics(self) -> dict[str, Any]:
        """The figures of the run; none while it is not through."""
        return metrics_below(self.root)

    def refuse_other_config(self) -> None:
        """Refuse figures of another config under the row's name.

        Raises:
            UserError: The row's config has changed since the run.
        """
        if self.metrics() and yaml.safe_load((self.root / ROW_FILE).read_text(encoding="utf-8")) != self.row.settings():
            raise UserError(
                f"{self.row.config} has changed since its run: remove {self.root} to run it anew, or name another "
                "--directory"
            )

    def splits_digest(self) -> str:
        """A digest of the messages in its splits; "" where it has none."""
        directory = launched_run(self.root)
        return "" if directory is None else splits_digest(directory)

    def complete(self, defaults: Sequence[str], flags: Sequence[str], *, test: bool) -> None:
        """Do what is not done yet: train from the start, evaluate the test split.

        Args:
            defaults: Flags of ``fit`` under those of the row's config.
            flags: Flags of ``fit`` over them.
            test: Evaluate the test split.

        Raises:
            RunFailed: It fails.
        """
        assert self.row.config is not None
        if not self.metrics():
            shutil.rmtree(self.root, ignore_errors=True)
            self.root.mkdir(parents=True)
            shutil.copyfile(self.row.config, self.root / ROW_FILE)
            _drop_last_checkpoint(launch_fit(self.row.config, self.seed, flags, self.root, defaults=defaults))
        if test and TEST not in self.metrics():
            launch_test(self.root)


def _drop_last_checkpoint(run: Path) -> None:
    """Of a finished run the best checkpoint is enough: each holds all weights, and the optimizer's state."""
    checkpoints = run / CHECKPOINTS_DIRECTORY
    if any(checkpoints.glob(f"{BEST_PREFIX}*")):
        (checkpoints / LAST_CHECKPOINT).unlink(missing_ok=True)


class Experiments:
    """A table of experiments and its directory.

    Args:
        rows: The rows to run.
        arguments: The command's own arguments.
        flags: Flags of every ``fit``.
    """

    def __init__(self, rows: Sequence[Row], arguments: argparse.Namespace, flags: Sequence[str]) -> None:
        self.directory: Path = arguments.directory.resolve()
        self.seeds: list[int] = arguments.seeds
        self.shrink: int | None = arguments.shrink
        self.test: bool = arguments.test
        self.flags = list(flags)
        self.asked = list(rows)
        self.errors: dict[Run, str] = {}

    def run_of(self, row: Row, seed: int) -> Run:
        """A row with a seed."""
        return Run(row, seed, self.directory / row.name / f"seed_{seed}")

    def take_directory(self, rows: Sequence[Row]) -> None:
        """Make the directory, or take up the runs that it holds; they have a place in the table, too.

        Args:
            rows: All rows of the folder of configs.

        Raises:
            UserError: A config is none, or the directory is of something else, or of runs with other flags or another
                config.
        """
        for row in self.asked:
            if row.config:
                row.settings()
        path, settings = self.directory / SETTINGS_FILE, {"flags": self.flags, "shrink": self.shrink}
        if path.is_file():
            try:
                former = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise UserError(f"{path} is damaged: name another --directory, or remove this one") from error
            if former != settings and any(map(metrics_below, self.directory.glob("*/seed_*"))):
                words = ["--shrink", str(former["shrink"])] if former["shrink"] else []
                words += ["--", *former["flags"]] if former["flags"] else []
                raise UserError(
                    f"{self.directory} holds runs with other flags ({shlex.join(words) or 'none'}): name another "
                    "--directory, or remove it"
                )
        elif self.directory.exists() and any(self.directory.iterdir()):
            raise UserError(f"{self.directory} holds other files than experiments: name another --directory")
        finished = [row for row in rows if any(self.run_of(row, seed).metrics() for seed in self.seeds)]
        self.rows = [row for row in rows if row in self.asked or row in finished]
        for row in finished:
            for seed in self.seeds:
                self.run_of(row, seed).refuse_other_config()
        self.directory.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            unfinished.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def run(self) -> None:
        """Run what is not finished, a seed after the other, and write the table after each run."""
        rows = [row for row in self.asked if row.config]
        sizes = {row: shrunken(row, self.shrink) if self.shrink else [] for row in rows}
        runs = [self.run_of(row, seed) for seed in self.seeds for row in rows]
        states = self.directory / STATES_DIRECTORY
        self.write()
        try:
            with tqdm(runs, desc="runs", unit=" run") as progress:
                for place, run in enumerate(progress):
                    progress.set_postfix_str(f"{run.row.name}, seed {run.seed}")
                    if place and run.seed != runs[place - 1].seed:  # other splits, other messages
                        shutil.rmtree(states, ignore_errors=True)
                    flags = [f"--model.prefix_cache={states}", *sizes[run.row]]
                    try:
                        run.complete(self.flags, flags, test=self.test)
                    except RunFailed as error:
                        self.errors[run] = error.reason
                        tqdm.write(f"{run.row.name}, seed {run.seed}, failed: {error.reason}", file=sys.stderr)
                    self.write()
        except KeyboardInterrupt:
            print(f"\nfinished rows are kept in {self.directory}: the same command goes on", file=sys.stderr)
            raise
        finally:
            shutil.rmtree(states, ignore_errors=True)

    def write(self) -> str:
        """Write the table, the runs and the picture.

        Returns:
            The table and what has to be said of it.
        """
        records = []
        for run in (self.run_of(row, seed) for row in self.rows for seed in self.seeds):
            metrics, error = run.metrics(), self.errors.get(run)
            if metrics or error:
                records.append(run_record(run.row, run.seed, metrics, error, run.splits_digest()))
        runs = pd.DataFrame(records, columns=list(run_record(Row("", None), 0, {}, None, "")))
        table = to_markdown(experiment_table(self.rows, runs, self.seeds, test=self.test))
        text = f"{table}\n\n{notes(self.rows, self.seeds, self.shrink, self.flags)}\n"
        with atomic_write(self.directory / "experiments.md") as unfinished:
            unfinished.write_text(text, encoding="utf-8")
        unlooked = [] if self.test else [name for name in runs.columns if name.startswith(TEST)]
        with atomic_write(self.directory / "experiments.csv") as unfinished:
            runs.drop(columns=unlooked).to_csv(unfinished, index=False)
        with atomic_write(self.directory / "experiments.png") as unfinished:
            draw_experiments(self.rows, runs, test=self.test).savefig(unfinished, format="png", dpi=120)
        return text


def all_rows(configs: Path) -> list[Row]:
    """The rows of a folder of configs; beside the book's also the one that needs no run.

    Raises:
        UserError: There is no config.
    """
    rows = read_rows(configs)
    if any(row.name in PUBLISHED for row in rows):
        rows += [Row(name, None) for name in WITHOUT_RUN]
    return sorted(rows, key=lambda row: row.name)


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own arguments, and the flags of ``fit``.

    Raises:
        UserError: A number makes no sense.
    """
    own, flags = flags_behind_dashes(words)
    parser = argparse.ArgumentParser(
        prog="python -m spam_classifier.experiments",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("rows", nargs="*", help="numbers (3 or 03) or names (03_head_only) of rows (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[123], help="(default: 123, the book's)")
    parser.add_argument(
        "--configs",
        type=Path,
        default=Path("configs/experiments"),
        help="folder of configs of fit, a row each (default: configs/experiments)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(RUNS_DIRECTORY) / "experiments",
        help="where the runs and the table are kept (default: lightning_logs/experiments)",
    )
    parser.add_argument(
        "--shrink",
        type=int,
        metavar="N",
        help="random weights, and each model's layers (at least 2) and heads (at least 1) divided by N",
    )
    parser.add_argument("--test", action="store_true", help="look at the test split, too")
    arguments = parser.parse_args(own)
    if len(set(arguments.seeds)) < len(arguments.seeds):
        raise UserError(f"a seed is given twice: {', '.join(map(str, arguments.seeds))}; name each once")
    if arguments.shrink is not None and arguments.shrink < 1:
        raise UserError(f"--shrink must be at least 1, not {arguments.shrink}")
    return arguments, flags


def main() -> None:
    """Run the rows that are not finished, and print the table."""
    with one_line_errors():
        arguments, flags = parse(sys.argv[1:])
        rows = all_rows(arguments.configs)
        experiments = Experiments(choose_rows(rows, arguments.rows), arguments, flags)
        with writing(experiments.directory):
            experiments.directory.parent.mkdir(parents=True, exist_ok=True)
        lock = experiments.directory.with_name(f".{experiments.directory.name}.lock")
        busy = f"another command is at work in this directory ({lock}): wait for it, or name another --directory"
        with locked(lock, lock, busy):
            experiments.take_directory(rows)
            experiments.run()
            print(f"\n{experiments.write()}\nkept in {experiments.directory}")
        if experiments.errors:
            names = ", ".join(f"{run.row.name} (seed {run.seed})" for run in experiments.errors)
            raise UserError(f"runs that failed: {names}; the same command tries them again")


if __name__ == "__main__":
    main()
