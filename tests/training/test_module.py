"""The classifier against outside statements of what it computes."""

import copy
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
from spam_classifier.training.schedule import learning_rate_factor

TINY = {"weights": "random", "layers": 3, "width": 32, "heads": 4, "context": 128}


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """60 + 60 messages of different lengths."""
    generator = torch.Generator().manual_seed(0)
    words = ["free", "call", "now", "win", "see", "you", "at", "home", "later", "ok"]
    lines = ["label,text"]
    for row in range(120):
        count = int(torch.randint(1, 20, (1,), generator=generator))
        picks = torch.randint(0, 5, (count,), generator=generator) + 5 * (row % 2)
        lines.append(f"{'ham' if row % 2 else 'spam'}," + " ".join(words[int(pick)] for pick in picks))
    path = tmp_path / "corpus.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def trainer(tmp_path: Path, **options: object) -> pl.Trainer:
    settings: dict[str, object] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": tmp_path,
        "num_sanity_val_steps": 0,
    }
    return pl.Trainer(**{**settings, **options})


@pytest.mark.parametrize("position", ["last", "last_real"])
def test_logits_equal_transformers_sequence_classifier(tmp_path: Path, position: str) -> None:
    """Its ``GPT2ForSequenceClassification`` reads the last token that is not padding, from the same weights."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=2,
        n_embd=32,
        n_head=4,
        n_positions=64,
        num_labels=3,
        pad_token_id=50256,
        initializer_range=0.3,
    )
    reference = transformers.GPT2ForSequenceClassification(config).eval()
    reference.transformer.save_pretrained(tmp_path)
    lengths = torch.tensor([1, 5, 16, 9])
    input_ids = torch.randint(0, 50000, (4, 16))
    input_ids[torch.arange(16) >= lengths[:, None]] = 50256

    model = SpamClassifier(weights=str(tmp_path), token_position=position)
    model.describe_data(DataDescription(["a", "b", "c"], [1.0, 1.0, 1.0], max_length=16, padded_length=16))
    model.configure_model()
    from spam_classifier.models.pretrained import load_weights

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
def test_twenty_steps_equal_a_plain_statement_of_the_recipe(tmp_path: Path, corpus: str, position: str) -> None:
    """The recipe again, in plain PyTorch on transformers' GPT-2: same weights, same batches, same losses."""
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        n_layer=3, n_embd=32, n_head=4, n_positions=128, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
    )
    transformers.GPT2Model(config).save_pretrained(tmp_path / "gpt2")
    recorder = Recorder()
    model = SpamClassifier(weights=str(tmp_path / "gpt2"), token_position=position, learning_rate=1e-3)
    trainer(tmp_path, max_steps=20, max_epochs=-1, callbacks=[recorder], limit_val_batches=0).fit(
        model, SpamDataModule(corpus, batch_size=8)
    )

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
def test_what_is_frozen_stays_bit_identical_and_what_learns_changes(tmp_path: Path, corpus: str, policy: str) -> None:
    recorder = Recorder()
    model = SpamClassifier(**TINY, trainable=policy, token_position="last_real", learning_rate=1e-3)
    trainer(tmp_path, max_steps=5, max_epochs=-1, callbacks=[recorder]).fit(model, SpamDataModule(corpus))
    optimized = {id(p) for group in model.optimizers().param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        learns = any(name.startswith(f"net.{prefix}") for prefix in LEARNS[policy])
        assert parameter.requires_grad == learns, name
        assert (id(parameter) in optimized) == learns, name
        assert torch.equal(parameter, recorder.start[name]) != learns, name


def test_policy_needs_its_blocks(tmp_path: Path, corpus: str) -> None:
    model = SpamClassifier(**{**TINY, "layers": 1}, trainable="last_two_blocks")
    with pytest.raises(UserError, match="last_two_blocks needs 2 blocks, the backbone has 1"):
        trainer(tmp_path, max_steps=1).fit(model, SpamDataModule(corpus))


def test_checkpoint_describes_itself_in_plain_types(tmp_path: Path, corpus: str) -> None:
    data = SpamDataModule(corpus, labels=["spam", "ham"])
    run = trainer(tmp_path, max_steps=2, max_epochs=-1)
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


def test_checkpoint_of_other_labels_is_refused(tmp_path: Path, corpus: str) -> None:
    run = trainer(tmp_path, max_steps=1)
    run.fit(SpamClassifier(**TINY), SpamDataModule(corpus))
    run.save_checkpoint(tmp_path / "model.ckpt")
    data = SpamDataModule(corpus, labels=["spam", "ham"])
    with pytest.raises(UserError, match=r"the checkpoint's classes are \['ham', 'spam'\]"):
        trainer(tmp_path).test(SpamClassifier(**TINY), data, ckpt_path=tmp_path / "model.ckpt")


def test_messages_beyond_the_context_are_refused(tmp_path: Path, corpus: str) -> None:
    model = SpamClassifier(**{**TINY, "context": 8})
    with pytest.raises(UserError, match=r"context of 8: set --data.max_length 8"):
        trainer(tmp_path).fit(model, SpamDataModule(corpus, max_length=9))


def test_messages_are_cut_to_the_context_unless_told_otherwise(tmp_path: Path, corpus: str) -> None:
    data = SpamDataModule(corpus)
    trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(SpamClassifier(**{**TINY, "context": 8}), data)
    assert data.max_length == 8
    assert data.truncated["train"] > 0


@pytest.mark.parametrize("padding", ["batch", "none"])
def test_full_attention_refuses_rows_of_unlike_length(tmp_path: Path, corpus: str, padding: str) -> None:
    model = SpamClassifier(**TINY, attention="full", token_position="last_real")
    data = SpamDataModule(corpus, padding=padding, batch_size=1)
    with pytest.raises(UserError, match=r"--model.attention full needs --data.padding longest or context"):
        trainer(tmp_path, max_steps=1).fit(model, data)


@pytest.mark.parametrize("options", [{"lora_targets": ["c_fc"]}, {"lora_targets": [], "trainable": "lora"}])
def test_targets_are_for_lora(options: dict) -> None:
    with pytest.raises(UserError, match=r"--model.lora_targets names the projections"):
        SpamClassifier(**TINY, **options)


def test_padding_to_the_context_is_the_models(tmp_path: Path, corpus: str) -> None:
    data = SpamDataModule(corpus, padding="context")
    trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(SpamClassifier(**TINY), data)
    assert (data.max_length, data.padded_length) == (128, 128)


def test_last_position_refuses_padding_to_the_batch(tmp_path: Path, corpus: str) -> None:
    with pytest.raises(UserError, match=r"cannot go with --data.padding batch"):
        trainer(tmp_path).fit(SpamClassifier(**TINY), SpamDataModule(corpus, padding="batch"))


def test_metrics_are_those_of_the_whole_split(tmp_path: Path, corpus: str) -> None:
    """Loss and accuracy over uneven batches equal one pass over all messages at once."""
    data = SpamDataModule(corpus, batch_size=7)
    model = SpamClassifier(**TINY, token_position="last_real")
    run = trainer(tmp_path, max_steps=3, max_epochs=-1)
    run.fit(model, data)
    figures = run.test(model, data, verbose=False)[0]
    messages = data.encoded["test"]
    batch = messages.batch(torch.arange(len(messages)), data.max_length, data.max_length)
    with torch.no_grad():
        logits = model.eval()(batch.input_ids, batch.lengths)
    assert figures["test/loss"] == pytest.approx(float(F.cross_entropy(logits, batch.labels)), abs=1e-6)
    assert figures["test/acc"] == pytest.approx(float((logits.argmax(-1) == batch.labels).float().mean()))


def test_classes_weigh_the_same_in_a_weighted_loss(tmp_path: Path, corpus: str) -> None:
    """The weights are scikit-learn's for ``balanced``, and the loss of a split its weighted mean."""
    rows = Path(corpus).read_text().splitlines()
    uneven = tmp_path / "uneven.csv"
    uneven.write_text("\n".join([rows[0], *rows[1::2], *rows[2:40:2]]) + "\n")
    data = SpamDataModule(str(uneven), balance="class_weight", stratify=True, batch_size=7)
    model = SpamClassifier(**TINY, token_position="last_real")
    run = trainer(tmp_path, max_steps=3, max_epochs=-1)
    run.fit(model, data)
    labels = data.encoded["train"].labels
    assert data.class_weights == pytest.approx(
        compute_class_weight("balanced", classes=np.array([0, 1]), y=labels.numpy())
    )
    figures = run.test(model, data, verbose=False)[0]
    predictions = model.predictions
    losses = F.cross_entropy(predictions.logits, predictions.labels, reduction="none")
    weights = torch.tensor(data.class_weights)[predictions.labels]
    assert figures["test/loss"] == pytest.approx(float((losses * weights).sum() / weights.sum()), abs=1e-6)


def test_decision_is_fitted_on_validation_and_used_by_test(tmp_path: Path, corpus: str) -> None:
    data = SpamDataModule(corpus, validation_fraction=0.3, train_fraction=0.4)
    model = SpamClassifier(**TINY, threshold="max_fpr", max_false_positive_rate=0.0)
    run = trainer(tmp_path, max_epochs=1)
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
    assert torch.equal(model.predictions.verdicts, expected)

    given = SpamClassifier(**TINY, threshold=0.25)
    trainer(tmp_path).test(given, data, ckpt_path=tmp_path / "model.ckpt", verbose=False)
    assert float(given.net.decision.threshold) == 0.25
    other = SpamClassifier(**TINY, threshold="best_f1")
    with pytest.raises(UserError, match="is fitted in training"):
        trainer(tmp_path).test(other, data, ckpt_path=tmp_path / "model.ckpt", verbose=False)


@pytest.mark.parametrize("options", [{"threshold": 0.0}, {"threshold": 1.0}, {"max_false_positive_rate": 1.5}])
def test_thresholds_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(options))):
        SpamClassifier(**TINY, **options)


