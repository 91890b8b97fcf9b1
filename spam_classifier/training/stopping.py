"""Stop a training at NaN, and on a signal or an exception so that it can be resumed exactly."""

import shutil
import signal
from contextlib import suppress
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from typing_extensions import override

from spam_classifier import hints
from spam_classifier.errors import Diverged, UserError
from spam_classifier.runs.find import flags_for
from spam_classifier.training.logger import first_process_directory
from spam_classifier.training.processes import end_at_sigterm
from spam_classifier.training.progress import say
from spam_classifier.training.run_files import last_path

ENDED_EARLY = "ended_early"  # the key of a checkpoint after which another callback stopped the training


class StopCleanly(Callback):
    """On Ctrl-C finish the step, save a checkpoint and say how to resume; on an exception save one if it is exact.

    A KeyboardInterrupt in the middle of an optimizer step would leave weights that no step count describes. So the
    first Ctrl-C only asks to stop: KeyboardInterrupt is raised after the step and the validation that is due then, or
    after the epoch if that was its last step. The second one stops at once and leaves the last checkpoint as it was.
    SIGTERM counts as Ctrl-C: the Trainer's own handler would break off a validation, which is never made up for.
    The directory of a new run is removed if training fails before the first step.
    """

    def __init__(self, new_run: bool) -> None:
        self.new_run = new_run
        self._requested = False
        self._signal: int = signal.SIGINT
        self._agreed = False
        self._last_is_current = True  # until training starts there is nothing newer to save
        self._former_handlers: dict[int, Any] = {}

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._last_is_current = False
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former_handlers[number] = signal.signal(number, self._ask_to_stop)

    @override
    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        end_at_sigterm(trainer.world_size)

    on_test_start = on_predict_start = on_sanity_check_start

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit":
            end_at_sigterm(trainer.world_size)

    def _ask_to_stop(self, signum: int, frame: FrameType | None) -> None:
        if self._requested:
            self._last_is_current = True
            raise KeyboardInterrupt(signum)
        self._requested, self._signal = True, signum
        say("stopping after this step; Ctrl-C again stops at once, back at the last checkpoint")

    def _is_requested(self, trainer: pl.Trainer) -> bool:
        # all processes must stop after the same step: the others would wait forever for one that stopped
        self._agreed = trainer.strategy.reduce_boolean_decision(self._requested, all=False)
        if self._agreed:  # never reset: a signal may have arrived during the reduction
            self._requested = True
        return self._agreed

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        loop = trainer.fit_loop
        if loop.epoch_loop._should_check_val_fx(loop._data_fetcher):  # type: ignore[arg-type]
            return  # SpamClassifier.on_validation_end stops, once the validation's checkpoint is kept
        if self._may_stop(trainer):
            trainer._logger_connector.update_train_step_metrics()  # comes after this hook, and would be left out
            raise KeyboardInterrupt(self._signal)

    def stop_after_validation(self, trainer: pl.Trainer) -> None:
        """Stop between two steps of an epoch, if asked to; call it after the callbacks' ``on_validation_end``."""
        if self._may_stop(trainer):
            raise KeyboardInterrupt(self._signal)

    def _may_stop(self, trainer: pl.Trainer) -> bool:
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        stepped = done % trainer.accumulate_grad_batches == 0  # else gradients would be lost
        return stepped and done < trainer.num_training_batches and self._is_requested(trainer)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._is_requested(trainer):
            self._last_is_current = True  # the last checkpoint is written at the end of every epoch
            trainer.should_stop = True

    @override
    def on_save_checkpoint(self, trainer: pl.Trainer, _: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        # for a run that is killed right after this checkpoint: resumed, it must not train on
        checkpoint[ENDED_EARLY] = trainer.should_stop and not self._requested

    @override
    def on_load_checkpoint(self, trainer: pl.Trainer, _: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == "fit" and checkpoint.get(ENDED_EARLY):
            trainer.should_stop = True
            say("the training ended early; --trainer.min_epochs makes it go on")

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for number, handler in self._former_handlers.items():
            signal.signal(number, handler)
        end_at_sigterm(trainer.world_size)
        if self._requested:
            raise KeyboardInterrupt(self._signal)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if trainer.state.fn != "fit":  # the weights are those of another checkpoint
            return
        if trainer.global_step == 0 and self.new_run:
            directory = first_process_directory(trainer) if trainer.is_global_zero else None
            if directory is not None:
                shutil.rmtree(directory, ignore_errors=True)
                with suppress(OSError):  # it holds other runs
                    directory.parent.rmdir()
            return
        last = last_path(trainer)
        if last is None:
            return
        if isinstance(exception, Diverged):  # resumed from this state, training would diverge again
            if last.is_file():
                say(f"the last good checkpoint is kept: {last}")
            return
        # saving takes all processes: a process that failed alone would wait for the others
        if not self._last_is_current and (self._agreed or trainer.world_size == 1):
            with suppress(UserError):  # a full disk, which may be the very exception that is reported
                trainer.save_checkpoint(last, weights_only=False)
        if last.is_file():
            say(f"stopped; continue with: {hints.command_line('fit', *flags_for(last, of_run='last'))}")


class StopAtNaN(Callback):
    """Stops before a loss that is not finite changes the weights, and before a checkpoint keeps such weights.

    If the weights themselves are not finite, the gradients or the update of the step before were not.
    """

    def __init__(self) -> None:
        self._bad: Tensor | None = None

    @override
    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        bad = ~loss.detach().isfinite()  # read only before the optimizer step: reading it here would stall a GPU
        self._bad = bad if self._bad is None else self._bad | bad

    @override
    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        bad, self._bad = self._bad is not None and bool(self._bad), None
        # all processes have to stop at the same step, or the others would wait forever
        if not trainer.strategy.reduce_boolean_decision(bad, all=False):
            return
        step, epoch = trainer.global_step + 1, trainer.current_epoch + 1
        if has_finite_weights(pl_module):
            raise Diverged(f"the loss of step {step} (epoch {epoch}) is not a finite number")
        raise Diverged(f"step {step - 1} has made the weights NaN or infinite, seen by the loss of step {step}")

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop before a checkpoint is chosen by a loss that no later epoch can mend."""
        if trainer.state.fn != "fit":
            return
        loss = trainer.callback_metrics.get("val/loss")
        if loss is not None and not bool(loss.isfinite()):
            raise Diverged(f"the validation loss at step {trainer.global_step} is not a finite number")
        _refuse_bad_weights(trainer, pl_module)  # weights-only checkpoints do not reach the next hook

    @override
    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        _refuse_bad_weights(trainer, pl_module)


def has_finite_weights(module: nn.Module) -> bool:
    """Whether all trained parameters are finite."""
    trained = (parameter.detach() for parameter in module.parameters() if parameter.requires_grad)
    return all(bool(torch.stack(parameter.aminmax()).isfinite().all()) for parameter in trained)


def _refuse_bad_weights(trainer: pl.Trainer, module: nn.Module) -> None:
    if not has_finite_weights(module):
        raise Diverged(f"step {trainer.global_step} has made the weights NaN or infinite")
