"""Checkpoints without the frozen part of a published backbone."""

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from huggingface_hub import constants
from transformers import GPT2Config, GPT2Model

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.errors import UserError
from spam_classifier.models import pretrained
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES, GPT2Shape

SHAPE = GPT2Shape(layers=3, width=32, heads=2, context=128)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small GPT-2 in the hub's cache, under a hub name of its own; its file."""
    directory = tmp_path / "hub/models--openai-community--tiny/snapshots" / ("0" * 40)
    save_backbone(directory, seed=0)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setitem(pretrained.HUB_REVISIONS, "tiny", "0" * 40)
    monkeypatch.setitem(PUBLISHED_SHAPES, "tiny", SHAPE)
    monkeypatch.setattr(pretrained, "fetch_weights", lambda weights: None)
    monkeypatch.setattr("spam_classifier.training.module.fetch_weights", lambda weights: None)
    return directory / "model.safetensors"


def train(directory: Path, steps: int = 5, resume: Path | None = None, **options: object) -> tuple:
    """The trainer, which has trained, and the module."""
    pl.seed_everything(0)
    model = SpamClassifier("tiny", token_position="last_real", learning_rate=1e-2, **options)
    model.awaits_checkpoint = resume is not None
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=directory, limit_val_batches=0,
    )  # fmt: skip
    data = SpamDataModule("sample", max_length=30, padding="batch")
    trainer.fit(model, data, ckpt_path=resume, weights_only=True if resume else None)
    return trainer, model


def save_backbone(directory: Path, seed: int) -> None:
    torch.manual_seed(seed)
    GPT2Model(GPT2Config(n_layer=3, n_embd=32, n_head=2, n_positions=128)).save_pretrained(directory)


@pytest.mark.parametrize(
    ("policy", "kept"),
    [("last_layer", 0), ("last_block", 14), ("last_two_blocks", 26), ("lora", 2 * 3 * 4), ("all", 2 + 3 * 12 + 2)],
)
def test_what_did_not_learn_is_put_back(published: Path, tmp_path: Path, policy: str, kept: int) -> None:
    trainer, model = train(tmp_path, trainable=policy)
    trainer.save_checkpoint(tmp_path / "small.ckpt", weights_only=True)
    state = torch.load(tmp_path / "small.ckpt", weights_only=True)["state_dict"]
    assert sum(name.startswith("backbone.") for name in state) == kept
    restored = SpamClassifier.load_from_checkpoint(tmp_path / "small.ckpt", weights_only=True)
    for name, value in model.state_dict().items():
        assert torch.equal(restored.state_dict()[name], value.cpu()), name


def test_all_is_kept_on_request(published: Path, tmp_path: Path) -> None:
    trainer, model = train(tmp_path, whole_checkpoints=True)
    trainer.save_checkpoint(tmp_path / "whole.ckpt")
    published.unlink()
    restored = SpamClassifier.load_from_checkpoint(tmp_path / "whole.ckpt", weights_only=True)
    assert torch.equal(restored.net.backbone.wte.weight, model.net.backbone.wte.weight.cpu())


def test_another_backbone_is_refused(published: Path, tmp_path: Path) -> None:
    trainer, _ = train(tmp_path)
    trainer.save_checkpoint(tmp_path / "small.ckpt")
    save_backbone(published.parent, seed=1)
    with pytest.raises(UserError, match=r"needs the weights tiny with SHA-256 .* would change its predictions"):
        SpamClassifier.load_from_checkpoint(tmp_path / "small.ckpt", weights_only=True)


def test_training_goes_on_from_a_small_checkpoint(published: Path, tmp_path: Path) -> None:
    trainer, model = train(tmp_path)
    trainer.save_checkpoint(tmp_path / "small.ckpt")
    longer, continued = train(tmp_path, steps=8, resume=tmp_path / "small.ckpt")
    assert longer.global_step == 8
    assert torch.equal(continued.net.backbone.wte.weight, model.net.backbone.wte.weight)
    assert not torch.equal(continued.net.head.weight, model.net.head.weight)
    learning = {name for name, parameter in continued.named_parameters() if parameter.requires_grad}
    assert learning == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
