"""Train and evaluate: ``python -m spam_classifier.train {fit,validate,test,predict}``."""

import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NoReturn

import lightning.pytorch as pl
import torch.distributed
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from spam_classifier.data.datamodule import SpamDataModule
from spam_classifier.data.splits import TEST, TRAIN, VALIDATION
from spam_classifier.errors import UserError, one_line_errors
from spam_classifier.evaluation.learning_curves import LearningCurves
from spam_classifier.evaluation.predictions_file import FILE_NAME as PREDICTIONS_FILE
from spam_classifier.evaluation.predictions_file import PredictionsFile
from spam_classifier.evaluation.summary import fit_summary, update_metrics_file
from spam_classifier.evaluation.wrong_predictions import WrongPredictions
from spam_classifier.models.classifier import SpamClassifier
from spam_classifier.runs.checkpoints import RUNS_DIRECTORY, best_checkpoint, last_checkpoint
from spam_classifier.runs.interruption import StopCleanly
from spam_classifier.runs.logger import RunLogger
from spam_classifier.runs.settings import TakenUpRun, take_up_run

PROGRAM = "python -m spam_classifier.train"
DESCRIPTION = """Fine-tune GPT-2 into a text classifier. Without flags, fit runs the book's recipe on the SMS Spam
Collection with GPT-2 124M; --config configs/quickstart.yaml takes about a minute and no network.
validate, test and predict take up the newest run's best checkpoint unless --ckpt_path names another, and
rebuild the model and the data from that run's own settings; flags given beside it win.
fit --ckpt_path last continues the newest run."""


class OneLineParser(LightningArgumentParser):
    """Lightning's parser, with errors of one line, and no flag guessed from the beginning of its name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message on one line and exit with status 2."""
        print(f"error: {' '.join(message.split())} (see --help)", file=sys.stderr)
        self.exit(2)


class SaveRunSettings(SaveConfigCallback):
    """Keep the settings of a training run in its directory, without the checkpoint it may have started from."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Save, when fitting."""
        if stage == "fit":
            self.config.ckpt_path = None
            super().setup(trainer, pl_module, stage)


