"""What a training shows: Lightning's bars on a terminal, lines that stay, and no chatter."""

import logging
import math
import re
import sys
import threading
import time
import warnings
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm
from typing_extensions import override

from spam_classifier.data.loader import BatchLoader
from spam_classifier.evaluation.text_tables import duration, percent
from spam_classifier.hints import relative
from spam_classifier.training.logger import first_process_directory

HIDDEN = re.compile(  # advertising, advice to compute less exactly, and what our own lines say
    "💡 Tip:|Seed set to|[GTH]PU available:|that has Tensor Cores|Loading `train_dataloader` to estimate|"
    "Restor(ing|ed all) states from the checkpoint|Loaded model weights from the checkpoint|Detected KeyboardInterrupt|"
    r"`Trainer.fit` stopped: `max_(epochs|steps)=|=1\.0\)` was configured so 100% of the batches"
)
HIDDEN_WARNINGS = (  # of Lightning's own code, in a resumed run, and where the mean of the epoch is logged anyway
    ".*isinstance.treespec, LeafSpec.*|.*Checkpoint directory .* exists and is not empty|"
    ".*number of training batches .* is smaller than the logging interval"
)
LOGGERS = ("pytorch.utilities.rank_zero", "fabric.utilities.rank_zero", "fabric.utilities.seed")


def quieten() -> None:
    """Hide what our own lines say better, advertising, and warnings of Lightning about its own code."""
    for name in LOGGERS:
        logging.getLogger(f"lightning.{name}").addFilter(lambda record: not HIDDEN.search(record.getMessage()))
    logging.getLogger("lightning.pytorch.trainer.connectors.signal_connector").setLevel(logging.WARNING)
    # TensorBoard writes in a thread, and raises errors of that thread again in the main one
    threading.excepthook = lambda failed: None if failed.exc_type is OSError else threading.__excepthook__(failed)
    warnings.filterwarnings("ignore", message=HIDDEN_WARNINGS)


@rank_zero_only
def say(line: str) -> None:
    """Print a line on standard error, above any bar."""
    tqdm.write(line, file=sys.stderr)
    sys.stderr.flush()


class Bars(TQDMProgressBar):
    """Lightning's bars, with the epochs counted from 1."""

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(epoch_name(trainer))

    @override
    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}


class StageLines(Callback):
    """A line as the training starts or is resumed, one for each epoch and validation in it, and for each evaluation."""

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

    def _on_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.training:  # an epoch's time includes its validations
            self._since = time.monotonic()

    on_train_start = on_validation_start = on_test_start = on_predict_start = _on_start

    def _on_evaluation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit":
            loader = getattr(trainer, f"{stage_of(trainer)}_dataloaders")
            messages = f", {len(loader.messages):,} messages" if isinstance(loader, BatchLoader) else ""
            say(f"{evaluation_name(trainer)}{messages}: {duration(time.monotonic() - self._since)}")
        elif not trainer.sanity_checking:
            loss, accuracy = (float(trainer.callback_metrics[f"val/{name}"]) for name in ("loss", "acc"))
            self._validation = f"validation loss {loss:.4f}, validation accuracy {percent(accuracy)}"
            if trainer.fit_loop.epoch_loop.batch_progress.current.ready < trainer.num_training_batches:
                say(f"{epoch_name(trainer)}, step {step_name(trainer)}: {self._validation}")
                self._validation = ""

    on_validation_end = on_test_end = on_predict_end = _on_evaluation_end

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = trainer.callback_metrics.get("train/loss")
        said = [f"train loss {float(loss):.4f}" if loss is not None else "", self._validation]
        said.append(duration(time.monotonic() - self._since))
        say(f"{epoch_name(trainer)}, step {step_name(trainer)}: {', '.join(filter(None, said))}")
        self._since, self._validation = time.monotonic(), ""


class RunTime(Callback):
    """Counts the seconds since it was made, and those of the run's earlier sessions up to their last checkpoints."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._earlier = 0.0

    @property
    def session(self) -> float:
        """Those of this session."""
        return time.monotonic() - self._started

    @property
    def total(self) -> float:
        """Those of all sessions."""
        return self._earlier + self.session

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.total}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._earlier = float(state_dict["seconds"])


def stage_of(trainer: pl.Trainer) -> str:
    """``train``, ``val``, ``test`` or ``predict``: as in ``trainer.num_val_batches``."""
    assert trainer.state.stage is not None
    return str(trainer.state.stage.dataloader_prefix)


def epoch_name(trainer: pl.Trainer) -> str:
    """The current epoch, as ``epoch 2/4``, or ``epoch 2`` where only the steps are limited."""
    last = trainer.max_epochs
    return f"epoch {trainer.current_epoch + 1}{f'/{last}' if last is not None and last > 0 else ''}"


def step_name(trainer: pl.Trainer) -> str:
    """The optimizer steps so far, of all sessions, and their total if it is known, as ``262/524``."""
    total = trainer.estimated_stepping_batches
    return f"{trainer.global_step:,}{f'/{int(total):,}' if math.isfinite(total) else ''}"


def evaluation_name(trainer: pl.Trainer) -> str:
    """What is evaluated: ``validation``, ``test``, or the split that ``trainer.predict`` is given."""
    loader = trainer.predict_dataloaders
    predicted = f"evaluating {loader.title}" if isinstance(loader, BatchLoader) else "evaluating"
    return {"val": "validation", "test": "test"}.get(stage_of(trainer), predicted)


def where(trainer: pl.Trainer) -> str:
    """The device, how many processes, and the precision where it is not float32."""
    processes = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
    precision = "" if trainer.precision == "32-true" else f", precision {trainer.precision}"
    return f"{trainer.strategy.root_device}{processes}{precision}"
