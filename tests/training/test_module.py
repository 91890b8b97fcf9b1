"""The classifier computes what transformers, scikit-learn and plain PyTorch compute."""

import copy
import random
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import transformers
from sklearn.utils.class_weight import compute_class_weight

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.batch import DataDescription
from spam_classifier.errors import UserError
from spam_classifier.models.pretrained import load_weights
from spam_classifier.training.schedule import learning_rate_factor

TINY = {"weights": "random", "layers": 3, "width": 32, "heads": 4, "context": 128}
FULL = {"attention": "full", "token_position": "last_real"}


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """60 + 60 messages of different lengths."""
    draw = random.Random(0)
    words = {"spam": ["free", "call", "now", "win", "see"], "ham": ["you", "at", "home", "later", "ok"]}
    lines = ["label,text"]
    lines += [f"{label}," + " ".join(draw.choices(words[label], k=draw.randint(1, 19))) for label in [*words] * 60]
    path = tmp_path / "corpus.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("position", ["last", "last_real"])
def test_logits_equal_transformers_sequence_classifier(tmp_path: Path, position: str) -> None:
    """Its ``GPT2ForSequenceClassification`` reads the last token that is not padding, from the same weights."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=2, n_embd=32, n_head=4, n_positions=64, num_labels=3, pad_token_id=50256, initializer_range=0.3
    )
    reference = transformers.GPT2ForSequenceClassification(config).eval()
    reference.transformer.save_pretrained(tmp_path)
    lengths = torch.tensor([1, 5, 16, 9])
    input_ids = torch.randint(0, 50000, (4, 16))
    input_ids[torch.arange(16) >= lengths[:, None]] = 50256

    model = SpamClassifier(weights=str(tmp_path), token_position=position)
    model.describe_data(DataDescription(["a", "b", "c"], [1.0, 1.0, 1.0], max_length=16, padded_length=16))
    model.configure_model()
    load_weights(model.net.backbone, str(tmp_path))
    model.net.head.load_state_dict({"weight": reference.score.weight, "bias": torch.zeros(3)})
    with torch.no_grad():
        ours = model.eval()(input_ids, lengths)
        if position == "last_real":
            theirs = reference(input_ids).logits
        else:
            theirs = reference.score(reference.transformer(input_ids).last_hidden_state[:, -1])
    assert (ours - theirs).abs().max() <= 1e-5


class Recorder(pl.Callback):
    """Keeps the start weights, the batches and the losses of a run."""

    def __init__(self) -> None:
        self.batches: list = []
        self.losses: list[float] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.start = copy.deepcopy(pl_module.state_dict())

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.batches.append(batch)
        self.losses.append(float(outputs["loss"]))


@pytest.mark.parametrize("position", ["last", "last_real"])
def test_twenty_steps_equal_plain_pytorch(trainer: Callable, tmp_path: Path, corpus: str, position: str) -> None:
    """On transformers' GPT-2: same weights, same batches, same losses."""
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        n_layer=3, n_embd=32, n_head=4, n_positions=128, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
    )
    transformers.GPT2Model(config).save_pretrained(tmp_path / "gpt2")
    recorder = Recorder()
    model = SpamClassifier(weights=str(tmp_path / "gpt2"), token_position=position, learning_rate=1e-3)
    run = trainer(max_steps=20, max_epochs=-1, callbacks=[recorder], limit_val_batches=0)
    run.fit(model, SpamDataModule(corpus, batch_size=8))

    plain = transformers.GPT2Model.from_pretrained(tmp_path / "gpt2").train()
    head = torch.nn.Linear(32, 2)
    head.load_state_dict({"weight": recorder.start["net.head.weight"], "bias": recorder.start["net.head.bias"]})
    plain.requires_grad_(False)
    learning = [*plain.h[-1].parameters(), *plain.ln_f.parameters(), *head.parameters()]
    for parameter in learning:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(learning, lr=1e-3, weight_decay=0.1)
    losses = []
    for batch in recorder.batches:
        optimizer.zero_grad()
        hidden = plain(batch.input_ids).last_hidden_state
        rows = torch.arange(len(hidden))
        token = hidden[:, -1, :] if position == "last" else hidden[rows, batch.lengths - 1]
        loss = F.cross_entropy(head(token), batch.labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))

    assert len(losses) == 20
    assert torch.allclose(torch.tensor(recorder.losses), torch.tensor(losses), rtol=0, atol=1e-5)
    assert losses[-1] < losses[0]


LEARNS = {
    "last_layer": ["head."],
    "last_block": ["head.", "backbone.ln_f.", "backbone.h.2."],
    "last_two_blocks": ["head.", "backbone.ln_f.", "backbone.h.2.", "backbone.h.1."],
    "all": ["head.", "backbone."],
}


