"""Learning curves: recorded during training, drawn at its end."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from typing_extensions import override

from spam_classifier.evaluation.plots import Curve, learning_curves
from spam_classifier.evaluation.style import save_png
from spam_classifier.files import atomic_write
from spam_classifier.runs.metrics import update_metrics
from spam_classifier.training.logger import run_directory

FILE_NAME = "learning_curves.png"


class LearningCurves(Callback):
    """Draws loss, accuracy and learning rate against epochs and messages seen at the end of training.

    The points are saved in the checkpoint, so a resumed run draws all of them.
    """

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"curves": self.curves}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curves = {name: [(x, y) for x, y in curve] for name, curve in state_dict["curves"].items()}

    def _record(self, trainer: pl.Trainer, epoch: float, *names: str) -> None:
        for name in names:
            if name in trainer.callback_metrics:
                self.curves.setdefault(name, []).append((epoch, float(trainer.callback_metrics[name])))

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        done = trainer.fit_loop.epoch_loop.batch_idx + 1
        stepped = done % trainer.accumulate_grad_batches == 0 or done == trainer.num_training_batches
        if every and stepped and trainer.global_step % every == 0:
            epoch = trainer.current_epoch + done / trainer.num_training_batches
            self._record(trainer, epoch, "train/loss_step")
            rate = trainer.optimizers[0].param_groups[0]["lr"]  # of the step to come
            self.curves.setdefault("learning_rate", []).append((epoch, float(rate)))

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            done = trainer.fit_loop.epoch_loop.batch_progress.current.ready / trainer.num_training_batches
            self._record(trainer, trainer.current_epoch + done, "val/loss", "val/acc")

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # means over the epoch's steps, so they belong in its middle
        self._record(trainer, trainer.current_epoch + 0.5, "train/loss", "train/acc")

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        directory = run_directory(trainer)
        if trainer.is_global_zero and directory is not None and self.curves:
            batch_size = getattr(trainer.datamodule, "batch_size", 1)  # type: ignore[attr-defined]
            examples_per_epoch = int(trainer.num_training_batches * batch_size * trainer.world_size)
            update_metrics(directory, {"curves": {**self.curves, "examples_per_epoch": examples_per_epoch}})
            with atomic_write(directory / FILE_NAME) as unfinished:
                save_png(learning_curves(self.curves, examples_per_epoch), unfinished)
