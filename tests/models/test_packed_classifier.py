"""Packed blocks give the plain blocks' results, and in float32 a message's own bits in any company."""

import os
import random
import subprocess
import sys

import pytest
import torch

from spam_classifier.batch import Batch
from spam_classifier.models import packed_blocks
from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.packed_blocks import (
    EndToEnd,
    PackedClassifier,
    PackedLinear,
    multiplies_bfloat16,
    packed_type,
    through_blocks,
)

pytestmark = pytest.mark.skipif(packed_type(GPT2Backbone(GPT2Shape(1, 8, 1))) is None, reason="nothing is packed here")
WITHOUT_BFLOAT16 = pytest.mark.skipif(not multiplies_bfloat16(), reason="this CPU does not multiply bfloat16")
TYPES = [
    pytest.param(torch.float32, 1e-5, id="float32"),
    pytest.param(torch.bfloat16, 0.1, id="bfloat16", marks=WITHOUT_BFLOAT16),
]
READS = [
    ("last_real", "causal", None),
    ("first", "causal", None),
    ("mean", "causal", None),
    ("last", "causal", 24),
    ("mean", "causal", 24),
    ("last_real", "full", 24),
    ("first", "full", 24),
]


def network(position: str, attention: str, padded_length: int | None, heads: int = 4) -> GPT2Classifier:
    torch.manual_seed(0)
    shape = GPT2Shape(layers=4, width=64, heads=heads, context=64)
    backbone = GPT2Backbone(shape, dropout=0.1, causal=attention == "causal").eval()
    names = {"token_position": position, "attention": attention, "padded_length": padded_length}
    net = GPT2Classifier(backbone, {**names, "label_names": ["a", "b", "c"]})
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return net.eval()


def messages_of(lengths: list[int], padded_length: int | None) -> list[Batch]:
    """A batch of one message for each length."""
    drawn = torch.Generator().manual_seed(1)
    made = []
    for number, length in enumerate(lengths):
        ids = torch.full((1, padded_length or length), 50256)
        ids[0, :length] = torch.randint(50000, (length,), generator=drawn)
        made.append(Batch(ids, torch.tensor([length]), torch.tensor([0]), torch.tensor([number])))
    return made


def together(messages: list[Batch]) -> Batch:
    width = max(message.input_ids.shape[1] for message in messages)
    ids = [torch.nn.functional.pad(own.input_ids, (0, width - own.input_ids.shape[1]), value=50256) for own in messages]
    return Batch(torch.cat(ids), *(torch.cat([own[part] for own in messages]) for part in (1, 2, 3)))


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("read", READS)
def test_logits_are_those_of_the_plain_network(read: tuple, dtype: torch.dtype, tolerance: float) -> None:
    net = network(*read)
    batch = together(messages_of([7, 1, 24, 9, 9, 24, 2], read[2]))
    with torch.no_grad():
        plain = net(batch.input_ids, batch.lengths)
    (logits,) = PackedClassifier(net, dtype).logits_of([batch])
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, plain, rtol=tolerance, atol=tolerance * float(plain.abs().max()))
    if dtype == torch.bfloat16:
        assert not torch.equal(logits, plain)


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("read", READS)
def test_a_message_has_the_same_bits_in_any_company(read: tuple, heads: int) -> None:
    net = network(*read, heads=heads)
    classifier = PackedClassifier(net, torch.float32)
    messages = messages_of([7, 1, 24, 9, 9, 24, 2, 1, 13, 9], read[2])
    alone = [next(classifier.logits_of([message]))[0] for message in messages]
    chance, threads = random.Random(0), torch.get_num_threads()
    try:
        for number in range(20):
            torch.set_num_threads(1 + number % 2)
            chosen = chance.sample(range(len(messages)), chance.randint(1, len(messages)))
            (found,) = classifier.logits_of([together([messages[own] for own in chosen])])
            for own, logits in zip(chosen, found, strict=True):
                assert torch.equal(logits, alone[own])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("inputs", "outputs"), [(768, 2304), (768, 768), (768, 3072), (3072, 768), (1280, 3840)])
def test_a_row_of_a_product_has_the_same_bits_among_any_others(inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    linear = PackedLinear(torch.nn.Linear(inputs, outputs))
    x = torch.randn(300, inputs)
    of_all = linear(x)
    residual = linear.added_to(of_all, x)
    for rows in (1, 2, 3, 31, 33, 299):
        some = slice(300 - rows, 300)
        assert torch.equal(linear(x[some]), of_all[some])
        assert torch.equal(linear.added_to(of_all[some], x[some]), residual[some])


def test_weights_are_kept_once() -> None:
    net = network(*READS[0])
    assert len(net.backbone.h) == 4
    PackedClassifier(net, torch.float32)
    assert len(net.backbone.h) == 0


@pytest.mark.parametrize("number", [0, 1, 4])
def test_states_are_the_plain_ones(number: int) -> None:
    net, done = network(*READS[0]), []
    batches = [together(messages_of(lengths, None)) for lengths in ([40, 3, 3], [1], [64, 17])]
    blocks = list(net.backbone.h)[:number]
    found = list(through_blocks(net, iter(batches), blocks, torch.float32, done.append))
    assert sum(done) == number * 6
    for (batch, messages, states), given in zip(found, batches, strict=True):
        assert batch is given
        with torch.no_grad():
            plain = net.backbone.before_block(batch.input_ids, number)
        real = torch.arange(plain.shape[1]) < batch.lengths[:, None]
        assert messages.starts.tolist() == [0, *batch.lengths.cumsum(0).tolist()][:-1]
        torch.testing.assert_close(states, plain[real], rtol=1e-5, atol=1e-5 * float(plain.abs().max()))


def test_groups_hold_a_bounded_number_of_tokens_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_blocks, "GROUP_TOKENS", 100)
    net, taken = network(*READS[0]), []

    def stream():
        for lengths in ([40, 40], [20], [10], [30, 30]):
            taken.append(lengths)
            yield together(messages_of(lengths, None))

    found = through_blocks(net, stream(), list(net.backbone.h), torch.float32)
    next(found)
    assert taken == [[40, 40], [20], [10]]  # 80 + 20 + 10 tokens exceed a group
    assert [len(batch.lengths) for batch, _, _ in found] == [1, 1, 2]


def test_messages_end_to_end() -> None:
    batch = together(messages_of([3, 3, 1, 2], None))
    real = EndToEnd.of(batch, whole_rows=False)
    assert real.runs == [(2, 3), (1, 1), (1, 2)]
    assert real.positions.tolist() == [0, 1, 2, 0, 1, 2, 0, 0, 1]
    assert real.starts.tolist() == [0, 3, 6, 7]
    assert EndToEnd.of(batch, whole_rows=True).runs == [(4, 3)]


def test_what_is_packed() -> None:
    backbone = GPT2Backbone(GPT2Shape(1, 8, 1), dropout=0.1).eval()
    assert packed_type(backbone) == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert packed_type(backbone) == (torch.bfloat16 if multiplies_bfloat16() else None)
    with torch.autocast("cpu", torch.float16):
        assert packed_type(backbone) is None
    assert packed_type(backbone.train()) is None  # dropout draws anew for each token
    assert packed_type(backbone.eval().bfloat16()) is None


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.parametrize("instructions", ["avx2", "avx512"])
def test_the_bits_do_not_depend_on_company_with_other_instructions(instructions: str) -> None:
    limits = {
        "ATEN_CPU_CAPABILITY": instructions,
        "ONEDNN_MAX_CPU_ISA": instructions.replace("512", "512_core").upper(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "same_bits"],
        env={**os.environ, **limits},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
