"""Lightning's command line over SpamClassifier and SpamDataModule."""

import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch.distributed
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from typing_extensions import override

from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.data.splits import TEST, VALIDATION
from spam_classifier.errors import GPU_IS_FULL, UserError, escape_control
from spam_classifier.evaluation.report import REPORT_FILE
from spam_classifier.evaluation.summary import evaluation_summary, fit_summary, mistakes_table
from spam_classifier.evaluation.text_tables import duration
from spam_classifier.evaluation.thresholds import fitted_on_few
from spam_classifier.hints import relative
from spam_classifier.models.gpt2_classifier import reads_whole_row
from spam_classifier.runs.find import RUNS_DIRECTORY
from spam_classifier.runs.metrics import read_metrics
from spam_classifier.runs.provenance import peak_memory
from spam_classifier.training.curves import LearningCurves
from spam_classifier.training.evaluate_run import RunEvaluation, how_fitted, next_commands, same_classifier
from spam_classifier.training.logger import RunDirectory, RunLogger, refuse_among_the_runs, run_directory
from spam_classifier.training.module import SpamClassifier
from spam_classifier.training.parser import FIT, SEED, OneLineParser, ResumedRun, add_settings, with_run_settings
from spam_classifier.training.processes import Launched, ending_together
from spam_classifier.training.progress import Bars, RunTime, StageLines, quieten, say, where
from spam_classifier.training.refusals import CheckMonitors, in_one_line, refuse_unused
from spam_classifier.training.run_files import (
    KeepProvenance,
    KeepSettings,
    OwnCheckpoints,
    WholeCheckpoints,
    best_checkpoint,
    last_checkpoint,
    last_path,
)
from spam_classifier.training.stopping import StopCleanly
from spam_classifier.training.typed import for_lightning, typed_flags


