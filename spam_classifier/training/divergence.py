"""Stop training when the loss or the weights become NaN or infinite."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from typing_extensions import override

from spam_classifier.errors import Diverged


class StopAtNaN(Callback):
    """Stops before a loss that is not finite changes the weights, and before a checkpoint keeps such weights.

    If the weights are not finite themselves, the step before has made them so: its gradients or its update were
    infinite.
    """

    def __init__(self) -> None:
        self._bad: Tensor | None = None

    @override
    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        bad = ~loss.detach().isfinite()  # read only before the optimizer step: reading it here would stall a GPU
        self._bad = bad if self._bad is None else self._bad | bad

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
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
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        _refuse_bad_weights(trainer, pl_module)


def has_finite_weights(module: nn.Module) -> bool:
    """Whether all trained parameters are finite."""
    trained = (parameter.detach() for parameter in module.parameters() if parameter.requires_grad)
    return all(bool(torch.stack(parameter.aminmax()).isfinite().all()) for parameter in trained)


def _refuse_bad_weights(trainer: pl.Trainer, module: nn.Module) -> None:
    if not has_finite_weights(module):
        raise Diverged(f"step {trainer.global_step} has made the weights NaN or infinite")
