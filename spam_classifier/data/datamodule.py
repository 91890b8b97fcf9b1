"""Labelled messages as batches: the LightningDataModule."""

import hashlib
import sys
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from spam_classifier.batch import DataDescription
from spam_classifier.data.audit import audit_corpus, audit_splits
from spam_classifier.data.columns import Layout
from spam_classifier.data.corpora import UCI, BadRows, LeftOut, corpus_sha256, fetch_corpus, read_corpus
from spam_classifier.data.encoding import EncodedMessages, Keep
from spam_classifier.data.labels import one_spelling, refuse_other_labels
from spam_classifier.data.loader import BatchLoader, BucketedOrder, EpochOrder, LongestFirst
from spam_classifier.data.normalise import normalise
from spam_classifier.data.splits import (
    LEFT_OVER,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    class_names,
    deduplicate_in_turn,
    first_of_each_class,
    refuse_rare_classes,
    refuse_unknown_classes,
    small_class_warnings,
    split,
    undersample,
)
from spam_classifier.data.tricks import with_altered
from spam_classifier.errors import UserError, escape_control
from spam_classifier.files import write_csv

LEFT_OUT_ROWS = "left_out_rows.csv"
MOST_COPIES = 100  # of a training message
ROWS_AT_ONCE = 50_000  # of a split that are one string as it is hashed


@rank_zero_only
def _say(note: str) -> None:
    print(f"note: {escape_control(note)}", file=sys.stderr, flush=True)


