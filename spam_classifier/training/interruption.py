"""Stop a training run so that it can be continued exactly."""

import shlex
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only

from spam_classifier.errors import Diverged, UserError
from spam_classifier.runs.find import LAST_CHECKPOINT
from spam_classifier.training.logger import first_process_directory
from spam_classifier.training.processes import end_at_sigterm

ENDED_EARLY = "ended_early"  # where a checkpoint says so


class StopCleanly(Callback):
    """Finish the step at hand on Ctrl-C, keep a checkpoint, and say how to go on; keep one on an exception, too.

    A KeyboardInterrupt in the middle of an optimizer step would leave weights that no step count describes, so
    the first Ctrl-C only asks to stop: it is raised at the end of the step at hand, or of the epoch if that was
    its last step. A second one stops at once and leaves the last checkpoint as it was. SIGTERM to one of several
    processes is taken as Ctrl-C is; to a single one, the Trainer itself takes it so.

    Args:
        new_run: Whether the run's directory is its own: it is removed if the run fails before its first step.
    """

    def __init__(self, new_run: bool) -> None:
        self.new_run = new_run
        self._requested = False
        self._agreed = False
        self._last_is_current = True  # until training begins there is nothing newer to keep
        self._former_handler: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take Ctrl-C over; from here on the state is worth keeping."""
        self._last_is_current = False
        self._former_handler = signal.signal(signal.SIGINT, self._ask_to_stop)
        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, self._ask_to_stop)

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let SIGTERM end the job as long as there is nothing to keep."""
        end_at_sigterm(trainer)

    on_test_start = on_predict_start = on_sanity_check_start

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let SIGTERM end the job, outside of training."""
        if trainer.state.fn != "fit":
            end_at_sigterm(trainer)

    def _ask_to_stop(self, signum: int, frame: FrameType | None) -> None:
        if self._requested:
            self._last_is_current = True
            raise KeyboardInterrupt
        self._requested = True
        _say("\nstopping after this step; Ctrl-C again stops at once, back at the last checkpoint")

    def _is_requested(self, trainer: pl.Trainer) -> bool:
        # every process has to stop after the same step, or the others wait for it for ever
        self._requested = self._agreed = trainer.strategy.reduce_boolean_decision(self._requested, all=False)
        return self._agreed

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here if asked to, unless gradients are still being accumulated or the epoch ends here."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if stepped and batch_idx + 1 < trainer.num_training_batches and self._is_requested(trainer):
            raise KeyboardInterrupt

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let the Trainer end here if asked to; the last checkpoint is written at every epoch's end."""
        if self._is_requested(trainer):
            self._last_is_current = True
            trainer.should_stop = True

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep whether another callback has ended the training: one that is killed right behind that has ended, too."""
        checkpoint[ENDED_EARLY] = trainer.should_stop and not self._requested

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let training that has ended be, unless the flags ask for more epochs than it had."""
        if trainer.state.fn == "fit" and checkpoint.get(ENDED_EARLY):
            trainer.should_stop = True
            _say("the training had ended early; --trainer.min_epochs has it go on")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give Ctrl-C back, and stop here if asked to."""
        signal.signal(signal.SIGINT, self._former_handler)
        end_at_sigterm(trainer)
        if self._requested:
            raise KeyboardInterrupt

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Keep the state as the last checkpoint where it is whole, and say how to go on; clear up a failed start."""
        if trainer.state.fn != "fit":  # its weights are another checkpoint's by now
            return
        if trainer.global_step == 0 and self.new_run:
            directory = first_process_directory(trainer) if trainer.is_global_zero else None
            if directory is not None:
                shutil.rmtree(directory, ignore_errors=True)
            return
        keeper = trainer.checkpoint_callback
        if not isinstance(keeper, ModelCheckpoint) or keeper.dirpath is None:
            return
        last = Path(keeper.dirpath) / LAST_CHECKPOINT
        if isinstance(exception, Diverged):  # what has led there is not worth keeping, and leads there again
            if last.is_file():
                _say(f"the last good checkpoint is kept: {last}")
            return
        # alone among several processes, one that failed would wait for the others to save with it
        if not self._last_is_current and (self._agreed or trainer.world_size == 1):
            with suppress(UserError):  # of a full disk, as the exception may be that is told
                trainer.save_checkpoint(last, weights_only=False)
        if last.is_file():
            _say(f"stopped; continue with: python -m spam_classifier.train fit --ckpt_path {shlex.quote(str(last))}")


@rank_zero_only
def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
