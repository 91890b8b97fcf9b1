"""A search: trials of one config with other values of some settings, in a directory where it can be resumed."""

import argparse
import shutil
import sqlite3
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
import pandas as pd
import yaml
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from spam_classifier.comparing.directory import own_directory, write_yaml
from spam_classifier.comparing.grid import NOTE_WIDTH, Grid
from spam_classifier.comparing.launch import STATES_DIRECTORY, RunFailed, RunStopped, launch_fit, launched_run
from spam_classifier.comparing.search_space import Distribution, read_space, value_of, with_values
from spam_classifier.comparing.table import Lines, paired_differences
from spam_classifier.data.splits import VALIDATION
from spam_classifier.errors import UserError, one_line
from spam_classifier.evaluation.style import COLOURS, SPLITS, STYLE, save_png
from spam_classifier.evaluation.text_tables import aligned_table, counted, markdown_table, percent
from spam_classifier.files import atomic_write, write_text
from spam_classifier.runs.find import CHECKPOINTS_DIRECTORY, RUNS_DIRECTORY
from spam_classifier.runs.metrics import read_metrics
from spam_classifier.training.parser import check_settings, settings_of
from spam_classifier.training.typed import typed_flags

SETTINGS_FILE = "settings.yaml"
TRIAL_FILE = "trial.yaml"  # the whole config of a trial
BEST_FILE, DEFAULT_FILE = "best.yaml", "default.yaml"  # configs; the second is the one that was given, with the flags
REDUCTION = 3
RUNGS = {REDUCTION**power for power in range(20)}
COMPLETE = "complete"
STATES = {"COMPLETE": COMPLETE, "PRUNED": "pruned", "FAIL": "failed"}
LOSS = "validation loss"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class Search:
    """Trials of a config, from the command's own arguments and the flags of every ``fit``.

    Raises a UserError if the config, a flag or the space is not valid.
    """

    def __init__(self, arguments: argparse.Namespace, flags: Sequence[str]) -> None:
        self.arguments = arguments
        self.directory: Path = (arguments.root / RUNS_DIRECTORY / arguments.name).resolve()
        self.states = self.directory / STATES_DIRECTORY
        seeds = [f"--seed_everything={arguments.seed}", f"--data.split_seed={arguments.seed}"]
        self.settings = settings_of(["--config", str(arguments.config), *flags, *seeds], defaults=True)
        check_settings([self.settings], [], typed_flags(flags))
        self.space, self.notes = read_space(arguments.space, self.settings)
        if both := sorted(self.space.keys() & typed_flags(flags)):
            raise UserError(
                f"{arguments.space} searches {both[0]}, so --{both[0]} has no effect: leave one of them out"
            )
        self.notes.append(
            f"Trial 0 has the config's own values. Seed {arguments.seed} draws splits, initial weights, the order of "
            "messages and what is tried. A trial is pruned when its loss after 1, 3, 9 ... validations is not in the "
            "lowest third."
        )

    def run(self) -> str:
        """Run the trials that are missing, write the results after each one, and return them for a terminal.

        Raises a UserError if the directory is in use or holds other files or another search, or the config itself
        fails.
        """
        with own_directory(self.directory, SETTINGS_FILE, "a search"):
            self._open()
            # without a terminal there is no bar
            with tqdm(total=self.arguments.trials, desc="trials", unit=" trial", disable=None, leave=False) as progress:
                while (number := len(self._finished())) < self.arguments.trials:
                    progress.update(number - progress.n)
                    self._try_next(number)
                    self._write()
            conclusion = self._confirm() if self.arguments.confirm else ""
            shutil.rmtree(self.states, ignore_errors=True)
            return self._write(conclusion)

    def best(self) -> int | None:
        """The number of the trial with the lowest loss; None before one is complete."""
        finished = enumerate(self._finished())
        losses = [(trial.value, number) for number, trial in finished if trial.state == TrialState.COMPLETE]
        return min(losses)[1] if losses else None

    def _finished(self) -> list[FrozenTrial]:
        """The trials in their order; their place here is their number, as interrupted ones do not count."""
        trials = self.study.get_trials(deepcopy=False, states=FINISHED)
        return [trial for trial in trials if trial.state != TrialState.FAIL or "error" in trial.user_attrs]

    def _open(self) -> None:
        """Start the search, or go on with it where it was interrupted."""
        self.directory.mkdir(exist_ok=True)
        path = self.directory / SETTINGS_FILE
        space = {name: str(values) for name, values in self.space.items()}
        own: dict[str, Any] = {"seed": self.arguments.seed, "space": space, "settings": self.settings}
        if path.is_file() and yaml.safe_load(path.read_text(encoding="utf-8")) != own:
            raise UserError(
                f"{self.directory} holds a search of another config, space or seed, or with other flags: choose "
                "another --name"
            )
        write_yaml(path, own)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        connect = partial(sqlite3.connect, self.directory / "search.db")  # a path in a URL would have to be escaped
        storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connect})
        self.study = optuna.create_study(storage=storage, study_name="search", load_if_exists=True)
        if not self.study.get_trials(deepcopy=False):
            self.study.enqueue_trial({name: value_of(self.settings, name) for name in self.space})
        waiting = self.study.get_trials(deepcopy=False, states=[TrialState.WAITING])
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            values = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            # a kill in between leaves it running: it must not wait twice
            is_repeated = values in [known.system_attrs["fixed_params"] for known in waiting]
            if values and not is_repeated and "error" not in trial.user_attrs:
                self.study.enqueue_trial(values)
            self.study.tell(trial.number, state=TrialState.FAIL)

    def _try_next(self, number: int) -> None:
        """Run a trial and keep how it ended; one that is interrupted is repeated."""
        # the state of a sampler is not kept: with a seed for each trial, a resumed search tries what it would have
        seed = np.random.SeedSequence([self.arguments.seed, number]).generate_state(1)
        self.study.sampler = optuna.samplers.TPESampler(seed=int(seed[0]))
        trial = self.study.ask({**self.space})
        root = self._root(number)
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        write_yaml(root / TRIAL_FILE, with_values(self.settings, trial.params))
        losses: list[float] = []

        def on_validation(validation: int, loss: float) -> bool:
            losses.append(loss)
            trial.report(loss, validation)
            return self._is_hopeless(validation, loss)

        began = time.perf_counter()
        ended: dict[str, Any] = {"state": TrialState.PRUNED}
        reason = ""
        try:
            launch_fit(root / TRIAL_FILE, None, [], root, states=self.states, on_validation=on_validation)
            if not losses:
                raise UserError("it was never validated: leave out --trainer.limit_val_batches 0")
            ended = {"values": min(losses)}
        except RunStopped:
            pass
        except UserError as error:
            reason = error.reason if isinstance(error, RunFailed) else one_line(str(error))
            if number == 0:
                raise UserError(f"{self.arguments.config} itself fails: {reason}") from error
            ended = {"state": TrialState.FAIL}
        trial.set_user_attr("seconds", time.perf_counter() - began)
        if reason:  # the last before its end: without an error a failed trial is an interrupted one
            trial.set_user_attr("error", reason)
        told = self.study.tell(trial, **ended)
        outcome = reason or f"validation loss {min(losses):.5f} after {counted(len(losses), 'validation')}"
        tqdm.write(f"trial {number}: {STATES[told.state.name]}, {outcome}", file=sys.stderr)
        for other in {*range(number + 1)} - {self.best()}:
            if run := launched_run(self._root(other)):
                shutil.rmtree(run / CHECKPOINTS_DIRECTORY, ignore_errors=True)

    def _is_hopeless(self, validation: int, loss: float) -> bool:
        """Whether a loss is not in the lowest third after 1, 3, 9 ... validations.

        This is asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter
        Tuning"). Optuna's own also counts the interrupted trials, so a resumed search would go another way.
        """
        if validation not in RUNGS:
            return False
        others = [trial.intermediate_values for trial in self._finished()]
        losses = sorted([loss, *(values[validation] for values in others if validation in values)])
        return loss > losses[max(1, len(losses) // REDUCTION) - 1]

    def _root(self, number: int) -> Path:
        return self.directory / "trials" / str(number)

    def _confirm(self) -> str:
        """Compare the best trial with the config on fresh seeds; what came of it in a sentence."""
        if self.best() == 0:
            return "No trial has a lower loss than the config itself, so there is nothing to compare."
        seeds = [self.arguments.seed + 1 + place for place in range(self.arguments.confirm)]
        configs = [self.directory / name for name in (DEFAULT_FILE, BEST_FILE)]
        write_yaml(configs[0], self.settings)
        asked: dict[str, Any] = {"configs": configs, "seeds": seeds, "rows": [], "sizes": None, "shrink": None}
        asked |= {"name": f"{self.arguments.name}/confirm_{self.best()}", "root": self.arguments.root}
        grid = Grid(argparse.Namespace(**asked, test=True, baselines=False), [])
        grid.states = self.states
        print(grid.run(), end="\n\n", flush=True)
        return sentence_of(paired_differences(pd.read_csv(grid.directory / "experiments.csv")), seeds)

    def _write(self, conclusion: str = "") -> str:
        """Write the table, the picture and the best config; the table is returned as a terminal shows it."""
        trials, best = self._finished(), self.best()
        runs = [launched_run(self._root(number)) for number in range(len(trials))]
        records = [
            record_of(number, trial, read_metrics(run) if run else {})
            for number, (trial, run) in enumerate(zip(trials, runs, strict=True))
        ]
        notes = [*self.notes, conclusion]
        if best is not None:
            lowest = f"{records[best][LOSS]:.5f}"
            notes.insert(
                0, f"The best of {len(trials)} trials is trial {best}, validation loss {lowest}: `{BEST_FILE}`."
            )
            write_yaml(self.directory / BEST_FILE, with_values(self.settings, trials[best].params))
        tables = table_of(records, self.space)
        write_text(self.directory / "search.csv", pd.DataFrame(records).to_csv(index=False))
        parts = [*map(markdown_table, tables), "\n".join(f"- {note}" for note in notes if note)]
        write_text(self.directory / "search.md", "\n\n".join(parts) + "\n")
        with atomic_write(self.directory / "search.png") as unfinished:
            save_png(draw_search(records), unfinished)
        shown = "\n".join(textwrap.fill(note, NOTE_WIDTH, subsequent_indent="  ") for note in notes if note)
        return "\n\n".join([*map(aligned_table, tables), shown])


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
def draw_search(records: Lines) -> Figure:
    """The loss by trial, with the lowest so far; trials that did not end are hollow."""
    trials = [record for record in records if record[LOSS] is not None]
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel="trial", ylabel=LOSS, yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set(major_locator=MaxNLocator(5), major_formatter="{x:.3g}", minor_locator=NullLocator())
    style: dict[str, Any] = {"color": SPLITS[VALIDATION], "marker": "o", "linestyle": "none"}
    for label, fill in ((COMPLETE, SPLITS[VALIDATION]), ("pruned or failed, lowest until then", "none")):
        some = [record for record in trials if (record["state"] == COMPLETE) == (label == COMPLETE)]
        numbers, losses = [record["trial"] for record in some], [record[LOSS] for record in some]
        axes.plot(numbers, losses, markerfacecolor=fill, label=label, **style)
    complete = [record for record in trials if record["state"] == COMPLETE]
    lowest = [*accumulate((record[LOSS] for record in complete), min)]
    ends = [record["trial"] for record in complete] + [record["trial"] for record in trials[-1:]]
    axes.step(ends, lowest + lowest[-1:], where="post", color=COLOURS["edge"], label="lowest of the complete ones")
    axes.legend()
    return figure
