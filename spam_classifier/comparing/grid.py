"""A grid of configs, seeds and sizes of the train split: run what is missing, and put all of it into one table."""

import argparse
import importlib
import itertools
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from tqdm import tqdm

from spam_classifier import hints
from spam_classifier.comparing import table
from spam_classifier.comparing.directory import own_directory, write_yaml
from spam_classifier.comparing.launch import (
    STATES_DIRECTORY,
    RunFailed,
    launch_fit,
    launch_test,
    launched_run,
    splits_digest,
)
from spam_classifier.comparing.rows import Row, choose_rows, read_rows, shrunken
from spam_classifier.data.splits import TEST, TRAIN, VALIDATION
from spam_classifier.errors import UserError, one_line
from spam_classifier.evaluation.style import save_png
from spam_classifier.evaluation.text_tables import aligned_table, markdown_table
from spam_classifier.files import atomic_write, write_text
from spam_classifier.runs.find import BEST_PREFIX, CHECKPOINTS_DIRECTORY, LAST_CHECKPOINT, RUNS_DIRECTORY
from spam_classifier.runs.metrics import read_metrics
from spam_classifier.training.parser import check_settings, settings_of
from spam_classifier.training.typed import typed_flags

TABLE_FILE = "experiments.md"
SETTINGS_FILE = "settings.yaml"
NOTE_WIDTH = 110  # columns of the notes below the tables on a terminal
AFTER_FIT = (TRAIN, VALIDATION, "run")  # in metrics.json once a fit is complete


@dataclass(frozen=True)
class Run:
    """One cell of the grid: a config, training messages per class (0 for all), a seed, and where it is kept."""

    row: Row
    size: int
    seed: int
    root: Path

    def __str__(self) -> str:
        size = f"{self.size} per class, " if self.size else ""
        return f"{self.row.name} ({size}seed {self.seed})"

    def metrics(self) -> dict[str, Any]:
        """The figures of a finished run; empty before."""
        directory = launched_run(self.root)
        metrics = read_metrics(directory) if directory else {}
        return metrics if all(name in metrics for name in AFTER_FIT) else {}