class SpamDataModule(pl.LightningDataModule):
    """A corpus of labelled messages: downloaded, balanced, split, encoded and padded.

    Args:
        corpus: Where the messages come from: ``uci`` (the SMS Spam Collection, downloaded once), ``sample``
            (synthetic messages that come with the package), the path of a .csv, .tsv, .txt, .jsonl or .parquet, or a
            directory with a folder of .txt files or e-mails, or an .mbox, per class.
        validation_corpus: The validation split, likewise; default: cut from the corpus.
        test_corpus: The test split, likewise; default: cut from the corpus.
        text_column: Column of the texts, its name or its number from 1; several are joined, as in
            ``'[subject, body]'``. Default: recognised by its name, such as text, message or v2.
        label_column: Column of the labels, likewise; default: recognised, such as label, category or v1.
        encoding: Encoding of a text file; default: by its byte order mark, else UTF-8, else guessed.
        bad_rows: ``refuse`` a file with rows that can't be used, such as one without a label, or ``skip`` such rows and
            list them in the run.
        labels: The labels in the order of their class indices; default: those of the corpus, sorted.
        merge_labels: Take labels that differ only in case or white space as one class.
        cache_dir: Where downloads are kept; default: $SPAM_CLASSIFIER_CACHE, else the user's cache directory.
        deduplicate: ``exact`` drops messages that repeat an earlier one, ``near`` also near-duplicates, so that no
            message is in two splits; ``none``, as in the book, keeps the leak. A given test split only loses its own
            repeats, and a given validation split also those of test messages.
        balance: ``undersample`` draws from each class as many messages as the smallest has, and keeps the others
            for the evaluation; ``class_weight`` keeps all and weights the loss; ``none`` keeps all.
        train_fraction: Share of the messages for training.
        validation_fraction: Share of the messages for validation; the rest is the test split. If one of the two is
            given, the other and the train split divide the corpus in proportion.
        stratify: Split each class by itself, so that all splits hold the same shares of the classes.
        split_seed: Seed of the balancing and of the split.
        train_per_class: Train on at most this many messages of each class; default: all.
        max_length: Cut messages to this many tokens; default: the longest training message, at most the backbone's
            context; with ``padding`` ``context``, the context.
        keep: What is kept of a longer message: ``head``, its first tokens, ``tail``, its last ones, or ``both``, half
            of each.
        padding: ``longest`` pads every message to the maximum length, as the book does; ``context`` to the backbone's
            context; ``batch`` only to the longest message of the batch, which is faster and needs
            ``--model.token_position last_real``; ``none`` not at all, which needs batches of one message.
        normalise: Undo disguises before texts are read, in training and later use: other scripts' letters within Latin
            words, compatibility characters (NFKC) and invisible ones.
        augment: Add this share of the training messages once more, each altered by a trick of spammers.
        batch_size: Messages per batch and device.
        batch_by_length: Group training messages by length; the batches are shuffled.

    Attributes:
        label_names: The classes in the order of their indices; this and the next four are there after ``setup``.
        splits: The messages of ``train``, ``validation``, ``test`` and, after undersampling, ``left_over``.
        natural_shares: Share of each class in the corpus as it was read.
        class_weights: Weight of each class in the loss, 1 unless ``balance`` is ``class_weight``.
        truncated: Messages of each split that were longer than ``max_length``.
        notes: What was assumed, joined or left out as the corpora were read, and what is doubtful about the splits.
        left_out: The bad rows that were skipped.
        context: Most tokens of the backbone, 1,024 unless the Trainer's model has another.
        tokenizer: The vocabulary as JSON, None for GPT-2's; that of the Trainer's model.
        same_messages: Whether the restored checkpoint is of a run with the same splits.
        keeps_messages: Set it to refuse a checkpoint of a run with other splits.
    """

    def __init__(
        self,
        corpus: str = "uci",
        validation_corpus: str | None = None,
        test_corpus: str | None = None,
        text_column: list[str] | str | None = None,
        label_column: str | None = None,
        encoding: str | None = None,
        bad_rows: BadRows = "refuse",
        labels: list[str] | None = None,
        merge_labels: bool = False,
        cache_dir: str | None = None,
        deduplicate: Literal["none", "exact", "near"] = "none",
        balance: Literal["undersample", "class_weight", "none"] = "undersample",
        train_fraction: float = 0.7,
        validation_fraction: float = 0.1,
        stratify: bool = False,
        split_seed: int = 123,
        train_per_class: int | None = None,
        max_length: int | None = None,
        keep: Literal["head", "tail", "both"] = "head",
        padding: Literal["longest", "context", "batch", "none"] = "longest",
        normalise: bool = False,
        augment: float = 0.0,
        batch_size: int = 8,
        batch_by_length: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        for name in ("max_length", "batch_size", "train_per_class"):
            if self.hparams[name] is not None and self.hparams[name] < 1:
                raise UserError(f"--data.{name} must be at least 1, not {self.hparams[name]}")
        if not 0 <= split_seed < 2**32:
            raise UserError(f"--data.split_seed must be from 0 to 4294967295, not {split_seed}")
        if padding == "none" and batch_size != 1:
            raise UserError(
                f"--data.padding none needs batches of one message, not {batch_size}: set --data.batch_size 1, and "
                "--trainer.accumulate_grad_batches 8 to learn from eight at a time"
            )
        self.corpus = corpus
        self.validation_corpus = validation_corpus
        self.test_corpus = test_corpus
        self.layout = Layout(text_column, label_column, encoding=encoding)
        self.bad_rows: BadRows = bad_rows
        self.labels = labels
        self.merge_labels = merge_labels
        self.cache_dir = cache_dir
        self.deduplicate = deduplicate
        self.balance = balance
        self.train_fraction = train_fraction
        self.validation_fraction = validation_fraction
        self.stratify = stratify
        self.split_seed = split_seed
        self.train_per_class = train_per_class
        self.max_length = max_length
        self.keep: Keep = keep
        self.padding = padding
        self.normalise = normalise
        self.augment = augment
        self.batch_size = batch_size
        self.batch_by_length = batch_by_length
        self.context = 1024
        self.tokenizer: str | None = None
        self.label_names: list[str] = []
        self.splits: dict[str, pd.DataFrame] = {}
        self.encoded: dict[str, EncodedMessages] = {}
        self.truncated: dict[str, int] = {}
        self.notes: list[str] = []
        self.left_out: list[LeftOut] = []
        self._sha256: dict[str, str] = {}  # of the corpora that were digested as they were read
        self.natural_shares: list[float] = []
        self.class_weights: list[float] = []
        self.keeps_messages = False
        self.same_messages = False

    @property
    def padded_length(self) -> int | None:
        """Tokens that every message of every stage is padded to; None if that depends on the batch."""
        return {"longest": self.max_length, "context": self.context}.get(self.padding)

    @property
    def description(self) -> DataDescription:
        """What the data decides for the model, once ``setup`` has run."""
        assert self.max_length is not None
        return DataDescription(
            self.label_names,
            self.class_weights,
            self.max_length,
            self.padded_length,
            self.keep,
            self.normalise,
            self.tokenizer,
        )

    @property
    def _sources(self) -> dict[str, str]:
        """The given corpora by their flags."""
        named = {
            "--data.corpus": self.corpus,
            f"--data.{VALIDATION}_corpus": self.validation_corpus,
            f"--data.{TEST}_corpus": self.test_corpus,
        }
        return {flag: corpus for flag, corpus in named.items() if corpus is not None}

    def check_sources(self) -> None:
        """Refuse paths that can't be read as a corpus; downloads nothing."""
        for flag, corpus in self._sources.items():
            if corpus != UCI:
                fetch_corpus(corpus, self.cache_dir, flag=flag)

    @override
    def prepare_data(self) -> None:
        for flag, corpus in self._sources.items():
            fetch_corpus(corpus, self.cache_dir, flag=flag)

    @override
    def setup(self, stage: str) -> None:
        if self.splits:
            return
        model = getattr(self.trainer, "lightning_module", None)
        self.context = getattr(getattr(model, "shape", None), "context", self.context)
        self.tokenizer = getattr(model, "tokenizer", self.tokenizer)
        if self.padding == "context" and self.max_length is not None and self.max_length > self.context:
            raise UserError(
                f"messages of up to {self.max_length} tokens can't be padded to the backbone's context of "
                f"{self.context}: set --data.max_length {self.context} or less"
            )
        if not 0 <= self.augment <= MOST_COPIES:
            raise UserError(
                f"--data.augment must be from 0 to {MOST_COPIES} copies for each message, not {self.augment}"
            )
        corpus, given = self._read()
        self._as_read = corpus
        self.label_names = class_names(corpus, self.labels)
        refuse_unknown_classes(given, self.label_names)
        counts = corpus["label"].value_counts()
        self.natural_shares = [float(counts[label]) / len(corpus) for label in self.label_names]
        in_turn = [name for name in (TEST, VALIDATION) if name in given]
        *unrepeated, corpus = deduplicate_in_turn([*(given[name] for name in in_turn), corpus], self.deduplicate)
        given = dict(zip(in_turn, unrepeated, strict=True))
        refuse_rare_classes(corpus, self.label_names, deduplicate=self.deduplicate, given=in_turn)
        read, left_over = corpus, corpus[:0]
        if self.balance == "undersample":
            corpus, left_over = undersample(corpus, self.label_names, self.split_seed)
        self.splits = split(
            corpus,
            self.train_fraction,
            self.validation_fraction,
            self.split_seed,
            stratify=self.stratify,
            given=given,
        )
        if self.train_per_class:
            self.splits[TRAIN] = first_of_each_class(self.splits[TRAIN], self.train_per_class)
        if len(left_over):
            self.splits[LEFT_OVER] = left_over.reset_index(drop=True)
        counts = self.splits[TRAIN]["label"].value_counts()
        self.class_weights = [1.0 for _ in self.label_names]
        if self.balance == "class_weight":  # all classes get the same weight in total
            self.class_weights = [float(counts.sum() / (len(counts) * counts[label])) for label in self.label_names]
        self.notes += small_class_warnings(
            read, self.splits, self.label_names, balance=self.balance, stratify=self.stratify, given=given
        )
        if self.augment:
            self.splits[TRAIN] = with_altered(self.splits[TRAIN], self.augment, self.split_seed, self.label_names[0])
            copies = int((self.splits[TRAIN]["trick"] != "").sum())
            self.notes.append(f"{copies:,} altered copies of training messages were added")
        self._encode()
        if self.max_length is None:
            longest = self.encoded[TRAIN].longest
            self.max_length = self.context if self.padding == "context" else min(longest, self.context)
        self.truncated = {
            name: int((messages.lengths > self.max_length).sum()) for name, messages in self.encoded.items()
        }
        self._refuse_other_messages()
        if not self.keeps_messages:  # else the run's training has said it
            for note in self.notes:
                _say(note)

    def _refuse_other_messages(self) -> None:
        """Refuse splits that differ between processes: some messages would count twice, and others not at all."""
        if self.trainer is None or self.trainer.world_size == 1:
            return
        strategy = self.trainer.strategy
        same = strategy.broadcast(self._splits_sha256) == self._splits_sha256
        if not strategy.reduce_boolean_decision(same, all=True):
            raise UserError(
                f"{' or '.join(self._sources.values())} holds other messages on one machine than on another: copy the "
                "files again"
            )

    def _read(self) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
        """The corpus, and the splits that are given."""
        read = {
            flag: read_corpus(
                corpus,
                self.layout,
                labels=self.labels,
                bad_rows=self.bad_rows,
                cache_dir=self.cache_dir,
                flag=flag,
            )
            for flag, corpus in self._sources.items()
        }
        label_column, text_column = read["--data.corpus"].read_from
        frames, changes = one_spelling(
            [corpus.messages for corpus in read.values()],
            labels=self.labels,
            merge=self.merge_labels,
            label_column=label_column,
            text_column=text_column,
        )
        self.notes = [f"{self._sources[flag]}: {corpus.notes}" for flag, corpus in read.items() if corpus.notes]
        self.notes += changes
        self.left_out = [row for corpus in read.values() for row in corpus.left_out]
        self._sha256 = {flag: corpus.sha256 for flag, corpus in read.items() if corpus.sha256}
        if self.labels:
            for frame, corpus in zip(frames, read.values(), strict=True):
                refuse_other_labels(frame, self.labels, corpus.first)
        messages = dict(zip(read, frames, strict=True))
        given = {name: messages[f"--data.{name}_corpus"] for name in SPLITS if f"--data.{name}_corpus" in read}
        return messages["--data.corpus"], given

    def _encode(self) -> None:
        index_of = {label: index for index, label in enumerate(self.label_names)}
        for name, rows in self.splits.items():
            labels = rows["label"].map(index_of).to_numpy(np.int64)
            texts = rows["text"].map(normalise) if self.normalise else rows["text"]
            self.encoded[name] = EncodedMessages.from_texts(texts.array, labels, self.tokenizer)

    def sources_sha256(self) -> dict[str, str]:
        """SHA-256 of the given corpora by their flags."""
        return {
            flag: self._sha256.get(flag)
            or corpus_sha256(corpus, labels=self.labels, cache_dir=self.cache_dir, flag=flag)
            for flag, corpus in self._sources.items()
        }

    def audit(self) -> dict[str, Any]:
        """Counts of the corpus and the splits: see ``audit_corpus`` and ``audit_splits``."""
        assert self.max_length is not None
        lengths = {name: messages.lengths.numpy() for name, messages in self.encoded.items()}
        return {
            "corpus": audit_corpus(self._as_read),
            "notes": self.notes,
            "left_out_rows": len(self.left_out),
            "deduplicate": self.deduplicate,
            "balance": self.balance,
            "keep": self.keep,
            "given": {flag: Path(corpus).name for flag, corpus in self._sources.items() if flag != "--data.corpus"},
            "splits": audit_splits(self.splits, lengths, self.max_length),
        }

    def write_splits(self, directory: Path) -> None:
        """Write ``train.csv`` and the other splits, columns ``label`` and ``text``, into a directory.

        Bad rows that were skipped go into ``left_out_rows.csv``, with the columns ``corpus``, ``place`` and ``reason``.
        """
        directory.mkdir(parents=True, exist_ok=True)
        if self.left_out:
            write_csv(directory / LEFT_OUT_ROWS, pd.DataFrame(self.left_out))
        for name, rows in self.splits.items():
            write_csv(directory / f"{name}.csv", rows)

    @cached_property
    def _splits_sha256(self) -> str:
        digest = hashlib.sha256()
        for rows in self.splits.values():
            for start in range(0, max(1, len(rows)), ROWS_AT_ONCE):
                piece = rows[start : start + ROWS_AT_ONCE]
                digest.update(piece.to_csv(index=False, header=start == 0).encode())
        return digest.hexdigest()

    @override
    def state_dict(self) -> dict[str, str]:
        return {"splits_sha256": self._splits_sha256}

    @override
    def load_state_dict(self, state_dict: dict[str, str]) -> None:
        self.same_messages = state_dict == self.state_dict()
        if self.keeps_messages and not self.same_messages:
            sources = " or ".join(f"{flag} {corpus}" for flag, corpus in self._sources.items())
            raise UserError(
                f"{sources} has changed since the run: its splits are different now, and messages of the training "
                "would be tested; name the corpus with --data.corpus to go on all the same"
            )

    @override
    def train_dataloader(self) -> BatchLoader:
        trainer, seed = self.trainer, torch.initial_seed()
        if trainer is not None:
            seed = trainer.strategy.broadcast(seed)
        messages = self.encoded[TRAIN]
        order = EpochOrder(len(messages), seed)
        if self.batch_by_length:
            order = BucketedOrder(messages.lengths, seed, self.batch_size * (trainer.world_size if trainer else 1))
        order.always_first = trainer is not None and trainer.overfit_batches > 0  # type: ignore[attr-defined]
        loader = self._loader(
            TRAIN,
            order,
            drop_incomplete=True,
            first_batch=lambda: trainer.fit_loop.epoch_loop.batch_idx + 1 if trainer else 0,
        )
        if len(loader) == 0:
            raise UserError(
                f"the train split has {len(messages)} messages, too few for one batch of "
                f"{self.batch_size} on each device: lower --data.batch_size"
            )
        return loader

    @override
    def val_dataloader(self) -> BatchLoader:
        return self.each_once(VALIDATION)

    @override
    def test_dataloader(self) -> BatchLoader:
        return self.each_once(TEST)

    @override
    def predict_dataloader(self) -> BatchLoader:
        return self.each_once(TEST)

    def each_once(self, split_name: str, padded_length: int | None = None) -> BatchLoader:
        """Every message of a split once: in order, or grouped by length if batches are padded to their longest."""
        messages = self.encoded[split_name]
        by_length = self.padded_length is None
        order = LongestFirst(messages.lengths) if by_length else EpochOrder(len(messages), seed=None)
        return self._loader(split_name, order, padded_length)

    def _loader(
        self, split_name: str, order: EpochOrder, padded_length: int | None = None, **options: Any
    ) -> BatchLoader:
        assert self.max_length is not None
        rows, processes = len(self.encoded[split_name]), self.trainer.world_size if self.trainer else 1
        if rows < processes:
            raise UserError(f"the {split_name} split has {rows} messages for {processes} devices: use fewer devices")
        return BatchLoader(
            self.encoded[split_name],
            order,
            batch_size=self.batch_size,
            max_length=self.max_length,
            padded_length=padded_length or self.padded_length,
            keep=self.keep,
            title=split_name.replace("_", "-") + (f" padded to {padded_length} tokens" if padded_length else ""),
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=processes,
            **options,
        )
