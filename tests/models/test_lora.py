"""Low-rank adaptation against peft, and against the plain model."""

import copy

import peft
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2Model
from transformers.pytorch_utils import Conv1D

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
from spam_classifier.models.trainable import LoRALinear, LowRankUpdate, add_lora, freeze, merge_lora

SHAPE = GPT2Shape(layers=2, width=32, heads=2, context=32)


def adapted(targets: tuple[str, ...] = ("c_attn", "c_proj", "c_fc"), **options: float) -> GPT2Backbone:
    """A backbone with low-rank updates that are not zero."""
    torch.manual_seed(0)
    backbone = GPT2Backbone(SHAPE).eval()
    add_lora(backbone, **{"rank": 4, "alpha": 6.0, "dropout": 0.0, **options}, targets=targets)
    for update in [module for module in backbone.modules() if isinstance(module, LowRankUpdate)]:
        nn.init.normal_(update.B, std=0.2)
    return backbone.eval()


def tokens() -> torch.Tensor:
    return torch.randint(50000, (3, 12), generator=torch.Generator().manual_seed(2))


def test_the_start_is_the_frozen_model() -> None:
    torch.manual_seed(0)
    plain = GPT2Backbone(SHAPE).eval()
    with_updates = copy.deepcopy(plain)
    add_lora(with_updates, rank=4, alpha=16, dropout=0.0, targets=("c_attn", "c_proj", "c_fc"))
    assert sum(isinstance(module, LoRALinear) for module in with_updates.modules()) == 8
    with torch.no_grad():
        assert torch.equal(with_updates(tokens()), plain(tokens()))


def test_merged_weights_give_the_same() -> None:
    backbone = adapted()
    merged = copy.deepcopy(backbone)
    merge_lora(merged)
    assert not any(isinstance(module, LoRALinear) for module in merged.modules())
    assert set(merged.state_dict()) == set(GPT2Backbone(SHAPE).state_dict())
    with torch.no_grad():
        torch.testing.assert_close(merged(tokens()), backbone(tokens()), atol=1e-5, rtol=1e-5)
        lengths = torch.tensor([12, 4, 7])
        one, other = (b.at(b.embed(tokens()), lengths - 1, 0) for b in (merged, backbone))
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("targets", [("c_attn",), ("attn.c_proj", "c_fc"), ("c_attn", "c_proj", "c_fc")])
def test_forward_and_gradients_equal_peft(targets: tuple[str, ...]) -> None:
    backbone = adapted(targets)
    config = GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=32, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    reference = GPT2Model(config).eval()
    state = backbone.state_dict().items()
    weights = {name.replace(".base", ""): value for name, value in state if "update" not in name}
    for name, module in reference.named_modules():
        if isinstance(module, Conv1D):
            weights[f"{name}.weight"] = weights[f"{name}.weight"].t()
    reference.load_state_dict(weights)
    settings = peft.LoraConfig(r=4, lora_alpha=6, lora_dropout=0.0, target_modules=list(targets), fan_in_fan_out=True)
    reference = peft.get_peft_model(reference, settings).eval()
    pairs = []
    for name, module in backbone.named_modules():
        if isinstance(module, LoRALinear):
            theirs = reference.base_model.model.get_submodule(name)
            pairs.append((module.update, theirs.lora_A["default"].weight, theirs.lora_B["default"].weight))
            with torch.no_grad():
                pairs[-1][1].copy_(module.update.A)
                pairs[-1][2].copy_(module.update.B)
    assert len(pairs) == 2 * (len(targets) + ("c_proj" in targets))
    freeze(backbone, nn.Linear(32, 2), "lora")
    ours, theirs = backbone(tokens()), reference(tokens()).last_hidden_state
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    direction = torch.randn(3, 12, 32)
    (ours * direction).sum().backward()
    (theirs * direction).sum().backward()
    for update, a, b in pairs:
        torch.testing.assert_close(update.A.grad, a.grad, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(update.B.grad, b.grad, atol=1e-4, rtol=1e-4)


def test_only_updates_and_head_learn() -> None:
    backbone, head = adapted(), nn.Linear(32, 2)
    freeze(backbone, head, "lora")
    learning = [name for name, parameter in backbone.named_parameters() if parameter.requires_grad]
    assert learning
    assert all(name.endswith(("update.A", "update.B")) for name in learning)
    # rows and columns of each projection, four of them in each of two blocks
    assert sum(backbone.get_parameter(name).numel() for name in learning) == 2 * 4 * (128 + 64 + 160 + 160)


def test_dropout_acts_on_the_updates_only_and_in_training_only() -> None:
    backbone = adapted(dropout=0.5)
    with torch.no_grad():
        assert torch.equal(backbone(tokens()), backbone(tokens()))
        backbone.train()
        assert not torch.equal(backbone(tokens()), backbone(tokens()))
        for update in [module for module in backbone.modules() if isinstance(module, LowRankUpdate)]:
            nn.init.zeros_(update.B)
        assert torch.equal(backbone(tokens()), backbone(tokens()))


def test_unknown_targets_are_refused() -> None:
    with pytest.raises(UserError, match=r"--model.lora_targets 'q_proj': a block has c_attn, c_proj, c_fc"):
        add_lora(GPT2Backbone(SHAPE), rank=2, alpha=2, dropout=0.0, targets=("q_proj",))