@pytest.mark.parametrize("policy", LEARNS)
def test_frozen_weights_stay_bit_identical_and_others_change(trainer: Callable, corpus: str, policy: str) -> None:
    recorder = Recorder()
    model = SpamClassifier(**TINY, trainable=policy, token_position="last_real", learning_rate=1e-3)
    trainer(max_steps=5, max_epochs=-1, callbacks=[recorder]).fit(model, SpamDataModule(corpus))
    optimized = {id(p) for group in model.optimizers().param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        learns = any(name.startswith(f"net.{prefix}") for prefix in LEARNS[policy])
        assert parameter.requires_grad == learns, name
        assert (id(parameter) in optimized) == learns, name
        assert torch.equal(parameter, recorder.start[name]) != learns, name


def test_checkpoint_describes_itself_in_plain_types(trainer: Callable, tmp_path: Path, corpus: str) -> None:
    data = SpamDataModule(corpus, labels=["spam", "ham"])
    run = trainer(max_steps=2, max_epochs=-1)
    model = SpamClassifier(**TINY)
    run.fit(model, data)
    run.save_checkpoint(tmp_path / "model.ckpt")
    saved = torch.load(tmp_path / "model.ckpt", weights_only=True)["hyper_parameters"]
    expected = {"layers": 3, "width": 32, "heads": 4, "context": 128, "token_position": "last"}
    expected |= {"label_names": ["spam", "ham"], "max_length": data.max_length}
    assert {name: saved[name] for name in expected} == expected

    restored = SpamClassifier.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    assert restored.label_names == ["spam", "ham"]
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in restored.state_dict().items())


def test_checkpoint_of_other_labels_is_refused(trainer: Callable, tmp_path: Path, corpus: str) -> None:
    run = trainer(max_steps=1)
    run.fit(SpamClassifier(**TINY), SpamDataModule(corpus))
    run.save_checkpoint(tmp_path / "model.ckpt")
    data = SpamDataModule(corpus, labels=["spam", "ham"])
    with pytest.raises(UserError, match=r"the checkpoint's classes are \['ham', 'spam'\]"):
        trainer().test(SpamClassifier(**TINY), data, ckpt_path=tmp_path / "model.ckpt")


