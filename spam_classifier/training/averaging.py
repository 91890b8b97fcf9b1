"""Lightning's weight averaging, of the parameters that learn."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from torch import Tensor, nn
from typing_extensions import override

from spam_classifier.errors import UserError

AVERAGING = "weight_averaging"  # the key of a checkpoint for what a resumed training needs besides the average


class Learning(pl.LightningModule):
    """The parameters of a module that learn, shared, not copied.

    Lightning's callback averages all parameters of the module that it is given.
    """

    def __init__(self, module: pl.LightningModule) -> None:
        super().__init__()
        learning = {name: value for name, value in module.named_parameters() if value.requires_grad}
        self.names = list(learning)
        self.values = nn.ParameterList(learning.values())
        self._of_module = module.device

    @property
    @override
    def device(self) -> torch.device:
        return self._of_module

    def named(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of this module with the names of the given one."""
        return {name: state[f"values.{number}"] for number, name in enumerate(self.names)}

    def numbered(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The part of the given module's state dict that is here, with the names of this one."""
        return {f"values.{number}": state[name] for number, name in enumerate(self.names)}


class AverageLearning(Callback):
    """Has Lightning's callback average the parameters that learn. Validations and checkpoints are of the average.

    On its own that callback copies the module before it is built. It would average frozen parameters, which rounding
    then changes, and the fitted threshold. It leaves the average out of checkpoints of the weights only, as the best
    one is. Until averaging begins it would validate the weights of the start.

    Args:
        averaging: The user's callback.
    """

    def __init__(self, averaging: WeightAveraging) -> None:
        self.averaging = averaging
        self._validates_average = False

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        if isinstance(trainer.strategy, FSDPStrategy | DeepSpeedStrategy | ModelParallelStrategy):
            raise UserError(
                f"{type(self.averaging).__name__} can't average weights that are sharded: use --trainer.strategy ddp"
            )
        pl_module.setup(stage)  # the Trainer calls it, and builds the model, after the callbacks' setup
        with trainer.strategy.tensor_init_context(), trainer.precision_plugin.module_init_context():
            pl_module.configure_model()
        self.learning = Learning(pl_module)
        self.averaging.setup(trainer, self.learning, stage)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.averaging.on_train_batch_end(trainer, self.learning, outputs, batch, batch_idx)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.averaging.on_train_epoch_end(trainer, self.learning)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._has_begun(self._saved(trainer)):
            self.averaging.on_train_end(trainer, self.learning)

    @override
    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit" and self._has_begun(self._saved(trainer)):
            self.averaging.on_validation_epoch_start(trainer, self.learning)
            self._validates_average = True

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._validates_average:
            self.averaging.on_validation_epoch_end(trainer, self.learning)
            self._validates_average = False

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.on_validation_epoch_end(trainer, pl_module)  # a checkpoint may follow

    def _saved(self, trainer: pl.Trainer) -> dict[str, Any]:
        saved: dict[str, Any] = {"state_dict": self.learning.state_dict()}
        self.averaging.on_save_checkpoint(trainer, self.learning, saved)
        return saved

    @staticmethod
    def _has_begun(saved: dict[str, Any]) -> bool:
        return bool(saved["averaging_state"]["n_averaged"] > 0)

    def put_into(self, trainer: pl.Trainer, checkpoint: dict[str, Any]) -> None:
        """Replace the weights in a checkpoint by their average; call it for those of the weights only, too."""
        saved = self._saved(trainer)
        if not self._has_begun(saved):
            return
        checkpoint["state_dict"] |= self.learning.named(saved["state_dict"])
        if "optimizer_states" in checkpoint:
            current = self.learning.named(saved["current_model_state"])
            checkpoint[AVERAGING] = {"current": current, "state": saved["averaging_state"]}

    @override
    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn != "fit" or AVERAGING not in checkpoint:  # then the model is all there is
            return
        kept = checkpoint[AVERAGING]
        saved = {
            "state_dict": self.learning.numbered(pl_module.state_dict()),
            "current_model_state": self.learning.numbered(kept["current"]),
            "averaging_state": kept["state"],
        }
        self.averaging.on_load_checkpoint(trainer, self.learning, saved)

    @override
    def state_dict(self) -> dict[str, Any]:
        return self.averaging.state_dict()

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.averaging.load_state_dict(state_dict)


def average_of(trainer: pl.Trainer) -> AverageLearning | None:
    """The Trainer's callback that averages weights, if it has one."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, AverageLearning)), None)
