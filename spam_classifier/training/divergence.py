"""Stop a training whose numbers are none any more."""

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from spam_classifier.errors import Diverged
from spam_classifier.training.module import SpamClassifier


class StopAtNaN(Callback):
    """Stops before a loss that is NaN or infinite reaches the weights.

    Where the weights are so already, the step before has made them so: its gradients were infinite, or its update.
    """

    def __init__(self) -> None:
        self._bad: Tensor | None = None

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Note a bad loss; asking a GPU for it here would have it wait."""
        bad = ~loss.detach().isfinite()
        self._bad = bad if self._bad is None else self._bad | bad

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Stop after a bad loss, with all processes.

        Raises:
            Diverged: The loss of one of them is NaN or infinite.
        """
        bad, self._bad = self._bad is not None and bool(self._bad), None
        # all have to stop at the same step, or the others wait for the one for ever
        if not trainer.strategy.reduce_boolean_decision(bad, all=False):
            return
        step, epoch = trainer.global_step + 1, trainer.current_epoch + 1
        assert isinstance(pl_module, SpamClassifier)
        if pl_module.has_finite_weights:
            raise Diverged(f"the loss of step {step} (epoch {epoch}) is not a finite number")
        raise Diverged(f"step {step - 1} has made the weights NaN or infinite, seen by the loss of step {step}")
