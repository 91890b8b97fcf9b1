"""Progress on standard error: a bar for each stage on a terminal, and lines that stay, there and in a log."""

import math
import sys
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm
from typing_extensions import override

from spam_classifier.data.loader import BatchLoader
from spam_classifier.evaluation.text_tables import duration, percent
from spam_classifier.hints import relative
from spam_classifier.training.logger import first_process_directory
from spam_classifier.training.schedule import total_steps

BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {elapsed}, {remaining} to go{postfix}"


@rank_zero_only
def say(line: str) -> None:
    """Print a line on standard error, above any bar."""
    tqdm.write(line, file=sys.stderr)
    sys.stderr.flush()


class StageBars(ProgressBar):
    """One bar at a time: an epoch, a validation, an evaluation. It goes when its stage ends."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._epoch: tqdm | None = None
        self._evaluation: tqdm | None = None

    @override
    def disable(self) -> None:
        self._enabled = False

    @override
    def enable(self) -> None:
        self._enabled = True

    @override
    def print(self, *args: Any, **kwargs: Any) -> None:
        say(" ".join(map(str, args)))

    def _bar(self, name: str, batches: float, done: int = 0) -> tqdm:
        return tqdm(
            desc=name,
            total=int(batches) if math.isfinite(batches) else None,
            initial=done,
            bar_format=BAR_FORMAT,
            dynamic_ncols=True,
            position=0,
            leave=False,
            disable=not self._enabled,
        )

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._epoch is None:  # not in on_train_epoch_start, which is not called where an epoch is resumed
            self._epoch = self._bar(epoch_name(trainer), self.total_train_batches, batch_idx)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._epoch is not None and not self._epoch.disable:
            loss = trainer.progress_bar_metrics.get("train/loss_step")
            said = f", loss {loss:.4f}" if isinstance(loss, float) else ""
            self._epoch.set_postfix_str(f"step {step_name(trainer)}{said}", refresh=False)
            self._epoch.update(batch_idx + 1 - self._epoch.n)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def _close(self) -> None:
        for bar in (self._epoch, self._evaluation):
            if bar is not None:
                bar.close()
        self._epoch = self._evaluation = None

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _show_evaluation(self, name: str, batches: float, batch_idx: int) -> None:
        if self._evaluation is None:
            if self._epoch is not None:
                self._epoch.clear()
            self._evaluation = self._bar(name, batches)
        self._evaluation.update(batch_idx + 1 - self._evaluation.n)

    def _end_evaluation(self) -> None:
        if self._evaluation is not None:
            self._evaluation.close()
            self._evaluation = None
        if self._epoch is not None:
            self._epoch.refresh()

    @override
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if not trainer.sanity_checking:
            self._show_evaluation("validation", sum(trainer.num_val_batches), batch_idx)

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end_evaluation()

    @override
    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._show_evaluation("test", sum(trainer.num_test_batches), batch_idx)

    @override
    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end_evaluation()

    @override
    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._show_evaluation(evaluation_name(trainer), sum(trainer.num_predict_batches), batch_idx)

    @override
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end_evaluation()


class StageLines(Callback):
    """A line as the training starts, one for each epoch and each validation within it, and one for each evaluation.

    Args:
        seed: The seed.
        resumed_step: Optimizer steps of the checkpoint from which training is resumed; None for a new run.
    """

    def __init__(self, seed: int, resumed_step: int | None) -> None:
        self.seed = seed
        self.resumed_step = resumed_step
        self._since = time.monotonic()
        self._validation = ""

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        directory = first_process_directory(trainer)
        run = f"run {relative(directory)}" if directory else "run without a directory"
        resumed = f" resumed after step {self.resumed_step:,}" if self.resumed_step is not None else ""
        say(f"{run}{resumed} on {where(trainer)}, seed {self.seed}")

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = time.monotonic()

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit":
            self._since = time.monotonic()

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit":
            self._tell_evaluation("validation", trainer.val_dataloaders)
        elif not trainer.sanity_checking:
            self._validation = validation_figures(trainer)
            if trainer.fit_loop.epoch_loop.batch_progress.current.ready < trainer.num_training_batches:
                say(f"{epoch_name(trainer)}, step {step_name(trainer)}: {self._validation}")
                self._validation = ""

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = trainer.callback_metrics.get("train/loss")
        said = [f"train loss {float(loss):.4f}" if loss is not None else "", self._validation]
        said.append(duration(time.monotonic() - self._since))
        say(f"{epoch_name(trainer)}, step {step_name(trainer)}: {', '.join(filter(None, said))}")
        self._since, self._validation = time.monotonic(), ""

    @override
    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = time.monotonic()

    on_predict_start = on_test_start

    @override
    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._tell_evaluation("test", trainer.test_dataloaders)

    @override
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._tell_evaluation(evaluation_name(trainer), trainer.predict_dataloaders)

    def _tell_evaluation(self, name: str, loader: Any) -> None:
        messages = f", {len(loader.messages):,} messages" if isinstance(loader, BatchLoader) else ""
        say(f"{name}{messages}: {duration(time.monotonic() - self._since)}")


def epoch_name(trainer: pl.Trainer) -> str:
    """The current epoch, as ``epoch 2/4``, or ``epoch 2`` where only the steps are limited."""
    last = trainer.max_epochs
    return f"epoch {trainer.current_epoch + 1}{f'/{last}' if last is not None and last > 0 else ''}"


def step_name(trainer: pl.Trainer) -> str:
    """The optimizer steps so far, of all sessions, and their total if it is known, as ``262/524``."""
    total = total_steps(trainer)
    return f"{trainer.global_step:,}{f'/{int(total):,}' if math.isfinite(total) else ''}"


def evaluation_name(trainer: pl.Trainer) -> str:
    """Which split is evaluated by ``trainer.predict``."""
    loader = trainer.predict_dataloaders
    return f"evaluating {loader.title}" if isinstance(loader, BatchLoader) else "evaluating"


def validation_figures(trainer: pl.Trainer) -> str:
    """Loss and accuracy of the last validation, as ``validation loss 0.4107, validation accuracy 82.10%``."""
    logged = trainer.callback_metrics
    loss, accuracy = logged.get("val/loss"), logged.get("val/acc")
    said = [f"validation loss {float(loss):.4f}"] if loss is not None else []
    return ", ".join(said + ([f"validation accuracy {percent(float(accuracy))}"] if accuracy is not None else []))


def where(trainer: pl.Trainer) -> str:
    """The device, how many processes, and the precision where it is not float32."""
    processes = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
    precision = "" if trainer.precision == "32-true" else f", precision {trainer.precision}"
    return f"{trainer.strategy.root_device}{processes}{precision}"
