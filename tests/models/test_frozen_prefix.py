"""Kept hidden states and the one-query block give the plain path's numbers."""

import copy
import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from spam_classifier import GPT2Backbone, GPT2Shape, SpamClassifier, SpamDataModule
from spam_classifier.batch import Batch
from spam_classifier.data.loader import BatchLoader
from spam_classifier.models.frozen_prefix import SUMMED_AT_ONCE, HiddenStates, Place, place_for, sum_of_bits
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.training.reuse import ReuseFrozenStates

TINY = {"weights": "random", "layers": 3, "width": 32, "heads": 4, "context": 512, "learning_rate": 1e-3}
DATA = {"padding": "longest", "batch_size": 8, "batch_by_length": False, "train_fraction": 0.03, "max_length": 40}
ONE = {"batch_size": 1, "train_fraction": 0.01}
BY_LENGTH = {"token_position": "last_real", "padding": "batch", "batch_by_length": True}
LAST = [{"token_position": "last", **ONE}, {"token_position": "last"}, BY_LENGTH, {**BY_LENGTH, **ONE}]
OTHERS = [
    {"token_position": "first"},
    {"token_position": "mean"},
    {"token_position": "mean", "padding": "none", **ONE},
    {"token_position": "last", "padding": "none", **ONE},
    {"token_position": "last_real", "attention": "full"},
    {"token_position": "mean", "attention": "full"},
]
End = tuple[SpamClassifier, list[float], dict[str, float]]


class Losses(pl.Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.losses.append(float(outputs["loss"].detach()))
        pl_module.kept_in_training = pl_module.reuse._stages.get("train") is not None


def fit(tmp_path: Path, *, trainer: dict | None = None, **options: object) -> End:
    """Fifty steps on the sample; the model, the losses of the steps, and the metrics of the last validation."""
    losses = Losses()
    pl.seed_everything(11)
    data = {name: options.pop(name, default) for name, default in DATA.items()}
    model = SpamClassifier(**{**TINY, **options})
    run = pl.Trainer(
        **{
            **{"max_steps": 50, "max_epochs": -1, "accelerator": "cpu", "devices": 1, "logger": False},
            **{"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False},
            **{"default_root_dir": tmp_path, "callbacks": [losses], "val_check_interval": 8},
            **(trainer or {}),
        }
    )
    run.fit(model, SpamDataModule("sample", validation_fraction=0.02, **data))
    return model, losses.losses, {name: float(value) for name, value in run.callback_metrics.items()}


def assert_same_with_and_without_reuse(tmp_path: Path, tolerance: float, **options: object) -> None:
    """Losses may differ relatively, weights that learn absolutely."""
    ends = [fit(tmp_path, frozen_prefix=reuse, **options) for reuse in ("auto", "off")]
    assert [end[0].kept_in_training for end in ends] == [True, False]
    (kept, kept_losses, kept_metrics), (plain, plain_losses, plain_metrics) = ends
    assert len(plain_losses) == 50
    assert kept_losses == pytest.approx(plain_losses, rel=tolerance)
    assert kept_metrics["val/loss"] == pytest.approx(plain_metrics["val/loss"], rel=tolerance)
    others = dict(kept.named_parameters())
    for name, parameter in plain.named_parameters():
        other = others[name]
        if name.endswith("c_attn.bias"):  # the softmax ignores the keys' bias: Adam scales up the noise of a zero
            parameter, other = (bias.view(3, -1)[[0, 2]] for bias in (parameter, other))
        assert float((parameter - other).detach().abs().max()) <= tolerance, name


def every_other(policies: list[str], ways: list[dict]) -> list:
    """All pairs, of which every other one runs in CI only."""
    pairs = itertools.product(enumerate(policies), enumerate(ways))
    return [pytest.param(policy, way, marks=[pytest.mark.ci] * ((i + j) % 2)) for (i, policy), (j, way) in pairs]


@pytest.mark.parametrize(
    ("policy", "options"),
    [
        *every_other(["last_layer", "last_block", "last_two_blocks"], LAST),
        *every_other(["last_layer", "last_block"], OTHERS),
    ],
    ids=str,
)
@pytest.mark.slow
def test_fifty_steps_are_the_same_with_and_without_reuse(tmp_path: Path, policy: str, options: dict) -> None:
    assert_same_with_and_without_reuse(tmp_path, 1e-4, trainable=policy, **options)


def test_half_precision_gives_the_same_with_and_without_reuse(tmp_path: Path) -> None:
    trainer = {"precision": "bf16-mixed"}
    assert_same_with_and_without_reuse(tmp_path, 1e-2, trainer=trainer, trainable="last_block", **BY_LENGTH)


def test_one_query_equals_the_whole_block() -> None:
    """Output and gradients for single tokens, whatever follows them."""
    torch.manual_seed(0)
    backbone = GPT2Backbone(GPT2Shape(layers=2, width=48, heads=3, context=64))
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    block = backbone.h[-1]
    x = torch.randn(5, 20, 48)
    position = torch.tensor([19, 0, 7, 12, 1])
    weight = torch.randn(48)
    results = []
    for compute in (lambda x: block(x)[torch.arange(5), position], lambda x: block.at(x, position)):
        block.zero_grad()
        leaf = x.clone().requires_grad_()
        out = compute(leaf)
        (out * weight).sum().backward()
        results.append((out.detach(), leaf.grad, {name: p.grad.clone() for name, p in block.named_parameters()}))
    (whole, whole_x, whole_gradients), (one, one_x, one_gradients) = results
    assert torch.allclose(whole, one, rtol=1e-5, atol=1e-5)
    assert torch.allclose(whole_x, one_x, rtol=1e-4, atol=1e-5)
    for name, gradient in whole_gradients.items():
        assert torch.allclose(gradient, one_gradients[name], rtol=1e-4, atol=1e-4), name
    x[1, 1:] = 1e3
    assert torch.allclose(block.at(x, position)[1], one[1], atol=1e-5)


def test_reuse_turns_itself_off_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reasons = {
        "the frozen blocks use dropout": {"dropout": 0.1},
        "exceed --model.prefix_memory and --model.prefix_disk": {"prefix_memory": 1e-6, "prefix_disk": 1e-6},
    }
    for reason, options in reasons.items():
        caplog.clear()
        with caplog.at_level("INFO"):
            model, _, _ = fit(tmp_path, trainer={"max_steps": 6}, **options)
        assert not model.kept_in_training
        assert reason in caplog.text


@pytest.mark.slow
def test_states_over_the_memory_budget_go_to_disk_and_leave_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, in_memory, _ = fit(tmp_path)
    with caplog.at_level("INFO"):
        model, on_disk, _ = fit(tmp_path, prefix_memory=0)
    assert "on disk in" in caplog.text
    assert any(states.place == Place.DISK for _, states in model.reuse._kept.values())
    assert on_disk == in_memory
    assert not list(tmp_path.rglob("frozen_prefix-*"))


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        (BY_LENGTH, 0),
        ({"token_position": "last_real"}, 1e-4),  # more padding is gathered than in host memory
        ({"token_position": "mean"}, 0),
        ({"trainable": "last_layer", **BY_LENGTH}, 0),
    ],
    ids=str,
)
@pytest.mark.slow
def test_states_kept_as_on_a_gpu_train_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, options: dict, tolerance: float
) -> None:
    """The CPU plays the GPU."""
    _, in_memory, _ = fit(tmp_path, **options)
    monkeypatch.setattr("spam_classifier.training.reuse.free_bytes", lambda device: 10**12)
    with caplog.at_level("INFO"):
        model, on_gpu, _ = fit(tmp_path, prefix_memory=0, prefix_disk=0, **options)
    assert "MB on the GPU" in caplog.text
    assert model.kept_in_training
    assert on_gpu == pytest.approx(in_memory, rel=tolerance, abs=0)


