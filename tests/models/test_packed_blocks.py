"""Blocks with packed weights give the same results as plain blocks."""

import pytest
import torch

from spam_classifier import GPT2Backbone, GPT2Shape
from spam_classifier.models import packed_blocks
from spam_classifier.models.packed_blocks import can_pack, states_before_block


@pytest.fixture
def backbone() -> GPT2Backbone:
    torch.manual_seed(0)
    backbone = GPT2Backbone(GPT2Shape(layers=4, width=64, heads=4, context=64), dropout=0.1).eval()
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return backbone


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records each block that is packed."""
    made: list[int] = []

    class Counting(packed_blocks.PackedBlock):
        def __init__(self, block) -> None:
            made.append(1)
            super().__init__(block)

    monkeypatch.setattr(packed_blocks, "PackedBlock", Counting)
    return made


def batches_of(*shapes: tuple[int, int]) -> list[torch.Tensor]:
    return [torch.randint(0, 50257, shape) for shape in shapes]


def plain_states(backbone: GPT2Backbone, batches: list[torch.Tensor], number: int) -> list[torch.Tensor]:
    with torch.no_grad():
        return [backbone.before_block(input_ids, number) for input_ids in batches]


@pytest.mark.parametrize("number", [0, 1, 4])
def test_packed_states_are_the_plain_ones(backbone: GPT2Backbone, packed: list[int], number: int) -> None:
    batches = batches_of((100, 40), (7, 1), (1, 64), (33, 17))
    done: list[int] = []
    states = list(states_before_block(backbone, iter(batches), number, done.append))
    assert len(packed) == (number if can_pack(backbone) else 0)
    assert sum(done) == number * (100 + 7 + 1 + 33)
    for packed_batch, plain in zip(states, plain_states(backbone, batches, number), strict=True):
        assert torch.allclose(packed_batch, plain, rtol=1e-5, atol=1e-5 * float(plain.abs().max()))


def test_groups_hold_a_bounded_number_of_tokens_in_order(
    backbone: GPT2Backbone, packed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_blocks, "GROUP_TOKENS", 100)
    monkeypatch.setattr(packed_blocks, "WORTH_PACKING", 80)
    batches = batches_of((2, 40), (3, 30), (1, 10), (2, 60))
    taken: list[int] = []

    def stream():
        for number, batch in enumerate(batches):
            taken.append(number)
            yield batch

    states = states_before_block(backbone, stream(), 2)
    first = next(states)
    assert taken == [0, 1]  # 80 + 90 tokens exceed a group
    for of_batch, plain in zip([first, *states], plain_states(backbone, batches, 2), strict=True):
        assert torch.allclose(of_batch, plain, rtol=1e-5, atol=1e-4)


def test_only_many_tokens_of_plain_float32_are_packed(backbone: GPT2Backbone, packed: list[int]) -> None:
    (states,) = states_before_block(backbone, batches_of((2, 10)), 3)
    assert states.shape == (2, 10, 64)
    assert not packed
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_pack(backbone)
    assert not can_pack(backbone.train())  # dropout draws anew for each token
    assert not can_pack(backbone.eval().bfloat16())
