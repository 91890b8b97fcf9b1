import math

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model
from transformers.pytorch_utils import Conv1D

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES, GPT2Backbone, GPT2Shape

TINY = GPT2Shape(layers=3, width=48, heads=3, context=64, vocabulary=300)


def pair_of(shape: GPT2Shape) -> tuple[GPT2Model, GPT2Backbone]:
    """A model of transformers with random weights, biases and norms too, and a backbone with the same weights."""
    torch.manual_seed(0)
    sizes = {"n_layer": shape.layers, "n_embd": shape.width, "n_head": shape.heads, "n_positions": shape.context}
    peer = GPT2Model(GPT2Config(**sizes, vocab_size=shape.vocabulary, bos_token_id=0, eos_token_id=0)).eval()
    for name, parameter in peer.named_parameters():
        if name.endswith("bias") or "ln_" in name:
            nn.init.normal_(parameter, mean=float("ln_" in name and "weight" in name), std=0.1)
    weights = peer.state_dict()
    for name, module in peer.named_modules():
        if isinstance(module, Conv1D):
            weights[f"{name}.weight"] = module.weight.detach().t()
    backbone = GPT2Backbone(shape).eval()
    backbone.load_state_dict(weights)
    return peer, backbone


def tokens(batch: int, length: int, shape: GPT2Shape = TINY) -> Tensor:
    return torch.randint(shape.vocabulary, (batch, length), generator=torch.Generator().manual_seed(length))


@pytest.fixture(scope="module")
def tiny_pair() -> tuple[GPT2Model, GPT2Backbone]:
    return pair_of(TINY)


@pytest.mark.parametrize(
    ("shape", "length"),
    [
        *((TINY, length) for length in (1, 2, 17, 64)),
        pytest.param(PUBLISHED_SHAPES["gpt2"], 12, marks=pytest.mark.slow),
    ],
)
def test_hidden_states_equal_transformers(shape: GPT2Shape, length: int) -> None:
    peer, backbone = pair_of(shape)
    input_ids = tokens(2, length, shape)
    with torch.no_grad():
        hidden = backbone(input_ids)
        expected = peer(input_ids).last_hidden_state
    assert hidden.shape == (2, length, shape.width)
    assert (hidden - expected).abs().max() <= 1e-5


def test_gradients_equal_transformers(tiny_pair: tuple[GPT2Model, GPT2Backbone]) -> None:
    peer, backbone = tiny_pair
    input_ids = tokens(2, 9)
    direction = torch.randn(2, 9, 48, generator=torch.Generator().manual_seed(1))
    for model, hidden in ((backbone, backbone(input_ids)), (peer, peer(input_ids).last_hidden_state)):
        model.zero_grad()
        (hidden * direction).sum().backward()
    for name, parameter in backbone.named_parameters():
        expected = peer.get_parameter(name).grad
        if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            expected = expected.t()
        torch.testing.assert_close(parameter.grad, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_checkpointed_blocks_give_the_same_gradients(dropout: float) -> None:
    results = []
    for gradient_checkpointing in (False, True):
        torch.manual_seed(0)
        backbone = GPT2Backbone(TINY, dropout, gradient_checkpointing=gradient_checkpointing)
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, saved=saved: saved.append(t.numel()) or t, lambda t: t):
            hidden = backbone(tokens(4, 30))
        hidden.square().sum().backward()
        results.append((hidden.detach(), [parameter.grad for parameter in backbone.parameters()], sum(saved)))
    (plain, plain_gradients, kept), (again, gradients, kept_less) = results
    assert torch.equal(plain, again)
    assert all(torch.allclose(*pair, atol=1e-6) for pair in zip(plain_gradients, gradients, strict=True))
    assert kept_less < kept / 4