def test_dropout_draws_are_a_function_of_the_step(tmp_path: Path, corpus: str) -> None:
    """Two runs from one seed agree, though one of them used up random numbers in between."""

    class Disturb(pl.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            torch.rand(3)

    ends = []
    for callbacks in ([], [Disturb()]):
        pl.seed_everything(5)
        model = SpamClassifier(**TINY, dropout=0.3, trainable="all")
        trainer(tmp_path, max_steps=4, max_epochs=-1, callbacks=callbacks).fit(model, SpamDataModule(corpus))
        ends.append(model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_is_a_probability(dropout: float) -> None:
    with pytest.raises(UserError, match="dropout must be at least 0 and below 1"):
        SpamClassifier(**TINY, dropout=dropout)


def test_learning_rate_schedule() -> None:
    warm_up = [learning_rate_factor(step, 4, 10) for step in range(5)]
    assert warm_up == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert learning_rate_factor(9, 4, 10) == pytest.approx(0.5)
    assert learning_rate_factor(14, 4, 10) == pytest.approx(0)
    assert learning_rate_factor(20, 4, 10) == pytest.approx(0)
    assert learning_rate_factor(1000, 4, None) == 1.0


def test_cosine_schedule_ends_near_zero(tmp_path: Path, corpus: str) -> None:
    rates: list[float] = []

    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer, *_) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    model = SpamClassifier(**TINY, schedule="cosine", warmup_steps=3, learning_rate=1e-3)
    trainer(tmp_path, max_epochs=2, callbacks=[Rates()]).fit(model, SpamDataModule(corpus))
    assert rates[:4] == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3])
    assert max(rates) == pytest.approx(1e-3)
    assert rates[-1] < 5e-5
