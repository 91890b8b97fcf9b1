"""Lightning's command line over SpamClassifier and SpamDataModule."""

import logging
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch.distributed
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from typing_extensions import override

from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.data.splits import TEST, VALIDATION
from spam_classifier.errors import GPU_IS_FULL, UserError, escape_control
from spam_classifier.evaluation.report import REPORT_FILE
from spam_classifier.evaluation.summary import evaluation_summary, fit_summary
from spam_classifier.models.gpt2_classifier import reads_whole_row
from spam_classifier.runs.find import LAST_CHECKPOINT, RUNS_DIRECTORY
from spam_classifier.runs.provenance import peak_memory
from spam_classifier.training.curves import LearningCurves
from spam_classifier.training.evaluate_run import RunEvaluation
from spam_classifier.training.interruption import StopCleanly
from spam_classifier.training.keep_checkpoints import WholeCheckpoints, best_checkpoint, last_checkpoint
from spam_classifier.training.keep_settings import KeepProvenance, KeepSettings
from spam_classifier.training.logger import RunLogger, run_directory
from spam_classifier.training.module import SpamClassifier
from spam_classifier.training.next_commands import next_commands
from spam_classifier.training.parser import SEED, OneLineParser, add_settings
from spam_classifier.training.processes import Launched, ending_together
from spam_classifier.training.resume_flags import FIT, ResumedRun, with_run_settings
from spam_classifier.training.typed import for_lightning, typed_flags
from spam_classifier.training.unused_flags import refuse_unused


class SpamCLI(LightningCLI):
    """Lightning's command line over SpamClassifier and SpamDataModule; the signatures hold the book's recipe.

    Args:
        run: The run that is resumed or evaluated, None for a new one.
        typed: The flags as the user typed them.
        launched: The processes that the Trainer is going to launch.
    """

    def __init__(self, run: ResumedRun | None, typed: list[str], launched: Launched) -> None:
        self.run = run
        self.typed = typed
        self.launched = launched
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
        commands = LightningCLI.subcommands()
        del commands["predict"]
        return commands

    @override
    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_settings(parser)

    @override
    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Do nothing: add_settings has added them, in another order."""

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
        callbacks = [*(flags.callbacks or []), LearningCurves()]
        model = self._get(self.config, "model")
        if flags.logger is not False and (model.schedule != "constant" or model.warmup_steps):
            callbacks.append(LearningRateMonitor("step"))
        plugins = flags.plugins if isinstance(flags.plugins, list) else [flags.plugins] if flags.plugins else []
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins = [*plugins, WholeCheckpoints()]
        if not flags.fast_dev_run:
            seed = self._get(self.config, "seed_everything")
            callbacks += [KeepProvenance(self.typed, seed), StopCleanly(new_run=self.run is None)]
            if flags.enable_checkpointing is not False:
                callbacks += [best_checkpoint(), last_checkpoint()]
        logger = flags.logger
        if logger in (None, True):
            logger = self._new_logger(Path(flags.default_root_dir or "."))
        try:
            trainer = super().instantiate_trainer(callbacks=callbacks, logger=logger, plugins=plugins, **kwargs)
        except (ValueError, ModuleNotFoundError, MisconfigurationException) as error:
            raise UserError(
                f"the Trainer refuses its flags: {error} (--trainer.accelerator auto and --trainer.devices auto "
                "take what this machine has)"
            ) from error
        self.launched.watch(trainer.strategy)
        return trainer

    def _new_logger(self, root: Path) -> RunLogger:
        if self.run is None:
            return RunLogger(root.resolve() / RUNS_DIRECTORY, run=None)
        step = {"evaluated_step" if self.run.evaluates else "continued_step": self.run.step}
        return RunLogger(self.run.directory.parent, self.run.directory.name, **step)

    @override
    def after_instantiate_classes(self) -> None:
        """Tell the model that a checkpoint replaces its weights, and the data to expect the run's messages."""
        self.model.awaits_checkpoint = self.run is not None
        own_messages = not any(word.startswith("--data") for word in self.typed)
        self.datamodule.keeps_messages = self.run is not None and own_messages
        self.started = time.monotonic()

    def before_validate(self) -> None:
        """Print which checkpoint is evaluated."""
        self._say(escape_control(f"checkpoint {self._get(self.config, 'ckpt_path')}"))

    before_test = before_validate

    def after_fit(self) -> None:
        """Evaluate the best checkpoint on the train and validation splits, and print a table."""
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        seconds = time.monotonic() - self.started
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        progress.completed = progress.processed  # one less if the resumed training had ended
        checkpoint = self._kept_checkpoint()
        directory = run_directory(self.trainer)
        done = {"epochs": self.trainer.current_epoch, "steps": self.trainer.global_step, "seconds": seconds}
        learning = sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)
        run = {
            **done,
            "learning_parameters": learning,
            "peak_memory": peak_memory(self.trainer.strategy.root_device),
        }
        metrics = self._evaluation(checkpoint, directory).after_fit(run)
        self._say_how_fitted(metrics[VALIDATION])
        if not self.trainer.is_global_zero:
            return
        if directory is not None:
            log_final_metrics(self.trainer, metrics)
        following = next_commands(directory, checkpoint, self.datamodule)
        print("\n" + fit_summary(self.trainer, directory, seconds, metrics, checkpoint, following))

    def _kept_checkpoint(self) -> str:
        """The best checkpoint, else the last one, else ""."""
        keeper = self.trainer.checkpoint_callback
        if not isinstance(keeper, ModelCheckpoint):
            return ""
        last = Path(keeper.dirpath or ".") / LAST_CHECKPOINT
        return keeper.best_model_path or (str(last) if last.is_file() else "")

    def _evaluation(self, checkpoint: str, directory: Path | None) -> RunEvaluation:
        return RunEvaluation(self.trainer, self.model, self.datamodule, checkpoint, directory)

    def after_validate(self) -> None:
        """Keep and print the figures of the validation split."""
        self._evaluated(VALIDATION, "val")

    def after_test(self) -> None:
        """Keep and print the figures of the test split, and of what is evaluated along with it."""
        self._evaluated(TEST, "test")

    def _evaluated(self, split_name: str, stage: str) -> None:
        trainer = self.trainer
        if f"{stage}/acc" not in trainer.callback_metrics:
            self._say(f"nothing of the {split_name} split was evaluated")
            return
        assert self.run is not None
        limit = getattr(trainer, f"limit_{stage}_batches")
        whole = limit == 1.0 and isinstance(limit, float) and not trainer.fast_dev_run  # type: ignore[attr-defined]
        own = self.datamodule.same_messages and self._reads_as_trained(self.run)
        directory = self.run.directory if own else None
        evaluation = self._evaluation(str(trainer.ckpt_path), directory)
        figures = {VALIDATION: evaluation.after_validate(whole)} if stage == "val" else evaluation.after_test(whole)
        self._say(evaluation_summary(figures, self.datamodule.label_names, whole))
        if whole:
            self._say_how_fitted(figures[split_name])
            other = "not kept: these are not the run's own messages, or not read as in its training"
            self._say(f"report: {directory / REPORT_FILE}" if directory else other)

    def _reads_as_trained(self, run: ResumedRun) -> bool:
        """Whether no flag changes what the model reads of a message."""
        names = ["max_length", "keep", "token_position", "attention"]
        if reads_whole_row(self.model.hparams):
            names.append("padded_length")
        return all(self.model.hparams[name] == run.hyper_parameters[name] for name in names)

    def _say_how_fitted(self, figures: Mapping[str, Any]) -> None:
        fitted, step = figures["decision_step"], figures["step"]
        if fitted is None:
            self._say("no validation in training: neither temperature nor threshold is fitted")
        elif fitted != step:
            self._say(f"temperature and threshold were fitted at step {fitted:,}, the weights are of step {step:,}")

    def _say(self, text: str) -> None:
        if self.trainer.is_global_zero:
            print(text)