def test_head_only_keeps_one_vector_per_message(tmp_path: Path) -> None:
    model, _, _ = fit(tmp_path, trainable="last_layer")
    assert (149, 32) in [tuple(states.tokens.shape) for _, states in model.reuse._kept.values()]


def network(blocks: int) -> GPT2Classifier:
    torch.manual_seed(0)
    settings = {"token_position": "last_real", "attention": "causal", "padded_length": None, "label_names": ["a", "b"]}
    return GPT2Classifier(GPT2Backbone(GPT2Shape(layers=blocks, width=16, heads=2, context=512)), settings).eval()


def reused_states(net: GPT2Classifier, blocks: int, tmp_path: Path) -> Callable[[BatchLoader], HiddenStates]:
    reuse = ReuseFrozenStates(True, memory_budget=1, disk_budget=0)
    reuse.build(net, blocks)
    trainer = pl.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False, default_root_dir=tmp_path)
    return lambda loader: reuse._states_of(loader, reuse.prefix, trainer)


def test_changed_weights_messages_or_lengths_make_new_states(tmp_path: Path) -> None:
    net = network(2)
    backbone = net.backbone
    states_of = reused_states(net, 1, tmp_path)
    data = SpamDataModule("sample", max_length=30, padding="batch")
    data.setup("test")

    def states(split: str) -> HiddenStates:
        return states_of(data.each_once(split))

    first = states("test")
    assert states("test") is first
    assert states("validation") is not first
    backbone.load_state_dict(copy.deepcopy(backbone.state_dict()))  # the same numbers, written again
    assert states("test") is first
    with torch.no_grad():
        backbone.h[1].ln_1.weight.add_(1)  # not frozen
    assert states("test") is first
    data.max_length = 20
    shorter = states("test")
    assert shorter is not first
    assert int(shorter.counts.max()) == 20
    with torch.no_grad():
        backbone.h[0].ln_1.weight[3] += 1e-3
    changed = states("test")
    assert changed is not shorter
    assert not torch.equal(changed.tokens, shorter.tokens)
    other = SpamDataModule("sample", max_length=20, padding="batch", split_seed=5)
    other.setup("test")
    assert states_of(other.each_once("test")) is not changed


