"""What a training keeps in the run directory: checkpoints, settings, splits, versions, digests."""

import os
import shlex
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from typing_extensions import override

from spam_classifier.data.corpora import SAMPLE, UCI
from spam_classifier.errors import UserError
from spam_classifier.files import UNFINISHED, atomic_write, writing
from spam_classifier.models.pretrained import HUB_REVISIONS, RANDOM
from spam_classifier.runs.find import BEST_PREFIX, CHECKPOINTS_DIRECTORY, CONFIG_FILE, LAST_CHECKPOINT
from spam_classifier.runs.metrics import read_metrics, update_metrics
from spam_classifier.runs.provenance import PROVENANCE, git_revision, versions
from spam_classifier.training.logger import run_directory

OWN_CHECKPOINTS = "own_checkpoints"
PATHS = {"data": ("corpus", "validation_corpus", "test_corpus", "cache_dir"), "model": ("weights",)}
NAMES = {UCI, SAMPLE, RANDOM, *HUB_REVISIONS}  # values of these settings that are not paths


class OwnCheckpoints(Callback):
    """Keeps the files of the user's own checkpoint callbacks apart: they could be taken for the run's best or last."""

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        directory = run_directory(trainer)
        for callback in trainer.checkpoint_callbacks:  # their own setup comes later
            if directory is None or isinstance(callback, RunCheckpoint) or not isinstance(callback, ModelCheckpoint):
                continue
            if callback.dirpath is None:
                callback.dirpath = str(directory / OWN_CHECKPOINTS)
            elif Path(callback.dirpath).resolve() == (directory / CHECKPOINTS_DIRECTORY).resolve():
                name = type(callback).__name__
                raise UserError(f"{name} would write among the run's own checkpoints: leave its dirpath out")


class RunCheckpoint(ModelCheckpoint):
    """Keeps checkpoints in the run directory, which may be moved between two trainings."""

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        directory = run_directory(trainer)
        self.dirpath = None if directory is None else str(directory / CHECKPOINTS_DIRECTORY)
        super().setup(trainer, pl_module, stage)

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        here = Path(str(self.dirpath))
        state_dict["dirpath"] = str(here)
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state_dict[name] = str(here / Path(state_dict[name]).name) if state_dict[name] else ""
        kept = {str(here / Path(path).name): score for path, score in state_dict["best_k_models"].items()}
        # if a run is killed after it saved a new best checkpoint, the last one still names the best before, now deleted
        state_dict["best_k_models"] = {path: score for path, score in kept.items() if Path(path).is_file()}
        super().load_state_dict(state_dict)


def best_checkpoint() -> RunCheckpoint:
    """Keeps the checkpoint with the lowest validation loss."""
    return RunCheckpoint(
        filename=BEST_PREFIX + "epoch{epoch}-val_loss{val/loss:.4f}",
        auto_insert_metric_name=False,
        save_weights_only=True,  # training is resumed from the last one
        monitor="val/loss",
        enable_version_counter=False,
    )


def last_checkpoint() -> RunCheckpoint:
    """Keeps the checkpoint of the last epoch; ``save_last`` of the best one would write it only when that improves."""
    return RunCheckpoint(
        filename=LAST_CHECKPOINT.removesuffix(".ckpt"), save_on_train_epoch_end=True, enable_version_counter=False
    )


def last_path(trainer: pl.Trainer) -> Path | None:
    """Where the run's last checkpoint is, or would be; None for a run that keeps none."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, RunCheckpoint) and callback.dirpath is not None:
            return Path(callback.dirpath) / LAST_CHECKPOINT
    return None


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name in its own directory and renames it when complete.

    Lightning moves it from the system's temporary directory. Between two disks that is a copy over the previous
    checkpoint, and a disk that fills up meanwhile leaves neither.
    """

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """If the disk is full, a previous checkpoint stays."""
        target = Path(path)
        with writing(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as unfinished, unfinished.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # PyTorch wraps the OSError
                raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


class KeepSettings(SaveConfigCallback):
    """Keep the settings of a training run, without the checkpoint it may have started from."""

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # at once for a new run, so that one that is killed as it starts can be started again
        if stage == "fit" and self.config.ckpt_path is None:
            self._save(trainer)

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # for a resumed run, once its checkpoint was loaded with these settings
        if self.config.ckpt_path is not None:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        directory = run_directory(trainer)
        if directory is None or not trainer.is_global_zero:
            return
        self.config.ckpt_path = None
        for group, names in PATHS.items():
            for name in names:
                value = self.config[group][name]
                if value is not None and value not in NAMES and Path(value).exists():
                    self.config[group][name] = str(Path(value).resolve())
        if "@" in (resolved := trainer.lightning_module.hparams["weights"]):  # the revision of a name on the hub
            self.config.model.weights = resolved
        directory.mkdir(parents=True, exist_ok=True)
        remove_unfinished(directory)
        with atomic_write(directory / CONFIG_FILE) as unfinished:
            try:
                # the False, to keep nulls, has had two names
                self.parser.save(self.config, unfinished, "parser_mode", False, overwrite=True, multifile=False)
            except ValueError as error:  # YAML has no such value
                raise UserError(
                    f"config.yaml can't hold a setting of your callbacks ({error.__cause__ or error}): leave that "
                    "callback out (--trainer.max_time does what Timer does)"
                ) from error


def remove_unfinished(run: Path) -> None:
    """Remove temporary files of checkpoints and hidden states that a killed process has left."""
    for path in (*(run / CHECKPOINTS_DIRECTORY).glob(f"*{UNFINISHED}"), *run.glob(f"frozen_prefix-*{UNFINISHED}")):
        path.unlink(missing_ok=True)


class KeepProvenance(Callback):
    """Keep the splits and, in ``metrics.json``, what else decides the numbers."""

    def __init__(self, typed: Sequence[str], seed: int) -> None:
        self.command = f"python -m spam_classifier.train {shlex.join(typed)}"
        self.seed = seed
        self.digests: Future[Any] | None = None

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit" or not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        replaced = pl_module.awaits_checkpoint  # the weights' file may be gone
        thread = ThreadPoolExecutor(1)  # it hashes while the model is built
        self.digests = thread.submit(lambda: (data.sources_sha256(), {} if replaced else pl_module.weights_sha256))
        thread.shutdown(wait=False)

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        directory = run_directory(trainer)
        if directory is None or self.digests is None:
            return
        trainer.datamodule.write_splits(directory)  # type: ignore[attr-defined]
        earlier = read_metrics(directory).get(PROVENANCE, {}) if trainer.ckpt_path else {}
        of_corpora, of_weights = self.digests.result()
        known: dict[str, Any] = {
            "commands": [*earlier.get("commands", []), self.command],
            "date": f"{date.today()}",
            "seed": self.seed,
            "versions": versions(),
            "git": git_revision(),
            "corpus_sha256": of_corpora,
            "weights_sha256": earlier.get("weights_sha256") if trainer.ckpt_path else of_weights,
        }
        update_metrics(directory, {PROVENANCE: known})