def log_final_metrics(trainer: pl.Trainer, metrics: dict[str, dict[str, Any]]) -> None:
    """Log hyper-parameters and the best checkpoint's figures to TensorBoard's table of runs."""
    if isinstance(trainer.logger, TensorBoardLogger):
        figures = {f"best/{split}_{name}": pair[name] for split, pair in metrics.items() for name in ("loss", "acc")}
        model, data = trainer.lightning_module.hparams, trainer.datamodule.hparams  # type: ignore[attr-defined]
        trainer.logger.log_hyperparams({**model, **data}, figures, trainer.global_step)
        trainer.logger.save()


def quieten_lightning() -> None:
    """Hide Lightning's tips and its warnings about its own code."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).addFilter(lambda record: "Tip:" not in record.getMessage())
    # TensorBoard writes in a thread, and raises errors of that thread again in the main one
    threading.excepthook = lambda failed: None if failed.exc_type is OSError else threading.__excepthook__(failed)
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty")  # a resumed run


def run() -> None:
    """Run the command line.

    Raises:
        UserError: Flags or files that can't work.
    """
    quieten_lightning()
    typed = sys.argv[1:]
    with ending_together("fit --ckpt_path last goes on from the last checkpoint") as launched:
        sys.argv[1:], resumed = with_run_settings(for_lightning(typed))
        try:
            SpamCLI(resumed, typed, launched)
        except MisconfigurationException as error:
            raise UserError(str(error)) from error
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{GPU_IS_FULL}: lower --data.batch_size (--trainer.accumulate_grad_batches makes up for it), or set "
                "--model.gradient_checkpointing true or --trainer.precision bf16-mixed"
            ) from error
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