class SpamCLI(LightningCLI):
    """Lightning's command line over SpamClassifier and SpamDataModule; the signatures hold the book's recipe.

    Args:
        run: The run that is taken up, None for a new one.
    """

    def __init__(self, run: TakenUpRun | None) -> None:
        self.run = run
        super().__init__(
            SpamClassifier,
            SpamDataModule,
            save_config_callback=SaveRunSettings,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=123,
            parser_class=OneLineParser,
            parser_kwargs={
                "prog": PROGRAM,
                "description": DESCRIPTION,
                **{name: {"usage": f"{PROGRAM} {name} [options]"} for name in self.subcommands()},
            },
            trainer_defaults={"max_epochs": 5, "log_every_n_steps": 10},
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def _parse_ckpt_path(self) -> None:
        """Leave the command line as it is: the settings of the run were put before its flags."""

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """A Trainer that logs to TensorBoard and keeps checkpoints, unless flags say otherwise."""
        flags = self._get(self.config_init, "trainer")
        callbacks = [*(flags.callbacks or []), LearningCurves(), WrongPredictions()]
        if self.subcommand == "predict" and self.run is not None:
            callbacks.append(PredictionsFile(self.run.directory))
        if flags.enable_checkpointing is not False and not flags.fast_dev_run:
            callbacks += [best_checkpoint(), last_checkpoint(), StopCleanly()]
        logger = flags.logger
        if logger in (None, True):
            logger = self._new_logger(Path(flags.default_root_dir or "."))
        try:
            return super().instantiate_trainer(callbacks=callbacks, logger=logger, **kwargs)
        except (ValueError, ModuleNotFoundError, MisconfigurationException) as error:
            raise UserError(
                f"the Trainer refuses its flags: {error} (--trainer.accelerator auto and --trainer.devices auto "
                "take what this machine has)"
            ) from error

    def _new_logger(self, root: Path) -> RunLogger:
        if self.run is None:
            return RunLogger(root.resolve() / RUNS_DIRECTORY, run=None, evaluated_step=None)
        step = self.run.step if self.run.evaluates else None
        return RunLogger(self.run.directory.parent, self.run.directory.name, evaluated_step=step)

    def after_instantiate_classes(self) -> None:
        """A checkpoint makes loading the pretrained weights needless."""
        self.model.awaits_checkpoint = self.run is not None
        self.started = time.monotonic()

    def before_fit(self) -> None:
        """Refuse a checkpoint named in a file, whose run was not taken up."""
        if self.run is None and self._get(self.config, "ckpt_path"):
            raise UserError("ckpt_path in a --config file: give --ckpt_path on the command line instead")

    def before_validate(self) -> None:
        """Say which checkpoint is at work."""
        self._say(f"checkpoint {self._get(self.config, 'ckpt_path')}")

    before_test = before_predict = before_validate

    def after_fit(self) -> None:
        """Evaluate the best checkpoint on train and validation, and close with a table."""
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        seconds = time.monotonic() - self.started
        keeper = self.trainer.checkpoint_callback
        best = keeper.best_model_path if isinstance(keeper, ModelCheckpoint) else ""
        metrics = {name: self._evaluate_quietly(name, best) for name in (TRAIN, VALIDATION)}
        run_directory = Path(self.trainer.log_dir or ".")  # asked on every rank: it is broadcast
        if not self.trainer.is_global_zero:
            return
        update_metrics_file(run_directory, metrics, checkpoint=best)
        log_final_metrics(self.trainer, metrics)
        print("\n" + fit_summary(self.trainer, run_directory, seconds, metrics, best))

    def _evaluate_quietly(self, split_name: str, checkpoint: str) -> dict[str, float]:
        """Loss and accuracy of a checkpoint ("" for the weights at hand) on a split, kept out of the logs."""
        loggers, self.trainer.loggers = self.trainer.loggers, []
        figures = self.trainer.validate(
            self.model,
            dataloaders=self.datamodule.each_once(split_name),
            ckpt_path=checkpoint or None,
            verbose=False,
        )
        self.trainer.loggers = loggers
        return {"loss": figures[0]["val/loss"], "acc": figures[0]["val/acc"]}

    def after_validate(self) -> None:
        """Keep the figures and say them."""
        self._keep(VALIDATION, "val")

    def after_test(self) -> None:
        """Keep the figures and say them."""
        self._keep(TEST, "test")

    def after_predict(self) -> None:
        """Say where the predictions are."""
        assert self.run is not None
        self._say(f"predictions of the test split: {self.run.directory / PREDICTIONS_FILE}")

    def _keep(self, split_name: str, stage: str) -> None:
        figures = {name: float(self.trainer.callback_metrics[f"{stage}/{name}"]) for name in ("loss", "acc")}
        if self.trainer.is_global_zero and self.run is not None:
            update_metrics_file(self.run.directory, {split_name: figures}, checkpoint=str(self.trainer.ckpt_path))
        messages = len(self.datamodule.splits[split_name])
        self._say(f"{split_name} split, {messages} messages: accuracy {figures['acc']:.2%}, loss {figures['loss']:.4f}")

    def _say(self, text: str) -> None:
        if self.trainer.is_global_zero:
            print(text)


def log_final_metrics(trainer: pl.Trainer, metrics: dict[str, dict[str, float]]) -> None:
    """Put the hyper-parameters beside the best checkpoint's figures in TensorBoard's table of runs."""
    if isinstance(trainer.logger, TensorBoardLogger):
        figures = {f"best/{split}_{name}": value for split, pair in metrics.items() for name, value in pair.items()}
        model, data = trainer.lightning_module.hparams, trainer.datamodule.hparams  # type: ignore[attr-defined]
        trainer.logger.log_hyperparams({**model, **data}, figures)
        trainer.logger.save()


def quieten_lightning() -> None:
    """Keep advertisements and warnings about Lightning's own code out of what users read."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).addFilter(lambda record: "Tip:" not in record.getMessage())
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty")  # a resumed run


def main() -> None:
    """Run the command line."""
    quieten_lightning()
    with one_line_errors():
        sys.argv[1:], run = take_up_run(sys.argv[1:])
        SpamCLI(run)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