@pytest.mark.parametrize("changed", [1, 20, 39])
def test_a_token_changes_no_hidden_state_before_it(tiny_pair: tuple[GPT2Model, GPT2Backbone], changed: int) -> None:
    _, backbone = tiny_pair
    before = tokens(2, 40)
    after = before.clone()
    after[:, changed] = (after[:, changed] + 1) % TINY.vocabulary
    with torch.no_grad():
        difference = (backbone(after) - backbone(before)).abs().amax(dim=(0, 2))
    assert difference[:changed].max() <= 1e-6
    assert difference[changed:].min() > 1e-3


def test_initialisation_is_that_of_gpt2() -> None:
    torch.manual_seed(0)
    backbone = GPT2Backbone(GPT2Shape(layers=4, width=256, heads=4, context=128, vocabulary=500))
    for name, parameter in backbone.named_parameters():
        if name.endswith("bias"):
            assert parameter.count_nonzero() == 0, name
        elif "ln_" in name:
            assert torch.equal(parameter, torch.ones(256)), name
        else:
            std = 0.02 / math.sqrt(8) if name.endswith("c_proj.weight") else 0.02
            assert parameter.std().item() == pytest.approx(std, rel=0.02), name
            assert abs(parameter.mean().item()) < 0.02 * std, name


def test_dropout_acts_in_training_only() -> None:
    backbone = GPT2Backbone(TINY, dropout=0.5)
    plain = GPT2Backbone(TINY)
    plain.load_state_dict(backbone.state_dict())
    input_ids = tokens(2, 10)
    with torch.no_grad():
        assert not torch.equal(backbone(input_ids), backbone(input_ids))
        assert torch.equal(backbone.eval()(input_ids), plain(input_ids))


def test_dropout_falls_on_embeddings_attention_and_both_branches() -> None:
    torch.manual_seed(0)
    backbone = GPT2Backbone(TINY, dropout=0.5)
    block, x = backbone.h[0], torch.ones(1, 8, 48)
    with torch.no_grad():
        # About half of the embedding's elements are zero, the others doubled.
        share = (backbone.embed(tokens(4, 60)) == 0).float().mean().item()
        assert share == pytest.approx(0.5, abs=0.05)
        # With constant values attention returns them unless its weights are dropped.
        nn.init.zeros_(block.attn.c_attn.weight)
        nn.init.ones_(block.attn.c_attn.bias)
        nn.init.eye_(block.attn.c_proj.weight)
        assert not torch.allclose(block.attn(x), torch.ones_like(x))
        assert torch.allclose(block.attn.eval()(x), torch.ones_like(x))
        # Each branch adds to an element either nothing or twice its value.
        nn.init.zeros_(block.mlp.c_proj.weight)
        nn.init.constant_(block.mlp.c_proj.bias, 10.0)
        added = (block(x) - x).round().unique().tolist()
        assert added == [0, 2, 20, 22]


def test_a_sequence_longer_than_the_context_is_refused() -> None:
    with pytest.raises(UserError, match=r"65 tokens .* context of 64.*--model.context") as caught:
        GPT2Backbone(TINY)(tokens(1, 65))
    assert "\n" not in str(caught.value)


def test_sizes_must_be_positive_and_heads_divide_the_width() -> None:
    for size in ("layers", "width", "heads", "context", "vocabulary"):
        for value in (0, -1):
            with pytest.raises(UserError, match=rf"{size} must be an integer from 1 to [\d,]+, not {value}"):
                GPT2Shape(**{"layers": 1, "width": 4, "heads": 2, size: value})
    with pytest.raises(UserError, match=r"width 48 .* 5 heads.*--model.width.*--model.heads"):
        GPT2Shape(layers=1, width=48, heads=5)


def test_published_sizes() -> None:
    def count(shape: GPT2Shape) -> int:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in GPT2Backbone(shape).parameters())

    millions = {name: round(count(shape) / 1e6) for name, shape in PUBLISHED_SHAPES.items()}
    assert millions == {"gpt2": 124, "gpt2-medium": 355, "gpt2-large": 774, "gpt2-xl": 1558}