def test_another_device_makes_new_states(tmp_path: Path, trainer: Callable[..., pl.Trainer]) -> None:
    net = network(2)
    reuse = ReuseFrozenStates(True, memory_budget=1, disk_budget=0)
    reuse.build(net, 1)
    data = SpamDataModule("sample", max_length=30, padding="batch")
    data.setup("test")
    loader, run = data.each_once("validation"), trainer()
    first = reuse._key(loader, run)
    assert reuse._key(loader, run) == first
    net.to("meta")
    assert reuse._key(loader, run) != first


def test_another_precision_of_products_makes_new_states(tmp_path: Path) -> None:
    states_of = reused_states(network(2), 1, tmp_path)
    data = SpamDataModule("sample", max_length=30, padding="batch")
    data.setup("test")
    loader = data.each_once("validation")
    first = states_of(loader)
    assert states_of(loader) is first
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        rough = states_of(loader)
        assert rough is not first
        torch.backends.mkldnn.matmul.fp32_precision = "tf32"  # the backend's own setting
        assert states_of(loader) is not rough
    finally:
        torch.set_float32_matmul_precision(before)
    again = states_of(loader)
    assert again is not rough
    assert torch.equal(again.tokens, first.tokens)


def test_kept_states_are_those_of_the_plain_pass(tmp_path: Path) -> None:
    net = network(3)
    data = SpamDataModule("sample", max_length=50, padding="batch")
    data.setup("test")
    loader = data.each_once("validation")
    states = reused_states(net, 2, tmp_path)(loader)
    for row in (0, 17, 101):
        batch = loader.gather(torch.tensor([row]), None)
        kept = states.gather(batch)
        assert torch.allclose(kept, net.backbone.before_block(batch.input_ids, 2), atol=1e-5)


@pytest.mark.parametrize(
    ("gpu_free", "memory", "disk", "place"),
    [
        (201, 0, 0, Place.GPU),
        (200, 100, 0, Place.MEMORY),  # the other half is for the training
        (0, 100, 100, Place.MEMORY),  # no GPU
        (150, 99, 100, Place.DISK),
        (0, 99, 99, None),
    ],
)
def test_states_are_kept_in_the_fastest_place_with_room(
    gpu_free: int, memory: float, disk: float, place: Place | None
) -> None:
    assert place_for(100, gpu_free=gpu_free, memory=memory, disk=disk) == place


def test_states_on_a_gpu_are_gathered_to_the_width_of_the_batch() -> None:
    """The width that the host knows, as on a GPU, but computed here."""
    tokens, counts = torch.randn(9, 4), torch.tensor([2, 4, 3])
    of_gpu = HiddenStates(tokens, torch.tensor([4, 0, 6]), counts, 4, Place.GPU)
    of_cpu = dataclasses.replace(of_gpu, place=Place.MEMORY)
    for rows, width, expected in (([0, 2], 3, 3), ([2, 0], 8, 4), ([1], 4, 4)):
        index = torch.tensor(rows)
        batch = Batch(torch.zeros(len(rows), width, dtype=torch.int64), counts[index], torch.zeros(len(rows)), index)
        there, here = of_gpu.gather(batch), of_cpu.gather(batch)
        assert there.shape == (len(rows), expected, 4)
        for number, row in enumerate(rows):
            assert torch.equal(there[number, : counts[row]], here[number, : counts[row]])
    of_head = HiddenStates(tokens, torch.arange(9), torch.ones(9, dtype=torch.int64), 1, Place.GPU)
    assert of_head.gather(batch).shape == (1, 1, 4)  # not one for each token


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_sum_of_bits_changes_with_any_number(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.randn(SUMMED_AT_ONCE + 10).to(dtype)
    first = sum_of_bits(values)
    assert sum_of_bits(values.clone()) == first
    for place in (0, 12345, SUMMED_AT_ONCE - 1, SUMMED_AT_ONCE, len(values) - 1):
        other = values.clone()
        other[place] += 0.1
        assert sum_of_bits(other) != first
    for one, two in ((0, 1), (5, 5 + SUMMED_AT_ONCE)):
        swapped = values.clone()
        swapped[[one, two]] = swapped[[two, one]]
        assert sum_of_bits(swapped) != first
