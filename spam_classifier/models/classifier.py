"""The classifier: a GPT-2 backbone with a linear head that reads one token's hidden state."""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Accuracy, MeanMetric, Metric

from spam_classifier.batch import Batch, MessageSource
from spam_classifier.errors import UserError
from spam_classifier.models.frozen_prefix import FrozenPrefix, HiddenStates
from spam_classifier.models.gpt2 import GPT2Backbone
from spam_classifier.models.packed_blocks import states_before_block
from spam_classifier.models.pretrained import RANDOM, fetch_weights, load_weights, resolve_shape
from spam_classifier.models.schedule import learning_rate_factor
from spam_classifier.models.trainable import Policy, freeze, frozen_blocks

GIGABYTE = 1e9
VOCABULARY = 50257
STAGES = ("train", "val", "test")


class SpamClassifier(pl.LightningModule):
    """GPT-2 fine-tuned to tell classes of text apart, from the logits of one token of each message.

    What the data decides, the label names and the maximum length, is taken from the Trainer's datamodule and
    kept with the hyper-parameters in the checkpoint; ``SpamClassifier.load_from_checkpoint`` needs nothing else.

    Args:
        weights: The backbone's weights: ``gpt2``, ``gpt2-medium``, ``gpt2-large`` or ``gpt2-xl`` (downloaded
            once), a local .safetensors file or directory, or ``random`` to train from scratch.
        layers: Transformer blocks; default: those of the weights (12 for random ones).
        width: Size of the hidden states; default: that of the weights (768 for random ones).
        heads: Attention heads; default: those of the weights (width / 64 for random ones).
        context: Longest message in tokens; default: that of the weights (1024 for random ones).
        dropout: Dropout probability in the backbone while training.
        trainable: What learns: ``last_layer`` (the head), ``last_block`` (and the final layer norm and the last
            block), ``last_two_blocks`` or ``all``.
        token_position: Whose logits decide: ``last`` position of the padded row, as in the book, or
            ``last_real``, the last token of the message itself, for which padding cannot matter.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        schedule: Learning rate after the warm-up: ``constant``, or ``cosine`` down to zero.
        warmup_steps: Steps over which the learning rate rises linearly from zero.
        frozen_prefix: ``auto`` computes what the frozen blocks make of each message once, and keeps it for all
            epochs; ``off`` computes it anew each time. The numbers are the same.
        prefix_memory: Most gigabytes of memory for that, in each process.
        prefix_disk: Most gigabytes of the run's directory for that, in each process, once the memory is used up.

    Attributes:
        label_names: The classes in the order of their logits; empty until the model is configured.
        max_length: Tokens that messages were cut to in training, and padded to for the ``last`` position.
        awaits_checkpoint: Set it where a checkpoint is about to be restored: pretrained weights are not loaded.
    """

    def __init__(
        self,
        weights: str = "gpt2",
        layers: int | None = None,
        width: int | None = None,
        heads: int | None = None,
        context: int | None = None,
        dropout: float = 0.0,
        trainable: Policy = "last_block",
        token_position: Literal["last", "last_real"] = "last",
        learning_rate: float = 5e-5,
        weight_decay: float = 0.1,
        schedule: Literal["constant", "cosine"] = "constant",
        warmup_steps: int = 0,
        frozen_prefix: Literal["auto", "off"] = "auto",
        prefix_memory: float = 2.0,
        prefix_disk: float = 20.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if not 0 <= dropout < 1:
            raise UserError(f"--model.dropout must be at least 0 and below 1, not {dropout}")
        if learning_rate <= 0:
            raise UserError(f"--model.learning_rate must be above 0, not {learning_rate}")
        for name, value in (("weight_decay", weight_decay), ("warmup_steps", warmup_steps)):
            if value < 0:
                raise UserError(f"--model.{name} must be at least 0, not {value}")
        self.shape = resolve_shape(weights, layers, width, heads, context)
        if self.shape.vocabulary != VOCABULARY:
            raise UserError(
                f"--model.weights {weights} has a vocabulary of {self.shape.vocabulary}, not GPT-2's {VOCABULARY}: "
                "messages are encoded with GPT-2's tokenizer"
            )
        self.hparams.update(
            layers=self.shape.layers,
            width=self.shape.width,
            heads=self.shape.heads,
            context=self.shape.context,
        )
        self.label_names: list[str] = []
        self.max_length = 0
        self.awaits_checkpoint = False
        self.backbone: GPT2Backbone | None = None
        self.head: nn.Linear | None = None
        self._prefix: FrozenPrefix | None = None
        self._states: dict[str, HiddenStates | None] = {}
        self._epoch_so_far: dict[str, dict[str, Tensor]] = {}

    def prepare_data(self) -> None:
        """Download pretrained weights where they have to be; one process of each machine runs this."""
        if not self._restoring:
            fetch_weights(self.hparams["weights"])

    def setup(self, stage: str) -> None:
        """Take the label names and the maximum length from the datamodule, and check that they fit the model."""
        data = getattr(self.trainer, "datamodule", None)
        if data is None:
            if not self.label_names:
                raise UserError("the classes come from the data: give the Trainer a SpamDataModule, not dataloaders")
            return
        if data.max_length > self.shape.context:
            raise UserError(
                f"messages of up to {data.max_length} tokens exceed the backbone's context of "
                f"{self.shape.context}: set --data.max_length {self.shape.context} or less"
            )
        if self.hparams["token_position"] == "last" and data.padding != "longest":
            raise UserError(
                f"--data.padding {data.padding} needs --model.token_position last_real: at the last position of "
                "the row a message's verdict would depend on its neighbours in the batch"
            )
        if self.label_names and self.label_names != data.label_names:
            raise UserError(f"the model tells {self.label_names} apart, the corpus {data.label_names}")
        if self.label_names and self.hparams["token_position"] == "last" and self.max_length != data.max_length:
            raise UserError(
                f"the model reads the last position of rows of {self.max_length} tokens, these have "
                f"{data.max_length}: set --data.max_length {self.max_length}"
            )
        self._describe_data(data.label_names, data.max_length)

    def _describe_data(self, label_names: list[str], max_length: int) -> None:
        self.label_names = list(label_names)
        self.max_length = max_length
        self.hparams.update(label_names=self.label_names, max_length=max_length)

    @property
    def _restoring(self) -> bool:
        """Whether a checkpoint is about to replace the weights: the caller says so, or there is no Trainer."""
        return self.awaits_checkpoint or self._trainer is None

    def configure_model(self) -> None:
        """Build the backbone and the head, load the pretrained weights, freeze what does not learn.

        Freezing belongs here too, not only in ``configure_optimizers``: distributed strategies wrap the model in
        between and wait for the gradients of every parameter that learns when they do.
        """
        if self.backbone is not None or not self.label_names:
            return
        weights = self.hparams["weights"]
        if weights == RANDOM and not self._restoring:
            self.backbone = GPT2Backbone(self.shape, self.hparams["dropout"])
        else:
            with torch.device("meta"):  # every parameter is about to be loaded: draw no random ones
                self.backbone = GPT2Backbone(self.shape, self.hparams["dropout"])
            self.backbone.to_empty(device="cpu")
        if not self._restoring:
            load_weights(self.backbone, weights)
        self.head = nn.Linear(self.shape.width, len(self.label_names))
        classes = len(self.label_names)
        # left to itself the mean leaves out what is not a number: a run that diverges would look like the best
        self.metrics = nn.ModuleDict({f"{stage}_loss": MeanMetric(nan_strategy=math.inf) for stage in STAGES})
        self.metrics.update({f"{stage}_acc": Accuracy(task="multiclass", num_classes=classes) for stage in STAGES})
        freeze(self.backbone, self.head, self.hparams["trainable"])
        blocks = frozen_blocks(self.backbone, self.hparams["trainable"])
        if blocks and self.hparams["frozen_prefix"] == "auto":
            self._prefix = FrozenPrefix(
                self.backbone,
                blocks,
                last_position=self.hparams["token_position"] == "last",
                memory_budget=self.hparams["prefix_memory"] * GIGABYTE,
                disk_budget=self.hparams["prefix_disk"] * GIGABYTE,
            )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what the data of the training run decided from the checkpoint, or check that it is the same."""
        saved = checkpoint["hyper_parameters"]
        if self.label_names and self.label_names != saved["label_names"]:
            raise UserError(f"the checkpoint tells {saved['label_names']} apart, the corpus has {self.label_names}")
        for name in ("layers", "width", "heads", "context"):
            if saved[name] != getattr(self.shape, name):
                raise UserError(
                    f"--model.{name} {getattr(self.shape, name)}: the checkpoint's backbone has {saved[name]}; "
                    "leave the flag out"
                )
        for name, state in checkpoint.get("metrics_of_the_epoch", {}).items():
            self._epoch_so_far[name] = state
        if not self.label_names:
            self._describe_data(saved["label_names"], saved["max_length"])
            self.configure_model()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the training metrics hold of an epoch that has not ended, for its means."""
        done = self.trainer.fit_loop.epoch_loop.batch_idx + 1
        if self.trainer.world_size == 1 and 0 < done < self.trainer.num_training_batches:
            checkpoint["metrics_of_the_epoch"] = {
                name: dict(cast(Metric, self.metrics[name]).metric_state) for name in ("train_loss", "train_acc")
            }

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits of each message's deciding token.

        Args:
            input_ids: Token ids, int64 [B, T].
            lengths: Real tokens of each message, int64 [B]; used by the ``last_real`` position only.

        Returns:
            Logits, float [B, classes].
        """
        assert self.backbone is not None
        return self._read_out(self.backbone.before_block(input_ids, len(self.backbone.h) - 1), lengths)

    def _read_out(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Logits from what the last block reads, float [B, T, width] -> [B, classes]."""
        assert self.backbone is not None
        assert self.head is not None
        if self.hparams["token_position"] == "last":
            position = torch.full_like(lengths, states.shape[1] - 1)
        else:
            position = lengths - 1
        return self.head(self.backbone.at(states, position, len(self.backbone.h) - 1))

    def logits_of(self, batches: Iterable[Batch]) -> Iterator[Tensor]:
        """Logits of one batch after the other, without gradients: what ``forward`` gives, sooner on a CPU.

        Args:
            batches: The batches, on the model's device.

        Yields:
            Logits, float [B, classes].
        """
        assert self.backbone is not None
        batches, again = itertools.tee(batches)
        input_ids = (batch.input_ids for batch in batches)
        states = states_before_block(self.backbone, input_ids, len(self.backbone.h) - 1)
        for batch, of_batch in zip(again, states, strict=True):
            with torch.no_grad():
                logits = self._read_out(of_batch, batch.lengths)
            yield logits

    def _logits(self, batch: Batch, stage: str) -> Tensor:
        """Logits of a batch, from its kept hidden states where the stage has them, float [B, classes]."""
        kept = self._states.get(stage)
        if kept is None:
            return self(batch.input_ids, batch.lengths)
        assert self.backbone is not None
        assert self.head is not None
        assert self._prefix is not None
        states, position = kept.gather(batch.index, self.device)
        return self.head(self.backbone.at(states, position, self._prefix.blocks))

    def _keep_states(self, stage: str, loader: Any, visits: float) -> None:
        """Have the hidden states of a stage's messages computed, if each of them is going to be visited."""
        self._states[stage] = None
        if self._prefix is not None and isinstance(loader, MessageSource) and visits >= len(loader):
            self._states[stage] = self._prefix.states_of(loader, self.trainer)

    def on_train_start(self) -> None:
        """Take up the metrics of an epoch that goes on; compute the frozen part of the messages, or say why not."""
        for name, state in self._epoch_so_far.items():
            for part, value in state.items():
                setattr(self.metrics[name], part, value.to(self.device))
        self._epoch_so_far = {}
        if self._prefix is None:
            why = "switched off" if self.hparams["frozen_prefix"] == "off" else "no block is frozen"
        elif self.hparams["dropout"]:
            why = "dropout is at work in the frozen blocks"
        else:
            visits = self.trainer.estimated_stepping_batches * self.trainer.accumulate_grad_batches
            self._keep_states("train", self.trainer.train_dataloader, visits)
            return
        rank_zero_info(f"hidden states are computed anew in each epoch: {why}")

    def on_validation_start(self) -> None:
        """Compute the frozen part of the validation messages, unless it is kept already."""
        self._keep_states("val", self.trainer.val_dataloaders, sum(self.trainer.num_val_batches))

    def on_test_start(self) -> None:
        """Compute the frozen part of the test messages."""
        self._keep_states("test", self.trainer.test_dataloaders, sum(self.trainer.num_test_batches))

    def on_predict_start(self) -> None:
        """Compute the frozen part of the messages to predict."""
        self._keep_states("predict", self.trainer.predict_dataloaders, sum(self.trainer.num_predict_batches))

    def _loss(self, batch: Batch, stage: str) -> tuple[Tensor, Tensor]:
        logits = self._logits(batch, stage)
        loss = F.cross_entropy(logits, batch.labels)
        size = len(batch.labels)
        mean_loss = cast(Metric, self.metrics[f"{stage}_loss"])
        accuracy = cast(Metric, self.metrics[f"{stage}_acc"])
        mean_loss.update(loss.detach(), size)
        accuracy.update(logits.detach(), batch.labels)
        self.log_dict(
            {f"{stage}/loss": mean_loss, f"{stage}/acc": accuracy},
            on_step=False,
            on_epoch=True,
            prog_bar=stage == "val",
            batch_size=size,
        )
        return loss, logits

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout from seed, epoch, step and rank, so that a resumed run draws what the first would have."""
        if self.hparams["dropout"]:
            state = np.random.SeedSequence((self._seed, self.current_epoch, batch_idx, self.global_rank))
            torch.manual_seed(int(state.generate_state(1)[0]))

    def on_fit_start(self) -> None:
        """Keep the seed of the run."""
        self._seed = torch.initial_seed()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Cross-entropy of the batch."""
        loss, _ = self._loss(batch, "train")
        self.log("train/loss_step", loss, prog_bar=True, batch_size=len(batch.labels))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the validation metrics."""
        self._loss(batch, "val")

    def on_validation_end(self) -> None:
        """Stop a run that has diverged: no later epoch mends it."""
        loss = self.trainer.callback_metrics.get("val/loss")
        if self.trainer.state.fn == "fit" and loss is not None and not torch.isfinite(loss):
            raise UserError(
                "the validation loss is not a finite number, the training has diverged: lower --model.learning_rate "
                "or set --trainer.gradient_clip_val 1"
            )

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Update the test metrics; returns the probabilities, float [B, classes]."""
        _, logits = self._loss(batch, "test")
        return logits.softmax(-1)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Probabilities of the batch, float [B, classes]."""
        return self._logits(batch, "predict").softmax(-1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW over the parameters that learn, and over no others."""
        assert self.backbone is not None
        assert self.head is not None
        freeze(self.backbone, self.head, self.hparams["trainable"])
        optimizer = torch.optim.AdamW(
            [parameter for parameter in self.parameters() if parameter.requires_grad],
            lr=self.hparams["learning_rate"],
            weight_decay=self.hparams["weight_decay"],
            # in mixed precision the Trainer refuses to clip gradients before a fused step, which unscales them itself
            fused=self.device.type in ("cpu", "cuda") and not self.trainer.precision.endswith("mixed"),
        )
        warmup = self.hparams["warmup_steps"]
        if self.hparams["schedule"] == "constant" and not warmup:
            return optimizer
        cosine_steps = None
        if self.hparams["schedule"] == "cosine":
            if math.isinf(self.trainer.estimated_stepping_batches):
                raise UserError("--model.schedule cosine needs an end: set --trainer.max_epochs or --trainer.max_steps")
            cosine_steps = int(self.trainer.estimated_stepping_batches) - warmup
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, warmup, cosine_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