@pytest.mark.parametrize(
    ("model", "data", "refusal"),
    [
        ({"layers": 1, "trainable": "last_two_blocks"}, {}, "last_two_blocks needs 2 blocks, the backbone has 1"),
        ({"context": 8}, {"max_length": 9}, "context of 8: set --data.max_length 8"),
        ({}, {"padding": "batch"}, "cannot go with --data.padding batch"),  # the last position of a row
        (FULL, {"padding": "batch"}, "--model.attention full needs --data.padding longest or context"),
        (FULL, {"padding": "none", "batch_size": 1}, "--model.attention full needs --data.padding longest or context"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    trainer: Callable, corpus: str, model: dict, data: dict, refusal: str
) -> None:
    with pytest.raises(UserError, match=refusal):
        trainer(max_steps=1).fit(SpamClassifier(**{**TINY, **model}), SpamDataModule(corpus, **data))


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        *(({"threshold": value}, "threshold") for value in (0.0, 1.0)),
        ({"max_false_positive_rate": 1.5}, "max_false_positive_rate"),
        *(({"dropout": value}, "dropout must be at least 0 and below 1") for value in (-0.1, 1.0)),
        ({"lora_targets": ["c_fc"]}, "--model.lora_targets names the projections"),
        ({"lora_targets": [], "trainable": "lora"}, "--model.lora_targets names the projections"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict, refusal: str) -> None:
    with pytest.raises(UserError, match=refusal):
        SpamClassifier(**TINY, **options)


@pytest.mark.parametrize(("context", "padding", "lengths"), [(8, "longest", (8, 8)), (128, "context", (128, 128))])
def test_the_context_limits_the_messages_and_may_pad_them(
    trainer: Callable, corpus: str, context: int, padding: str, lengths: tuple[int, int]
) -> None:
    data = SpamDataModule(corpus, padding=padding)
    trainer(max_steps=1, limit_val_batches=0).fit(SpamClassifier(**{**TINY, "context": context}), data)
    assert (data.max_length, data.padded_length) == lengths
    assert (data.truncated["train"] > 0) == (context == 8)


def test_metrics_are_those_of_the_whole_split(trainer: Callable, corpus: str) -> None:
    """Loss and accuracy over uneven batches equal one pass over all messages at once."""
    data = SpamDataModule(corpus, batch_size=7)
    model = SpamClassifier(**TINY, token_position="last_real")
    run = trainer(max_steps=3, max_epochs=-1)
    run.fit(model, data)
    figures = run.test(model, data, verbose=False)[0]
    messages = data.encoded["test"]
    batch = messages.batch(torch.arange(len(messages)), data.max_length, data.max_length)
    with torch.no_grad():
        logits = model.eval()(batch.input_ids, batch.lengths)
    assert figures["test/loss"] == pytest.approx(float(F.cross_entropy(logits, batch.labels)), abs=1e-6)
    assert figures["test/acc"] == pytest.approx(float((logits.argmax(-1) == batch.labels).float().mean()))


def test_classes_weigh_the_same_in_a_weighted_loss(trainer: Callable, tmp_path: Path, corpus: str) -> None:
    """The weights are scikit-learn's for ``balanced``, and the loss of a split its weighted mean."""
    rows = Path(corpus).read_text().splitlines()
    uneven = tmp_path / "uneven.csv"
    uneven.write_text("\n".join([rows[0], *rows[1::2], *rows[2:40:2]]) + "\n")
    data = SpamDataModule(str(uneven), balance="class_weight", stratify=True, batch_size=7)
    model = SpamClassifier(**TINY, token_position="last_real")
    run = trainer(max_steps=3, max_epochs=-1)
    run.fit(model, data)
    labels = data.encoded["train"].labels.numpy()
    assert data.class_weights == pytest.approx(compute_class_weight("balanced", classes=np.array([0, 1]), y=labels))
    figures = run.test(model, data, verbose=False)[0]
    predictions = model.predictions
    losses = F.cross_entropy(predictions.logits, predictions.labels, reduction="none")
    weights = torch.tensor(data.class_weights)[predictions.labels]
    assert figures["test/loss"] == pytest.approx(float((losses * weights).sum() / weights.sum()), abs=1e-6)


def test_decision_is_fitted_on_validation_and_used_by_test(trainer: Callable, tmp_path: Path, corpus: str) -> None:
    data = SpamDataModule(corpus, validation_fraction=0.3, train_fraction=0.4)
    model = SpamClassifier(**TINY, threshold="max_fpr", max_false_positive_rate=0.0)
    run = trainer(max_epochs=1)
    run.fit(model, data)
    labels, scores = model.predictions.labels, model.predictions.probabilities[:, 1]
    assert model.net.decision.threshold > scores[labels == 0].max()
    run.save_checkpoint(tmp_path / "model.ckpt")
    restored = SpamClassifier.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    assert torch.equal(restored.net.decision.threshold, model.net.decision.threshold)
    before = float(model.net.decision.threshold)
    run.test(model, data, verbose=False)
    assert float(model.net.decision.threshold) == before
    expected = (model.predictions.probabilities[:, 1] >= before).long()
    assert torch.equal(model.predictions.predicted, expected)

    given = SpamClassifier(**TINY, threshold=0.25)
    trainer().test(given, data, ckpt_path=tmp_path / "model.ckpt", verbose=False)
    assert float(given.net.decision.threshold) == 0.25
    other = SpamClassifier(**TINY, threshold="best_f1")
    with pytest.raises(UserError, match="is fitted in training"):
        trainer().test(other, data, ckpt_path=tmp_path / "model.ckpt", verbose=False)


def test_dropout_draws_are_a_function_of_the_step(trainer: Callable, corpus: str) -> None:
    """Two runs from one seed agree, though one of them used up random numbers in between."""

    class Disturb(pl.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            torch.rand(3)

    ends = []
    for callbacks in ([], [Disturb()]):
        pl.seed_everything(5)
        model = SpamClassifier(**TINY, dropout=0.3, trainable="all")
        trainer(max_steps=4, max_epochs=-1, callbacks=callbacks).fit(model, SpamDataModule(corpus))
        ends.append(model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_learning_rate_schedule() -> None:
    warm_up = [learning_rate_factor(step, 4, 10) for step in range(5)]
    assert warm_up == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert learning_rate_factor(9, 4, 10) == pytest.approx(0.5)
    assert [learning_rate_factor(step, 4, 10) for step in (14, 20)] == pytest.approx([0, 0])
    assert learning_rate_factor(1000, 4, None) == 1.0


def test_cosine_schedule_ends_near_zero(trainer: Callable, corpus: str) -> None:
    rates: list[float] = []

    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer, *_) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    model = SpamClassifier(**TINY, schedule="cosine", warmup_steps=3, learning_rate=1e-3)
    trainer(max_epochs=2, callbacks=[Rates()]).fit(model, SpamDataModule(corpus))
    assert rates[:4] == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3])
    assert max(rates) == pytest.approx(1e-3)
    assert rates[-1] < 5e-5
