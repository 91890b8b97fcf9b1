"""The recipe: a GPT-2 backbone with a linear head, fine-tuned on the logits of one token of each message."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, cast

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Accuracy, MeanMetric, Metric
from typing_extensions import override

from spam_classifier.batch import Batch, DataDescription
from spam_classifier.data.tokenizer import VOCABULARY, read_tokenizer
from spam_classifier.errors import UserError, escape_control
from spam_classifier.evaluation.metrics import Predictions, SeenLogits, classification_metrics
from spam_classifier.models.backbone_source import leave_out_frozen, put_back_frozen
from spam_classifier.models.gpt2_classifier import SIZES, Attention, GPT2Classifier, TokenPosition
from spam_classifier.models.packed_blocks import slow_precision
from spam_classifier.models.pretrained import (
    HUB_REVISIONS,
    RANDOM,
    fetch_weights,
    resolve_shape,
    resolve_weights,
    tokenizer_directory,
)
from spam_classifier.models.refusals import refuse_bad_settings, refuse_misfit_data, refuse_other_checkpoint
from spam_classifier.models.trainable import Policy, freeze, frozen_blocks
from spam_classifier.training.averaging import AVERAGING, AverageLearning, average_of
from spam_classifier.training.progress import stage_of
from spam_classifier.training.refusals import refuse_callbacks
from spam_classifier.training.reuse import ReuseFrozenStates
from spam_classifier.training.schedule import Schedule, scheduled, take_over_rates
from spam_classifier.training.stopping import StopAtNaN, StopCleanly
from spam_classifier.training.warm_start import digests_of, run_to_start_from, settings_of, start_from

NET = "net."  # before the network's names in the module's state dict; checkpoints hold the network's own


class SpamClassifier(pl.LightningModule):
    """Fine-tunes GPT-2 to tell classes of text apart.

    What the data decides, as the label names and the maximum length, is taken from the Trainer's datamodule and kept
    with the hyper-parameters in the checkpoint; ``SpamClassifier.load_from_checkpoint`` needs nothing else.

    Args:
        weights: The backbone's weights: ``gpt2``, ``gpt2-medium``, ``gpt2-large``, ``gpt2-xl`` or ``distilgpt2``
            (downloaded once), ORGANISATION/NAME[@REVISION] of any GPT-2 on the hub, a local .safetensors file or
            directory, with the tokenizer there, a run directory or checkpoint to start from, or ``random`` to train
            from scratch.
        layers: Transformer blocks; default: those of the weights (12 for random ones).
        width: Size of the hidden states; default: that of the weights (768 for random ones).
        heads: Attention heads; default: those of the weights (width / 64 for random ones).
        context: Longest message in tokens; default: that of the weights (1024 for random ones).
        dropout: Dropout probability in the backbone while training.
        trainable: What is trained: ``last_layer`` (the head), ``last_block`` (and the final layer norm and the last
            block), ``last_two_blocks``, ``all``, or ``lora`` (the head, and low-rank updates of all blocks).
        token_position: Whose logits decide: ``last`` position of the padded row, as in the book; ``last_real``, the
            last token of the message itself, for which padding does not matter; ``first``, which in causal attention
            sees no other; or ``mean``, the mean over all positions of the padded row.
        attention: ``causal``, as GPT-2 was trained, or ``full``, in which a token sees all of its row, padding
            included.
        lora_rank: Rank of the updates that ``lora`` trains.
        lora_alpha: Scale of the updates, divided by the rank.
        lora_dropout: Dropout probability at the input of the updates while training.
        lora_targets: Projections that get an update; default: all of them (``c_attn``, ``c_proj``, ``c_fc``).
        gradient_checkpointing: Compute blocks again in the backward pass instead of keeping their activations: less
            memory, a third more time.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        schedule: Learning rate after the warm-up: ``constant``, or ``cosine`` down to zero.
        warmup_steps: Steps over which the learning rate rises linearly from zero.
        threshold: Probability from which a message counts as the second class (spam), of two: a number, ``best_f1``
            for the highest F1 on the validation split, or ``max_fpr`` for the lowest with few false positives there.
        max_false_positive_rate: False positive rate that ``max_fpr`` allows.
        frozen_prefix: ``auto`` computes the output of the frozen blocks once for each message and keeps it for all
            epochs; ``off`` computes it again each time. The numbers are the same.
        prefix_memory: Most gigabytes of the host's memory for that, in each process, where no GPU has room.
        prefix_disk: Most gigabytes in the run directory for that, in each process, once the memory is used up.
        whole_checkpoints: Keep all parameters in checkpoints. By default the frozen ones of a published backbone are
            left out, and read from its own file again.

    Attributes:
        predictions: Those of the last evaluation.
        loaded_step: Optimizer steps of the checkpoint that was loaded last.
        awaits_checkpoint: Set it if a checkpoint is about to be restored: pretrained weights are then not loaded.
        class_weights: Weight of each class in the loss, float [classes].
    """

    class_weights: Tensor

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
        attention: Attention = "causal",
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
        whole_checkpoints: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        refuse_bad_settings(self.hparams)
        self.start = run_to_start_from(weights)
        sizes = {"layers": layers, "width": width, "heads": heads, "context": context}
        self._vocabulary_is_known = False
        of_run = settings_of(self.start) if self.start else None
        if of_run is not None:
            for name, size in sizes.items():
                if size not in (None, of_run[name]):
                    raise UserError(f"--model.{name} {size}: {weights} has {of_run[name]}; leave the flag out")
            sizes |= {name: of_run[name] for name in SIZES}
        elif None in sizes.values():
            self.hparams["weights"] = weights = resolve_weights(weights)
        self.shape = resolve_shape(weights, **sizes)
        if of_run is not None:
            self.keep_vocabulary(of_run)
        elif None in sizes.values():
            self._read_vocabulary()
        self.hparams.update({name: getattr(self.shape, name) for name in SIZES})
        self.net: GPT2Classifier | None = None
        self.reuse = ReuseFrozenStates(frozen_prefix == "auto", prefix_memory, prefix_disk)
        self.predictions: Predictions | None = None
        self.loaded_step = 0
        self.awaits_checkpoint = False
        self._epoch_so_far: dict[str, dict[str, Tensor]] = {}
        self._epoch_is_logged = False

    # The vocabulary

    @property
    def tokenizer(self) -> str | None:
        """The vocabulary as JSON, None for GPT-2's: the weights', or the checkpoint's."""
        if not self._vocabulary_is_known and not self._restoring:
            self._read_vocabulary()
        return self.hparams.get("tokenizer")

    def _read_vocabulary(self) -> None:
        weights = self.hparams["weights"] = resolve_weights(self.hparams["weights"])
        directory, rows = tokenizer_directory(weights), resolve_shape(weights, heads=self.hparams["heads"]).vocabulary
        tokenizer = read_tokenizer(directory, rows) if directory else None
        self.keep_vocabulary({"vocabulary": rows, "tokenizer": tokenizer})

    def keep_vocabulary(self, settings: Mapping[str, Any]) -> None:
        """Take over vocabulary and tokenizer from the hyper-parameters of a checkpoint."""
        self._vocabulary_is_known = True
        own = {name: settings[name] for name in ("vocabulary", "tokenizer") if settings.get(name) is not None}
        if own.get("vocabulary") != VOCABULARY or "tokenizer" in own:
            self.hparams.update(own)
        self.shape = replace(self.shape, vocabulary=own.get("vocabulary", VOCABULARY))

    # What the data decides

    @property
    def label_names(self) -> list[str]:
        """The classes in the order of their logits; empty until the data or a checkpoint has told them."""
        return self.hparams.get("label_names", [])

    def describe_data(self, description: DataDescription) -> None:
        """Keep what the data decides with the hyper-parameters."""
        self.hparams.update(description._asdict())

    @override
    def setup(self, stage: str) -> None:
        if self._compiler_ctx:
            raise UserError(
                "torch.compile can't trace this module, which keeps metrics: give the Trainer the module itself"
            )
        if stage != "predict" and (note := slow_precision(self.trainer.precision, self.trainer.strategy.root_device)):
            rank_zero_info(f"note: {note}")
        data = getattr(self.trainer, "datamodule", None)
        if data is not None:
            refuse_misfit_data(self.hparams, data.description, data.padding)
            self.describe_data(data.description)
        elif not self.label_names:
            raise UserError("the classes come from the data: give the Trainer a SpamDataModule, not dataloaders")

    # Building

    @property
    def _restoring(self) -> bool:
        """Whether a checkpoint is about to replace the weights: the caller says so, or there is no Trainer."""
        return self.awaits_checkpoint or self._trainer is None

    @override
    def prepare_data(self) -> None:
        if not self._restoring:
            fetch_weights(self.hparams["weights"])

    @override
    def configure_model(self) -> None:
        """Build the network and freeze what is not trained.

        Freezing belongs here, too, not only in ``configure_optimizers``: distributed strategies wrap the model in
        between, and then wait for the gradient of every parameter that is not frozen.
        """
        if self.net is not None or not self.label_names:
            return
        start = None if self._restoring else self.start
        settings = {**self.hparams, "weights": RANDOM} if start else self.hparams
        self.net = GPT2Classifier.from_settings(settings, to_be_restored=self._restoring)
        if start:
            self.net.settings["weights"] = self.hparams["weights"]
            for told in start_from(start, self.net):
                rank_zero_info(f"note: {escape_control(told)}")
        if not isinstance(self.hparams["threshold"], str):
            self.net.decision.threshold.fill_(self.hparams["threshold"])
        freeze(self.net.backbone, self.net.head, self.hparams["trainable"])
        self.reuse.build(self.net, frozen_blocks(self.net.backbone, self.hparams["trainable"]))
        self.register_buffer("class_weights", torch.tensor(self.hparams["class_weights"]), persistent=False)
        # MeanMetric's default would leave out NaN
        self.metrics = nn.ModuleDict({"train_loss": MeanMetric(nan_strategy=math.inf)})
        # validating every batch would make the host wait for a GPU
        self.metrics["train_acc"] = Accuracy(task="multiclass", num_classes=len(self.label_names), validate_args=False)
        self.seen = SeenLogits()

    @property
    def network(self) -> GPT2Classifier:
        """The network, once it is built."""
        assert self.net is not None
        return self.net

    @override
    def configure_callbacks(self) -> list[Callback]:
        """Reuse of this model's frozen states, and the stop at NaN, for any Trainer."""
        trainer: Any = self.trainer
        if trainer.state.fn == "fit":
            refuse_callbacks(trainer.callbacks)
        # in its own place: it has to act before a callback that stops the training
        trainer.callbacks = [
            AverageLearning(callback) if isinstance(callback, WeightAveraging) else callback
            for callback in trainer.callbacks
            if not isinstance(callback, ReuseFrozenStates)  # of another model that the Trainer has trained
        ]
        known = [type(callback) for callback in trainer.callbacks]
        return [callback for callback in (self.reuse, StopAtNaN()) if type(callback) not in known]

    @override
    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW over the parameters that are trained, and no others."""
        freeze(self.network.backbone, self.network.head, self.hparams["trainable"])
        optimizer = torch.optim.AdamW(
            [parameter for parameter in self.parameters() if parameter.requires_grad],
            lr=self.hparams["learning_rate"],
            weight_decay=self.hparams["weight_decay"],
            # in mixed precision the Trainer refuses to clip gradients before a fused step, which unscales them itself
            fused=self.device.type in ("cpu", "cuda")
            and not (self.trainer.gradient_clip_val and self.trainer.precision.endswith("mixed")),
        )
        schedule = self.hparams["schedule"]
        steps = self.trainer.estimated_stepping_batches if schedule == "cosine" else math.inf
        return scheduled(optimizer, schedule, self.hparams["warmup_steps"], steps)

    # Training

    @override
    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits: int64 [B, T] and int64 [B] to float [B, classes]."""
        return self.network(input_ids, lengths)

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, with the class weights: float [N, classes] and int64 [N] to float []."""
        return F.cross_entropy(logits, labels, weight=self.class_weights)

    @override
    def on_fit_start(self) -> None:
        if isinstance(self.hparams["threshold"], str) and not self.trainer.limit_val_batches:
            raise UserError(
                f"--model.threshold {self.hparams['threshold']} is fitted on the validation split: leave "
                "--trainer.limit_val_batches out, or give a number"
            )
        trainer: Any = self.trainer
        steps = trainer.estimated_stepping_batches
        limits = ("epochs", trainer.min_epochs, trainer.max_epochs), ("steps", trainer.min_steps, steps)
        for name, least, most in limits:
            if least and most is not None and -1 < most < least and not trainer.fast_dev_run:
                raise UserError(
                    f"--trainer.min_{name} {least} can't be reached: training ends after {int(most)} {name}; raise "
                    f"--trainer.max_epochs, or leave --trainer.min_{name} out"
                )
        self._seed = torch.initial_seed()

    @override
    def on_train_start(self) -> None:
        for name, state in self._epoch_so_far.items():  # a run that is resumed in the middle of an epoch
            for part, value in state.items():
                setattr(self.metrics[name], part, value.to(self.device))
        self._epoch_so_far = {}
        self._epoch_is_logged = False

    @override
    def on_train_epoch_start(self) -> None:
        self._epoch_is_logged = False

    @override
    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout from seed, epoch, step and rank, so that a resumed run draws what the first would have."""
        if self.hparams["dropout"] or self.hparams["lora_dropout"]:
            state = np.random.SeedSequence((self._seed, self.current_epoch, batch_idx, self.global_rank))
            torch.manual_seed(int(state.generate_state(1)[0]))

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        logits = self.reuse.logits(self.network, "train", batch)  # (B, classes)
        loss = self.cross_entropy(logits, batch.labels)
        weight = self.class_weights[batch.labels].sum()
        mean_loss, accuracy = (cast(Metric, self.metrics[name]) for name in ("train_loss", "train_acc"))
        mean_loss.update(loss.detach(), weight)
        accuracy.update(logits.detach(), batch.labels)
        size = len(batch.labels)
        if not self._epoch_is_logged:  # the Trainer keeps the two metrics, and reads them at the end of the epoch
            of_epoch = {"train/loss": mean_loss, "train/acc": accuracy}
            self.log_dict(of_epoch, on_step=False, on_epoch=True, batch_size=size)
            self._epoch_is_logged = True
        self.log("train/loss_step", loss, prog_bar=True, batch_size=size)
        if self.trainer.world_size > 1 and len(set(self.hparams["class_weights"])) > 1:
            # the processes' gradients are averaged, but some of their batches weigh more than others
            loss = loss * weight / self.trainer.strategy.reduce(weight.clone(), reduce_op="mean")
        return loss

    # Evaluation

    def _collect(self, batch: Batch, batch_idx: int) -> Tensor:
        """Note the logits of a batch, and return them, float [B, classes]."""
        if batch_idx == 0:
            self.seen.reset()
        logits = self.reuse.logits(self.network, stage_of(self.trainer), batch)
        self.seen.update(logits, batch.labels, batch.index)
        return logits

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._collect(batch, batch_idx)

    test_step = validation_step

    @override
    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Probabilities of the batch, float [B, classes]."""
        return self.network.decision.probabilities(self._collect(batch, batch_idx))

    def _conclude(self) -> None:
        """Bring the predictions of all batches and processes together; in ``fit`` fit the decision."""
        logits, labels, rows = self.seen.take_in_order()
        decision = self.network.decision
        validates = self.trainer.state.fn == "fit" and not self.trainer.sanity_checking
        if validates and bool(logits.isfinite().all()):
            rule, rate = self.hparams["threshold"], self.hparams["max_false_positive_rate"]
            decision.fit(logits, labels, rule, rate, self.trainer.global_step)
        probabilities = decision.probabilities(logits)
        self.predictions = Predictions(rows, labels, logits, probabilities, decision.decide(probabilities))

    @override
    def on_validation_epoch_end(self) -> None:
        self._conclude()
        assert self.predictions is not None
        stage, logits, labels = stage_of(self.trainer), self.predictions.logits, self.predictions.labels
        figures = classification_metrics(self.predictions.probabilities, self.predictions.predicted, labels)
        main: dict[str, Any] = {"loss": self.cross_entropy(logits, labels), "acc": figures.pop("acc")}
        for named, shown in ((main, stage == "val"), (dict[str, Any](figures), False)):
            self.log_dict(
                {f"{stage}/{name}": value for name, value in named.items()},
                prog_bar=shown,
                sync_dist=self.trainer.world_size > 1,  # the same on all processes
            )

    on_test_epoch_end = on_validation_epoch_end

    @override
    def on_predict_epoch_end(self) -> None:
        self._conclude()

    @override
    def on_validation_end(self) -> None:
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, StopCleanly):
                    callback.stop_after_validation(self.trainer)

    # Checkpoints

    @cached_property
    def weights_sha256(self) -> dict[str, str]:
        """SHA-256 of each file of the backbone's weights; empty if they are random."""
        return digests_of(self.hparams["weights"])

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write the network's own state dict, without what is read from elsewhere, and the metrics of the epoch."""
        if averaging := average_of(self.trainer):
            averaging.put_into(self.trainer, checkpoint)
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name.removeprefix(NET): value for name, value in state.items()}
        weights = self.hparams["weights"]
        if weights in HUB_REVISIONS and not self.hparams["whole_checkpoints"]:
            (sha256,) = self.weights_sha256.values()
            leave_out_frozen(checkpoint, self.network.backbone, weights, sha256)
        done = self.trainer.fit_loop.epoch_loop.batch_idx + 1
        if self.trainer.world_size == 1 and 0 < done < self.trainer.num_training_batches:
            checkpoint["metrics_of_the_epoch"] = {
                name: dict(cast(Metric, metric).metric_state) for name, metric in self.metrics.items()
            }

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved, self.loaded_step = checkpoint["hyper_parameters"], checkpoint["global_step"]
        refuse_other_checkpoint(self.hparams, self.label_names, saved)
        self.keep_vocabulary(saved)
        resumes = self._trainer is not None and self.trainer.state.fn == "fit"
        if resumes and AVERAGING in checkpoint and average_of(self.trainer) is None:
            raise UserError("the training averages weights, and can't go on without: leave its callbacks as they were")
        take_over_rates(checkpoint, self.hparams)
        self._epoch_so_far = dict(checkpoint.get("metrics_of_the_epoch", {}))
        if not self.label_names:
            self.describe_data(
                DataDescription(**{name: saved[name] for name in DataDescription._fields if name in saved})
            )
            self.configure_model()
        put_back_frozen(checkpoint, self.network.backbone)
        state = checkpoint["state_dict"]
        if not isinstance(self.hparams["threshold"], str):  # a number wins over the checkpoint's threshold
            state["decision.threshold"] = torch.full_like(state["decision.threshold"], self.hparams["threshold"])
        checkpoint["state_dict"] = {NET + name: value for name, value in state.items()}
