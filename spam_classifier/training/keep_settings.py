"""A run's settings, kept in its directory."""

from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.cli import SaveConfigCallback

from spam_classifier.data.corpora import SAMPLE, UCI
from spam_classifier.files import atomic_write
from spam_classifier.models.pretrained import HUB_REVISIONS, RANDOM
from spam_classifier.runs.find import CONFIG_FILE, remove_unfinished
from spam_classifier.training.logger import run_directory

PATHS = {
    "data": ("corpus", "validation_corpus", "test_corpus", "cache_dir"),
    "model": ("weights", "prefix_cache"),
}
NAMES = {UCI, SAMPLE, RANDOM, *HUB_REVISIONS}  # that are none of files


class SaveRunSettings(SaveConfigCallback):
    """Keep the settings of a training run in its directory, without the checkpoint it may have started from."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Save those of a new run at once, so that one that is killed as it starts can be started anew."""
        if stage == "fit" and self.config.ckpt_path is None:
            self._save(trainer)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save those of a continued run, once its checkpoint has been taken up with them."""
        if self.config.ckpt_path is not None:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        """Save; paths as they are from anywhere."""
        directory = run_directory(trainer)
        if directory is None or not trainer.is_global_zero:
            return
        self.config.ckpt_path = None
        for group, names in PATHS.items():
            for name in names:
                value = self.config[group][name]
                if value is None or value in NAMES:
                    continue
                if Path(value).exists() or name == "prefix_cache":
                    self.config[group][name] = str(Path(value).resolve())
        directory.mkdir(parents=True, exist_ok=True)
        remove_unfinished(directory)
        with atomic_write(directory / CONFIG_FILE) as unfinished:
            self.parser.save(self.config, unfinished, skip_none=False, overwrite=True, multifile=False)
