"""The classifier: a GPT-2 backbone with a linear head that reads one token's hidden state."""

import itertools
import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Accuracy, MeanMetric, Metric

from spam_classifier.batch import Batch
from spam_classifier.errors import Diverged, UserError
from spam_classifier.evaluation.metrics import Predictions, classification_metrics
from spam_classifier.models.backbone_source import leave_out_frozen, put_back_frozen
from spam_classifier.models.building import build_backbone
from spam_classifier.models.decision import Decision
from spam_classifier.models.frozen_prefix import FrozenPrefix
from spam_classifier.models.gpt2 import GPT2Backbone
from spam_classifier.models.packed_blocks import states_before_block
from spam_classifier.models.prefix_cache import PrefixCache
from spam_classifier.models.pretrained import HUB_REVISIONS, fetch_weights, resolve_shape, weights_sha256
from spam_classifier.models.read_out import OF_THE_ROW, TokenPosition, read_out
from spam_classifier.models.refusals import refuse_bad_settings, refuse_other_checkpoint, refuse_unsteady_padding
from spam_classifier.models.trainable import Policy, freeze, frozen_blocks
from spam_classifier.training.schedule import Schedule, scheduled, take_over_rates
from spam_classifier.training.seen_logits import SeenLogits

GIGABYTE = 1e9
VOCABULARY = 50257


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
            block), ``last_two_blocks``, ``all``, or ``lora`` (the head, and low-rank updates of all blocks).
        token_position: Whose logits decide: ``last`` position of the padded row, as in the book; ``last_real``, the
            last token of the message itself, for which padding cannot matter; ``first``, which in causal attention
            sees no other; or ``mean``, the mean over all positions of the padded row.
        attention: ``causal``, as GPT-2 was trained, or ``full``, in which a token sees all of its row, padding
            included.
        lora_rank: Rank of the updates that ``lora`` learns.
        lora_alpha: Scale of the updates, divided by the rank.
        lora_dropout: Dropout probability at the input of the updates while training.
        lora_targets: Projections that get an update; default: all of them (``c_attn``, ``c_proj``, ``c_fc``).
        gradient_checkpointing: Compute blocks again in the backward pass rather than keep what they compute inside:
            less memory, a third more time.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        schedule: Learning rate after the warm-up: ``constant``, or ``cosine`` down to zero.
        warmup_steps: Steps over which the learning rate rises linearly from zero.
        threshold: Probability from which a message counts as the second class (spam), of two: a number, ``best_f1``
            for the highest F1 on the validation split, or ``max_fpr`` for the lowest with few false positives there.
        max_false_positive_rate: Share of false positives that ``max_fpr`` allows.
        frozen_prefix: ``auto`` computes what the frozen blocks make of each message once, and keeps it for all
            epochs; ``off`` computes it anew each time. The numbers are the same.
        prefix_memory: Most gigabytes of memory for that, in each process.
        prefix_disk: Most gigabytes of the run's directory for that, in each process, once the memory is used up.
        prefix_cache: Directory that keeps it for other runs with the same frozen blocks and messages, too.
        whole_checkpoints: Keep all parameters in checkpoints, those of a published backbone that do not learn, too,
            which are otherwise put back from its own file.

    Attributes:
        label_names: The classes in the order of their logits; empty until the model is configured.
        max_length: Tokens that messages were cut to in training.
        padded_length: Tokens that every row was padded to in training; None where rows had lengths of their own.
        decision: Turns logits into probabilities and verdicts; fitted whenever the validation split is looked at in
            training.
        predictions: Of the evaluation that ended last.
        loaded_step: Optimizer steps that the checkpoint loaded last had taken.
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
        token_position: TokenPosition = "last",
        attention: Literal["causal", "full"] = "causal",
        lora_rank: int = 16,
        lora_alpha: float = 16.0,
        lora_dropout: float = 0.0,
        lora_targets: list[str] | None = None,
        gradient_checkpointing: bool = False,
        learning_rate: float = 5e-5,
        weight_decay: float = 0.1,
        schedule: Schedule = "constant",
        warmup_steps: int = 0,
        threshold: float | Literal["best_f1", "max_fpr"] = 0.5,
        max_false_positive_rate: float = 0.01,
        frozen_prefix: Literal["auto", "off"] = "auto",
        prefix_memory: float = 2.0,
        prefix_disk: float = 20.0,
        prefix_cache: str | None = None,
        whole_checkpoints: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        refuse_bad_settings(self.hparams)
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
        self.padded_length: int | None = None
        self.awaits_checkpoint = False
        self.backbone: GPT2Backbone | None = None
        self.head: nn.Linear | None = None
        self._prefix: FrozenPrefix | None = None
        self.class_weights: list[float] = []
        self.predictions: Predictions | None = None
        self.loaded_step = 0
        self._epoch_so_far: dict[str, dict[str, Tensor]] = {}
        self._has_fitted = False

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
        refuse_unsteady_padding(self.hparams, data.padding)
        if self.label_names and self.label_names != data.label_names:
            raise UserError(f"the model tells {self.label_names} apart, the corpus {data.label_names}")
        if self.label_names and self.sees_padding and self.padded_length != data.padded_length:
            raise UserError(
                f"the model reads rows padded to {self.padded_length} tokens, these have {data.padded_length}: set "
                f"--data.max_length {self.padded_length} and the padding of its training"
            )
        self._describe_data(
            data.label_names,
            max_length=data.max_length,
            padded_length=data.padded_length,
            keep=data.keep,
            class_weights=data.class_weights,
        )
        if len(self.label_names) > 2 and self.hparams["threshold"] != 0.5:
            raise UserError(
                f"--model.threshold {self.hparams['threshold']} divides two classes, these are {self.label_names}: "
                "leave it out"
            )

    def _describe_data(
        self,
        label_names: list[str],
        *,
        max_length: int,
        padded_length: int | None,
        keep: str = "head",
        class_weights: list[float],
    ) -> None:
        self.label_names = list(label_names)
        self.max_length = max_length
        self.padded_length = padded_length
        self.class_weights = list(class_weights)
        described = {"max_length": max_length, "padded_length": padded_length, "keep": keep}
        self.hparams.update(label_names=self.label_names, class_weights=self.class_weights, **described)

    @property
    def has_finite_weights(self) -> bool:
        """Whether all parameters that learn hold finite numbers."""
        learning = (parameter.detach() for parameter in self.parameters() if parameter.requires_grad)
        return all(bool(torch.stack(parameter.aminmax()).isfinite().all()) for parameter in learning)

    @property
    def sees_padding(self) -> bool:
        """Whether a verdict hangs on how far the message is padded."""
        return self.reads_the_row and self.padded_length is not None

    @property
    def fixed_length(self) -> int | None:
        """Tokens that every row has to be padded to, as in training; None where a verdict does not hang on it."""
        return self.padded_length if self.sees_padding else None

    @property
    def reads_the_row(self) -> bool:
        """Whether a verdict hangs on the whole row, its padding included where there is any."""
        return self.hparams["token_position"] in OF_THE_ROW or self.hparams["attention"] == "full"

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
        self.backbone = build_backbone(self.shape, self.hparams, to_be_restored=self._restoring)
        self.head = nn.Linear(self.shape.width, len(self.label_names))
        classes = len(self.label_names)
        self.decision = Decision()
        self._use_given_threshold()
        # left to itself the mean leaves out what is not a number
        self.metrics = nn.ModuleDict({"train_loss": MeanMetric(nan_strategy=math.inf)})
        self.metrics["train_acc"] = Accuracy(task="multiclass", num_classes=classes)
        self.metrics["seen"] = SeenLogits()
        freeze(self.backbone, self.head, self.hparams["trainable"])
        blocks = frozen_blocks(self.backbone, self.hparams["trainable"])
        if blocks and self.hparams["frozen_prefix"] == "auto":
            self._prefix = FrozenPrefix(
                self.backbone,
                blocks,
                token_position=self.hparams["token_position"],
                with_padding=self.sees_padding,
                memory_budget=self.hparams["prefix_memory"] * GIGABYTE,
                disk_budget=self.hparams["prefix_disk"] * GIGABYTE,
                cache=PrefixCache(Path(self.hparams["prefix_cache"])) if self.hparams["prefix_cache"] else None,
            )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what the data of the training run decided from the checkpoint, or check that it is the same."""
        saved, self.loaded_step = checkpoint["hyper_parameters"], checkpoint["global_step"]
        refuse_other_checkpoint(self.hparams, self.label_names, saved)
        take_over_rates(checkpoint, self.hparams)
        for name, state in checkpoint.get("metrics_of_the_epoch", {}).items():
            self._epoch_so_far[name] = state
        if not self.label_names:
            described = ("max_length", "padded_length", "keep", "class_weights")
            self._describe_data(saved["label_names"], **{name: saved[name] for name in described})
            self.configure_model()
        assert self.backbone is not None
        put_back_frozen(checkpoint, self.backbone)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the training metrics hold of an epoch that has not ended, for its means; leave out what can be.

        Raises:
            Diverged: The weights are NaN or infinite; a checkpoint of them would be of use to nobody.
        """
        assert self.backbone is not None
        if not self.has_finite_weights:
            raise Diverged(f"step {self.trainer.global_step} has made the weights NaN or infinite")
        weights = self.hparams["weights"]
        if weights in HUB_REVISIONS and not self.hparams["whole_checkpoints"]:
            (sha256,) = self.weights_sha256.values()
            leave_out_frozen(checkpoint, self.backbone, weights, sha256)
        done = self.trainer.fit_loop.epoch_loop.batch_idx + 1
        if self.trainer.world_size == 1 and 0 < done < self.trainer.num_training_batches:
            checkpoint["metrics_of_the_epoch"] = {
                name: dict(cast(Metric, self.metrics[name]).metric_state) for name in ("train_loss", "train_acc")
            }

    @cached_property
    def weights_sha256(self) -> dict[str, str]:
        """SHA-256 of each file of the backbone's weights; none where they are random."""
        return weights_sha256(self.hparams["weights"])

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits of each message.

        Args:
            input_ids: Token ids, int64 [B, T].
            lengths: Real tokens of each message, int64 [B].

        Returns:
            Logits, float [B, classes].
        """
        assert self.backbone is not None
        before_last = len(self.backbone.h) - 1
        return self._read_out(self.backbone.before_block(input_ids, before_last), lengths, before_last)

    def _read_out(self, states: Tensor, lengths: Tensor, first_block: int) -> Tensor:
        """Logits from what a block reads, float [B, T, width] -> [B, classes]; lengths of the messages, int64 [B]."""
        assert self.backbone is not None
        assert self.head is not None
        if self.sees_padding and self.hparams["token_position"] in OF_THE_ROW:
            lengths = torch.full_like(lengths, states.shape[1])
        return self.head(read_out(self.backbone, states, lengths, first_block, self.hparams["token_position"]))

    def logits_of(self, batches: Iterable[Batch], packed: bool) -> Iterator[Tensor]:
        """Logits of one batch after the other, without gradients: what ``forward`` gives, sooner on a CPU.

        Args:
            batches: The batches, on the model's device.
            packed: Whether there are so many tokens that packing the weights is worth while.

        Yields:
            Logits, float [B, classes].
        """
        assert self.backbone is not None
        batches, again = itertools.tee(batches)
        input_ids = (batch.input_ids for batch in batches)
        states = states_before_block(self.backbone, input_ids, len(self.backbone.h) - 1, packed=packed)
        for batch, of_batch in zip(again, states, strict=True):
            with torch.no_grad():
                logits = self._read_out(of_batch, batch.lengths, len(self.backbone.h) - 1)
            yield logits

    def _logits(self, batch: Batch, stage: str) -> Tensor:
        """Logits of a batch, from its kept hidden states where the stage has them, float [B, classes]."""
        kept = self._prefix.gather(stage, batch) if self._prefix is not None else None
        if kept is None:
            return self(batch.input_ids, batch.lengths)
        assert self.head is not None
        assert self._prefix is not None
        if self._prefix.is_whole:
            return self.head(kept[:, 0])
        return self._read_out(kept, batch.lengths, self._prefix.blocks)

    def _enter(self, stage: str, loader: Any, visits: float) -> None:
        """Have the hidden states of a stage's messages ready, if each of them is going to be visited."""
        self._use_given_threshold()
        self._seen.reset()
        if self._prefix is not None:
            # kept states give other last digits than none: a run continued behind its training has to have them, too
            once = self.trainer.state.fn != "fit" and not self._has_fitted
            self._prefix.enter(stage, loader, self.trainer, visits, once=once)

    def _leave(self, stage: str, loader: Any) -> None:
        """Let go of the hidden states of messages that are not going to be visited again."""
        if self._prefix is not None:
            self._prefix.leave(stage, loader if self.trainer.state.fn != "fit" else None)

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
            self._enter("train", self.trainer.train_dataloader, visits)
            return
        rank_zero_info(f"hidden states are computed anew in each epoch: {why}")

    def _use_given_threshold(self) -> None:
        """A threshold given as a number wins over the checkpoint's."""
        if not isinstance(self.hparams["threshold"], str):
            self.decision.threshold.fill_(self.hparams["threshold"])

    def on_train_end(self) -> None:
        """Let go of the hidden states; the evaluations behind the training may still find them kept."""
        self._leave("train", None)

    def on_validation_start(self) -> None:
        """Compute the frozen part of the validation messages, unless it is kept already."""
        self._enter("val", self.trainer.val_dataloaders, sum(self.trainer.num_val_batches))

    def on_test_start(self) -> None:
        """Compute the frozen part of the test messages."""
        self._enter("test", self.trainer.test_dataloaders, sum(self.trainer.num_test_batches))

    def on_test_end(self) -> None:
        """Let go of it."""
        self._leave("test", self.trainer.test_dataloaders)

    def on_predict_start(self) -> None:
        """Compute the frozen part of the messages to predict."""
        self._enter("predict", self.trainer.predict_dataloaders, sum(self.trainer.num_predict_batches))

    def on_predict_end(self) -> None:
        """Let go of it."""
        self._leave("predict", self.trainer.predict_dataloaders)

    @property
    def _seen(self) -> SeenLogits:
        """The logits of the evaluation under way."""
        return cast(SeenLogits, self.metrics["seen"])

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, with the weights of the classes: float [N, classes] and int64 [N] to float []."""
        return F.cross_entropy(logits, labels, weight=torch.tensor(self.class_weights, device=logits.device))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout from seed, epoch, step and rank, so that a resumed run draws what the first would have."""
        if self.hparams["dropout"] or self.hparams["lora_dropout"]:
            state = np.random.SeedSequence((self._seed, self.current_epoch, batch_idx, self.global_rank))
            torch.manual_seed(int(state.generate_state(1)[0]))

    def on_fit_start(self) -> None:
        """Keep the seed of the run; refuse a threshold that nothing would be fitted on."""
        if isinstance(self.hparams["threshold"], str) and not self.trainer.limit_val_batches:
            raise UserError(
                f"--model.threshold {self.hparams['threshold']} is fitted on the validation split: leave "
                "--trainer.limit_val_batches out, or give a number"
            )
        self._seed = torch.initial_seed()
        self._has_fitted = True

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Cross-entropy of the batch."""
        logits = self._logits(batch, "train")
        loss = self.cross_entropy(logits, batch.labels)
        weight = torch.tensor(self.class_weights, device=self.device)[batch.labels].sum()
        mean_loss, accuracy = (cast(Metric, self.metrics[name]) for name in ("train_loss", "train_acc"))
        mean_loss.update(loss.detach(), weight)
        accuracy.update(logits.detach(), batch.labels)
        size = len(batch.labels)
        self.log_dict({"train/loss": mean_loss, "train/acc": accuracy}, on_step=False, on_epoch=True, batch_size=size)
        self.log("train/loss_step", loss, prog_bar=True, batch_size=size)
        if self.trainer.world_size > 1 and len(set(self.class_weights)) > 1:
            # the processes' gradients are averaged, but some of their batches weigh more than others
            loss = loss * weight / self.trainer.strategy.reduce(weight.clone(), reduce_op="mean")
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Take the batch's logits down."""
        self._seen.update(self._logits(batch, "val"), batch.labels, batch.index)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Take the batch's logits down."""
        self._seen.update(self._logits(batch, "test"), batch.labels, batch.index)

    def on_validation_epoch_end(self) -> None:
        """Fit the decision while training; log the figures of the validation split.

        Raises:
            Diverged: The loss is NaN or infinite in training, no later epoch mends it; the checkpoint with the lowest
                loss is chosen after this.
        """
        fitting = self.trainer.state.fn == "fit"
        self._finish("val", fit_decision=fitting and not self.trainer.sanity_checking)
        assert self.predictions is not None
        if fitting and not bool(self.cross_entropy(self.predictions.logits, self.predictions.labels).isfinite()):
            raise Diverged(f"the validation loss at step {self.trainer.global_step} is not a finite number")

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test split."""
        self._finish("test", fit_decision=False)

    def _finish(self, stage: str, fit_decision: bool) -> None:
        """Bring a stage's predictions together and log their figures."""
        predictions = self._conclude(fit_decision)
        logits, labels = predictions.logits, predictions.labels
        figures = classification_metrics(predictions.probabilities, predictions.verdicts, labels)
        main: dict[str, Any] = {"loss": self.cross_entropy(logits, labels), "acc": figures.pop("acc")}
        for named, shown in ((main, stage == "val"), (dict[str, Any](figures), False)):
            self.log_dict(
                {f"{stage}/{name}": value for name, value in named.items()},
                prog_bar=shown,
                sync_dist=self.trainer.world_size > 1,  # the same on all processes
            )

    def _conclude(self, fit_decision: bool) -> Predictions:
        logits, labels, rows = self._seen.in_order()
        if fit_decision and bool(logits.isfinite().all()):
            rule, rate = self.hparams["threshold"], self.hparams["max_false_positive_rate"]
            self.decision.fit(logits, labels, rule, rate, self.trainer.global_step)
        probabilities = self.decision.probabilities(logits)
        self.predictions = Predictions(rows, labels, logits, probabilities, self.decision.verdict(probabilities))
        return self.predictions

    def on_validation_end(self) -> None:
        """Let go of the hidden states."""
        self._leave("val", self.trainer.val_dataloaders)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Probabilities of the batch, float [B, classes]."""
        logits = self._logits(batch, "predict")
        self._seen.update(logits, batch.labels, batch.index)
        return self.decision.probabilities(logits)

    def on_predict_epoch_end(self) -> None:
        """Bring the predictions together."""
        self._conclude(fit_decision=False)

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
        return scheduled(
            optimizer,
            self.hparams["schedule"],
            self.hparams["warmup_steps"],
            total_steps=lambda: self.trainer.estimated_stepping_batches,
        )