def overridden(flags: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """The settings in a config that override others, as in ``model.trainable``."""
    found = []
    for name, value in config.items():
        if isinstance(value, Mapping) and isinstance(flags.get(name), Mapping):
            found += [f"{name}.{inner}" for inner in overridden(flags[name], value)]
        elif name in flags and flags[name] != value:
            found.append(name)
    return found


class Grid:
    """Configs x seeds x sizes, from the command's own arguments and the flags of every ``fit``.

    Raises a UserError if there is no such config or row, or a config is not valid.
    """

    def __init__(self, arguments: argparse.Namespace, flags: Sequence[str]) -> None:
        self.arguments = arguments
        self.flags = list(flags)
        self.directory: Path = (arguments.root / RUNS_DIRECTORY / arguments.name).resolve()
        self.states = self.directory / STATES_DIRECTORY
        self.defaults = settings_of(self.flags)  # of the rows of a folder
        self.sizes: list[int] = arguments.sizes or [0]
        self.all_rows = read_rows(arguments.configs)
        self.rows = choose_rows(self.all_rows, arguments.rows)
        self.asked = self._runs_of(self.rows)
        self.errors: dict[Run, str] = {}
        for run in {run.row: run for run in self.asked}.values():
            self._check(run)
        # without scikit-learn this import is refused
        self.baselines = importlib.import_module("spam_classifier.comparing.baselines") if arguments.baselines else None

    def run(self) -> str:
        """Run what is not finished, write the tables after each run, and return them.

        Raises a UserError if the directory is in use, or holds other files or runs with other settings.
        """
        with own_directory(self.directory, TABLE_FILE, "experiments"):
            self._open_directory()
            self._write()
            # without a terminal there is no bar
            with tqdm(self.asked, desc="runs", unit=" run", disable=None, leave=False) as progress:
                for run in progress:
                    progress.set_postfix_str(str(run))
                    self._complete(run)
                    if run not in self.errors:
                        tqdm.write(f"{run} is complete", file=sys.stderr)
                    self._write()
            if not self.errors:
                shutil.rmtree(self.states, ignore_errors=True)
            return self._write()

    def _runs_of(self, rows: Iterable[Row]) -> list[Run]:
        runs = []
        for seed, row, size in itertools.product(self.arguments.seeds, rows, self.sizes):
            if row.config:
                root = self.directory / row.name / (f"{size}_per_class" if size else "") / f"seed_{seed}"
                runs.append(Run(row, size, seed, root))
        return runs

    def _settings(self, run: Run) -> dict[str, Any]:
        """A run's config, the flags of ``fit`` that the config overrides, and those that override it."""
        over = shrunken(run.row, self.arguments.shrink) if self.arguments.shrink else []
        if run.size:  # the same number of steps whatever the size, with ten validations
            steps = self.arguments.steps
            over += [f"--data.train_per_class={run.size}", "--trainer.max_epochs=-1", f"--trainer.max_steps={steps}"]
            over += ["--trainer.check_val_every_n_epoch=null", f"--trainer.val_check_interval={max(1, steps // 10)}"]
        defaults, flags = (self.flags, over) if run.row.in_folder else ([], [*self.flags, *over])
        return {"config": run.row.settings(), "defaults": defaults, "flags": flags}

    def _check(self, run: Run) -> None:
        """Refuse flags, configs and corpora that would fail in every run; say which flags a row overrides."""
        own, flags = run.row.settings(), self._settings(run)["flags"]
        if not run.row.in_folder:
            check_settings([own], flags, typed_flags(self.flags))
            return
        of_all_rows = {flag for flag in typed_flags(self.flags) if flag.startswith("data.")}
        check_settings([self.defaults, own], flags, of_all_rows)  # other flags may be for some of the rows
        if kept := overridden(self.defaults, own):
            print(f"note: {run.row.name} keeps its own {', '.join(kept)}", file=sys.stderr)

    def _open_directory(self) -> None:
        """Make the directory, or check that its runs had the same configs and flags as those asked for."""
        finished = [run for run in self._runs_of(self.all_rows) if run.metrics()]
        for run in finished:
            path = run.root / SETTINGS_FILE
            if not path.is_file() or yaml.safe_load(path.read_text(encoding="utf-8")) != self._settings(run):
                raise UserError(
                    f"{run.root} was trained with another {run.row.config} or other flags: choose another --name, or "
                    "remove this directory to train it again"
                )
        self.rows = [row for row in self.all_rows if row in self.rows or row in {run.row for run in finished}]
        self.directory.mkdir(exist_ok=True)

    def _complete(self, run: Run) -> None:
        """Train, test and compare a run, as far as that is asked for and not done yet."""
        try:
            directory = launched_run(run.root) if run.metrics() else self._fit(run)
            assert directory is not None
            if self.arguments.test and TEST not in run.metrics():
                launch_test(run.root, states=self.states)
            if self.baselines and "baselines" not in run.metrics():
                self.baselines.compare(directory)
        except UserError as error:
            self.errors[run] = error.reason if isinstance(error, RunFailed) else one_line(str(error))
            tqdm.write(f"{run} failed: {self.errors[run]}", file=sys.stderr)

    def _fit(self, run: Run) -> Path:
        assert run.row.config is not None
        shutil.rmtree(run.root, ignore_errors=True)
        run.root.mkdir(parents=True)
        settings = self._settings(run)
        write_yaml(run.root / SETTINGS_FILE, settings)
        defaults = self.defaults if run.row.in_folder else None
        directory = launch_fit(
            run.row.config, run.seed, settings["flags"], run.root, defaults=defaults, states=self.states
        )
        checkpoints = directory / CHECKPOINTS_DIRECTORY
        if any(checkpoints.glob(f"{BEST_PREFIX}*")):  # last.ckpt, for resuming, is as large
            (checkpoints / LAST_CHECKPOINT).unlink(missing_ok=True)
        return directory

    def _write(self) -> str:
        """Write the tables, the runs and the picture; the tables are returned as a terminal shows them."""
        records = []
        for run in self._runs_of(self.rows):
            metrics, error, directory = run.metrics(), self.errors.get(run), launched_run(run.root)
            if metrics or error:
                splits = splits_digest(directory) if directory else ""
                what = {"test": self.arguments.test, "splits": splits, "error": error}
                records += table.run_records(run.row, run.size, run.seed, metrics, **what)
        runs, seeds = pd.DataFrame(records, columns=table.COLUMNS), self.arguments.seeds
        accuracies, figures = table.accuracy_table(self.rows, runs, seeds, self.sizes), table.figure_table(runs)
        notes = table.notes(self.rows, seeds, self.arguments.shrink, self.flags)
        parts = [markdown_table(accuracies), *([markdown_table(figures)] if figures else [])]
        shown = [aligned_table(table.for_terminal(lines)) for lines in (accuracies, figures) if lines]
        if len(seeds) > 1:
            try:
                if differences := table.paired_differences(runs):
                    parts += ["F1, compared seed by seed:", markdown_table(differences)]
                    shown.append(aligned_table(differences))
                    notes += table.difference_notes(differences)
            except ModuleNotFoundError:
                notes.append(f"To compare F1 seed by seed: {hints.install('baseline')}")
        text = "\n\n".join([*parts, "\n".join(f"- {line}" for line in notes)]) + "\n"
        shown += ["\n".join(textwrap.fill(line, NOTE_WIDTH, subsequent_indent="  ") for line in notes)]
        if self.arguments.sizes:
            picture = table.draw_learning_curve(runs)
        else:
            picture = table.draw_accuracies(self.rows, runs, compared=self.arguments.shrink is None)
        write_text(self.directory / TABLE_FILE, text)
        write_text(self.directory / "experiments.csv", runs.to_csv(index=False))
        with atomic_write(self.directory / "experiments.png") as unfinished:
            save_png(picture, unfinished)
        return "\n\n".join(shown)
