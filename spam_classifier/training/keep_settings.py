"""What decides a run's numbers, kept in its directory: settings, splits, versions, digests."""

import shlex
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import SaveConfigCallback
from typing_extensions import override

from spam_classifier.data.corpora import SAMPLE, UCI
from spam_classifier.errors import UserError
from spam_classifier.files import UNFINISHED, atomic_write
from spam_classifier.models.pretrained import HUB_REVISIONS, RANDOM
from spam_classifier.runs.find import CHECKPOINTS_DIRECTORY, CONFIG_FILE
from spam_classifier.runs.metrics import read_metrics, update_metrics
from spam_classifier.runs.provenance import PROVENANCE, git_revision, versions
from spam_classifier.training.logger import run_directory

PATHS = {"data": ("corpus", "validation_corpus", "test_corpus", "cache_dir"), "model": ("weights",)}
NAMES = {UCI, SAMPLE, RANDOM, *HUB_REVISIONS}  # values of these settings that are not paths


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
    """Keep the splits and, in ``metrics.json``, what else decides the numbers.

    Args:
        typed: The flags as the user typed them.
        seed: The seed.
    """

    def __init__(self, typed: Sequence[str], seed: int) -> None:
        self.command = f"python -m spam_classifier.train {shlex.join(typed)}"
        self.seed = seed
        self.digests: Future[Any] | None = None

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        data = getattr(trainer, "datamodule", None)
        if stage != "fit" or not trainer.is_global_zero or data is None:
            return
        replaced = pl_module.awaits_checkpoint  # the weights' file may be gone
        thread = ThreadPoolExecutor(1)  # it hashes while the model is built
        self.digests = thread.submit(lambda: (data.sources_sha256(), {} if replaced else pl_module.weights_sha256))
        thread.shutdown(wait=False)

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        directory = run_directory(trainer)
        data = getattr(trainer, "datamodule", None)
        if directory is None or data is None or self.digests is None:
            return
        data.write_splits(directory)
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