class SpamCLI(LightningCLI):
    """Lightning's command line over SpamClassifier and SpamDataModule; the signatures hold the book's recipe."""

    def __init__(
        self,
        run: ResumedRun | None,
        typed: list[str],
        launched: Launched,
        states: Path | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.run = run
        self.typed = typed
        self.launched = launched
        self.states = states
        self.further_callbacks = callbacks
        super().__init__(
            SpamClassifier,
            SpamDataModule,
            save_config_callback=KeepSettings,
            seed_everything_default=SEED,
            parser_class=OneLineParser,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    @staticmethod
    @override
    def subcommands() -> dict[str, set[str]]:
        name = sys.argv[1]  # each other one would take a tenth of a second for flags that are not typed
        skipped = LightningCLI.subcommands()[name]
        return {name: skipped if name == FIT else skipped | {"verbose"}}  # Lightning's own table of results

    @override
    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_settings(parser)

    @override
    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Do nothing: add_settings has added them, in another order."""

    @override
    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        options = super()._prepare_subcommand_kwargs(subcommand)
        return options if subcommand == "fit" else {**options, "verbose": False}

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        super().parse_arguments(parser, args)
        flags = self.config[self.config.subcommand]
        if flags.ckpt_path and self.run is None:
            raise UserError("ckpt_path in a --config file: give --ckpt_path on the command line instead")
        if isinstance(flags.seed_everything, int) and not 0 <= flags.seed_everything < 2**32:
            raise UserError(f"--seed_everything must be from 0 to 4294967295, not {flags.seed_everything}")
        refuse_unused(typed_flags(self.typed), flags, trains=self.config.subcommand == FIT)

    @override
    def _parse_ckpt_path(self) -> None:
        """Do nothing: the run's settings are already on the command line, before its flags."""

    @override
    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        flags = self._get(self.config_init, "trainer")
        self.run_time, self.best = RunTime(), best_checkpoint()
        given = as_list(flags.callbacks)
        callbacks = [*given, LearningCurves(), self.run_time, *self._progress(given, flags, kwargs)]
        model = self._get(self.config, "model")
        if flags.logger is not False and (model.schedule != "constant" or model.warmup_steps):
            callbacks.append(LearningRateMonitor("step"))
        plugins = as_list(flags.plugins)
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins = [*plugins, WholeCheckpoints()]
        if not flags.fast_dev_run:
            seed = self._get(self.config, "seed_everything")
            callbacks += [KeepProvenance(self.typed, seed), StopCleanly(new_run=self.run is None), OwnCheckpoints()]
            if flags.enable_checkpointing is not False:
                callbacks += [self.best, last_checkpoint()]
        if self.run is None:
            directory, step = RunDirectory(Path(flags.default_root_dir or ".").resolve() / RUNS_DIRECTORY), {}
        else:
            directory = RunDirectory(self.run.directory.parent, self.run.directory.name)
            step = {"evaluated_step" if self.run.evaluates else "continued_step": self.run.step}
            if self.run.evaluates:  # limits of the run are for the evaluations during its training
                kwargs |= {"limit_val_batches": 1.0, "limit_test_batches": 1.0, "fast_dev_run": False}
        callbacks += [directory, CheckMonitors(), *self.further_callbacks]
        refuse_among_the_runs(as_list(flags.logger), directory)
        logger = [] if flags.logger is False else [RunLogger(directory, **step), *as_list(flags.logger)]
        trainer = super().instantiate_trainer(callbacks=callbacks, logger=logger, plugins=plugins, **kwargs)
        self.launched.watch(trainer.strategy)
        return trainer

    def _progress(self, given: list[Callback], flags: Any, options: dict[str, Any]) -> list[Callback]:
        """Bars on a terminal, and lines everywhere; only the bar that the user gives, if there is one."""
        if any(isinstance(callback, ProgressBar) for callback in given):
            return []
        seed = self._get(self.config, "seed_everything")
        lines = StageLines(seed, resumed_step=self.run.step if self.run else None)
        options["enable_progress_bar"] = flags.enable_progress_bar is not False and sys.stdout.isatty()
        return [Bars(), lines] if options["enable_progress_bar"] else [lines]

    @override
    def after_instantiate_classes(self) -> None:
        """Tell the model that a checkpoint replaces its weights, and the data to expect the run's messages."""
        self.model.reuse.shared = self.states
        self.model.awaits_checkpoint = self.run is not None
        if self.run is not None:
            self.model.keep_vocabulary(self.run.hyper_parameters)
        own_messages = not any(word.startswith("--data") for word in self.typed)
        self.datamodule.keeps_messages = self.run is not None and own_messages

    def before_validate(self) -> None:
        """Say which checkpoint is evaluated, and where."""
        checkpoint = relative(Path(self._get(self.config, "ckpt_path")))
        say(f"checkpoint {escape_control(checkpoint)} on {where(self.trainer)}")

    before_test = before_validate

    def after_fit(self) -> None:
        """Evaluate the best checkpoint on the train and validation splits, and print a table."""
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        progress.completed = progress.processed  # one less if the resumed training had ended
        last = last_path(self.trainer)
        checkpoint = self.best.best_model_path or (str(last) if last is not None and last.is_file() else "")
        directory = run_directory(self.trainer)
        seconds, of_session = self.run_time.total, self.run_time.session
        run = {
            "epochs": self.trainer.current_epoch,
            "steps": self.trainer.global_step,
            "seconds": seconds,
            "learning_parameters": sum(value.numel() for value in self.model.parameters() if value.requires_grad),
            "peak_memory": peak_memory(self.trainer.strategy.root_device),
        }
        metrics = RunEvaluation(self.trainer, checkpoint, directory).after_fit(run)
        if not self.trainer.is_global_zero:
            return
        took = duration(seconds) + (f" ({duration(of_session)} of them in this session)" if self.run else "")
        following = next_commands(
            directory, checkpoint, self.datamodule, tested=False, logged=bool(self.trainer.loggers)
        )
        notes = how_fitted(metrics[VALIDATION]) + fitted_on_few(metrics[VALIDATION], self.datamodule.label_names)
        print("\n" + fit_summary(self.trainer, directory, took, metrics, checkpoint, notes, following))

    def after_validate(self) -> None:
        """Keep and print the figures of the validation split."""
        self._evaluated(VALIDATION)

    def after_test(self) -> None:
        """Keep and print the figures of the test split, and of what is evaluated along with it."""
        self._evaluated(TEST)

    def _evaluated(self, split: str) -> None:
        predictions = self.model.predictions
        if predictions is None:
            say(f"nothing of the {split} split was evaluated")
            return
        assert self.run is not None
        own = self.datamodule.same_messages and self._reads_as_trained(self.run)
        directory, checkpoint = self.run.directory if own else None, str(self.trainer.ckpt_path)
        figures = RunEvaluation(self.trainer, checkpoint, directory).after_evaluation(split)
        if not self.trainer.is_global_zero:
            return
        texts, classes = self.datamodule.splits[split]["text"].tolist(), self.datamodule.label_names
        notes = how_fitted(figures[split]) + (fitted_on_few(figures[split], classes) if split == VALIDATION else [])
        if directory is None:
            notes.append("not kept: these are not the run's own messages, or not read as in its training")
        summary = evaluation_summary(
            same_classifier(read_metrics(directory), figures[split]) if directory else {},
            figures,
            classes,
            mistakes=mistakes_table(predictions, texts, classes, shutil.get_terminal_size((120, 24)).columns),
            notes=notes,
            report=directory / REPORT_FILE if directory else None,
            following=next_commands(self.run.directory, checkpoint, self.datamodule, tested=True, logged=False),
        )
        print(f"\n{summary}")

    def _reads_as_trained(self, run: ResumedRun) -> bool:
        """Whether no flag changes what the model reads of a message."""
        names = ["max_length", "keep", "token_position", "attention"]
        if reads_whole_row(self.model.hparams):
            names.append("padded_length")
        return all(self.model.hparams[name] == run.hyper_parameters[name] for name in names)


def as_list(value: Any) -> list[Any]:
    """The value of a flag that takes one object or a list of them; empty for None and True, the defaults."""
    if value is None or value is True:
        return []
    return value if isinstance(value, list) else [value]


def signalled(ended: SystemExit) -> int | None:
    """The exit status of a command that a signal has ended, as shells have it; None if none did.

    Lightning's own would be 1 after Ctrl-C, and 0 after SIGTERM, as if the training were complete.
    """
    if isinstance(ended, SIGTERMException):
        return 128 + signal.SIGTERM
    if isinstance(ended.__context__, KeyboardInterrupt):
        return 128 + next(iter(ended.__context__.args), signal.SIGINT)
    return None


def run(states: Path | None = None, callbacks: Sequence[Callback] = ()) -> None:
    """Run the command line, with further callbacks than the user's.

    ``states`` is a directory for hidden states that other trainings use, too, one after the other.
    """
    quieten()
    typed = sys.argv[1:]
    with ending_together() as launched:
        sys.argv[1:], resumed = with_run_settings(for_lightning(typed))
        try:
            SpamCLI(resumed, typed, launched, states, callbacks)
        except SystemExit as ended:
            sys.exit(signalled(ended) or ended.code)
        except UserError:
            raise
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{GPU_IS_FULL}: lower --data.batch_size (--trainer.accumulate_grad_batches makes up for it), or set "
                "--model.gradient_checkpointing true or --trainer.precision bf16-mixed"
            ) from error
        except Exception as error:
            if (said := in_one_line(error)) is None:
                raise
            raise UserError(said) from error
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
