"""Kept hidden states and the one-query block give the plain path's numbers."""

import copy
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from spam_classifier import GPT2Backbone, GPT2Shape, SpamClassifier, SpamDataModule
from spam_classifier.data.loader import BatchLoader
from spam_classifier.models.frozen_prefix import HiddenStates
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.training.reuse import ReuseFrozenStates

TINY = {"weights": "random", "layers": 3, "width": 32, "heads": 4, "context": 512}
REUSING = ["last_layer", "last_block", "last_two_blocks"]
POSITIONS = {"last": "longest", "last_real": "batch"}
OTHERS = [
    {"token_position": "first"},
    {"token_position": "mean"},
    {"token_position": "mean", "padding": "none", "batch_size": 1},
    {"token_position": "last", "padding": "none", "batch_size": 1},
    {"token_position": "last_real", "attention": "full"},
    {"token_position": "mean", "attention": "full"},
]


class Losses(pl.Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.losses.append(float(outputs["loss"].detach()))
        pl_module.kept_in_training = pl_module.reuse._stages.get("train") is not None


def fit(
    tmp_path: Path, *, data: dict | None = None, trainer: dict | None = None, **options: object
) -> tuple[SpamClassifier, list[float], dict[str, float]]:
    """Fifty steps on the sample; the model, the losses of the steps, and the last validation's figures."""
    losses = Losses()
    pl.seed_everything(11)
    settings = {
        "max_length": 40,
        "padding": POSITIONS.get(str(options.get("token_position")), "longest"),
        **(data or {}),
    }
    model = SpamClassifier(**{**TINY, "learning_rate": 1e-3, **options})
    run = pl.Trainer(
        **{
            **{"max_steps": 50, "max_epochs": -1, "accelerator": "cpu", "devices": 1, "logger": False},
            **{"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False},
            **{"default_root_dir": tmp_path, "callbacks": [losses], "val_check_interval": 25},
            **(trainer or {}),
        }
    )
    run.fit(model, SpamDataModule("sample", **{"batch_size": 8, **settings}))
    return model, losses.losses, {name: float(value) for name, value in run.callback_metrics.items()}


End = tuple[SpamClassifier, list[float], dict[str, float]]


def fit_with_and_without(tmp_path: Path, policy: str, position: str, batch_size: int, **trainer: object) -> list[End]:
    """The same fifty steps with states that are kept, and with states computed anew."""
    data = {"batch_size": batch_size, "batch_by_length": position == "last_real"}
    data |= {"train_fraction": 0.1 if batch_size == 8 else 0.03, "validation_fraction": 0.02}
    trainer = {"val_check_interval": 8, **trainer}
    ends = []
    for reuse in ("auto", "off"):
        options = {"trainable": policy, "token_position": position, "frozen_prefix": reuse}
        ends.append(fit(tmp_path, data=data, trainer=trainer, **options))
        assert ends[-1][0].kept_in_training == (reuse == "auto")
    return ends


def difference(ends: list[End]) -> dict[str, float]:
    """The largest relative difference of the losses, and the largest difference of the weights that learn."""
    (kept, kept_losses, kept_figures), (plain, plain_losses, plain_figures) = ends
    assert len(kept_losses) == len(plain_losses) == 50
    losses = [*zip(kept_losses, plain_losses, strict=True), (kept_figures["val/loss"], plain_figures["val/loss"])]
    weights = [0.0]
    others = dict(kept.named_parameters())
    for name, parameter in plain.named_parameters():
        other = others[name]
        if name.endswith("c_attn.bias"):  # the softmax ignores the keys' bias: Adam scales up the noise of a zero
            parameter, other = (bias.view(3, -1)[[0, 2]] for bias in (parameter, other))
        weights.append(float((parameter - other).detach().abs().max()))
    return {"losses": max(abs(one - other) / other for one, other in losses), "weights": max(weights)}


def every_other(*choices: Iterable) -> list:
    """All combinations of the choices, of which every other one runs in CI only."""
    combinations = itertools.product(*map(enumerate, choices))
    return [
        pytest.param(*values, marks=[pytest.mark.ci] * (sum(numbers) % 2))
        for numbers, values in (zip(*combination, strict=True) for combination in combinations)
    ]


@pytest.mark.parametrize(("policy", "position", "batch_size"), every_other(REUSING, POSITIONS, [1, 8]))
def test_fifty_steps_with_and_without_reuse_are_the_same(
    tmp_path: Path, policy: str, position: str, batch_size: int
) -> None:
    largest = difference(fit_with_and_without(tmp_path, policy, position, batch_size))
    assert largest["losses"] <= 1e-4
    assert largest["weights"] <= 1e-4


@pytest.mark.parametrize(("policy", "options"), every_other(["last_layer", "last_block"], OTHERS), ids=str)
def test_every_way_to_read_the_row_is_the_same_with_and_without_reuse(
    tmp_path: Path, policy: str, options: dict
) -> None:
    data = {"padding": "longest", "train_fraction": 0.03 if "batch_size" in options else 0.1}
    data |= {"validation_fraction": 0.02}
    data |= {name: options[name] for name in ("padding", "batch_size") if name in options}
    model = {name: value for name, value in options.items() if name not in data} | {"trainable": policy}
    steps = {"val_check_interval": 8}
    ends = [fit(tmp_path, data=data, trainer=steps, frozen_prefix=reuse, **model) for reuse in ("auto", "off")]
    assert [end[0].kept_in_training for end in ends] == [True, False]
    largest = difference(ends)
    assert largest["losses"] <= 1e-4
    assert largest["weights"] <= 1e-4


def test_half_precision_gives_the_same_with_and_without_reuse(tmp_path: Path) -> None:
    largest = difference(fit_with_and_without(tmp_path, "last_block", "last_real", 8, precision="bf16-mixed"))
    assert largest["losses"] <= 1e-2
    assert largest["weights"] <= 1e-2


def test_one_query_equals_the_whole_block() -> None:
    """Output and gradients for single tokens, behind which anything may stand."""
    torch.manual_seed(0)
    backbone = GPT2Backbone(GPT2Shape(layers=2, width=48, heads=3, context=64))
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    block = backbone.last_block
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
        "no block is frozen": {"trainable": "all"},
        "the frozen blocks use dropout": {"dropout": 0.1},
        "switched off": {"frozen_prefix": "off"},
        "exceed --model.prefix_memory and --model.prefix_disk": {"prefix_memory": 1e-6, "prefix_disk": 1e-6},
    }
    for reason, options in reasons.items():
        caplog.clear()
        with caplog.at_level("INFO"):
            model, _, _ = fit(
                tmp_path, data={"train_fraction": 0.02}, trainer={"max_steps": 6, "val_check_interval": 3}, **options
            )
        assert not model.kept_in_training
        assert reason in caplog.text


def test_states_over_the_memory_budget_go_to_disk_and_leave_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, trainer = {"train_fraction": 0.1}, {"val_check_interval": 10}
    _, in_memory, _ = fit(tmp_path, data=data, trainer=trainer)
    with caplog.at_level("INFO"):
        model, on_disk, _ = fit(tmp_path, data=data, trainer=trainer, prefix_memory=0)
    assert "on disk in" in caplog.text
    assert any(states.on_disk for _, states in model.reuse._kept.values())
    assert on_disk == in_memory
    assert not list(tmp_path.rglob("frozen_prefix-*"))


def test_head_only_keeps_one_vector_per_message(tmp_path: Path) -> None:
    model, _, _ = fit(
        tmp_path, data={"train_fraction": 0.1}, trainer={"val_check_interval": 10}, trainable="last_layer"
    )
    assert (140, 32) in [tuple(states.tokens.shape) for _, states in model.reuse._kept.values()]


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
    of = reused_states(net, 1, tmp_path)
    data = SpamDataModule("sample", max_length=30, padding="batch")
    data.setup("test")

    def states(split: str) -> HiddenStates:
        return of(data.each_once(split))

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
    assert of(other.each_once("test")) is not changed


def test_kept_states_are_those_of_the_plain_pass(tmp_path: Path) -> None:
    net = network(3)
    data = SpamDataModule("sample", max_length=50, padding="batch")
    data.setup("test")
    loader = data.each_once("validation")
    states = reused_states(net, 2, tmp_path)(loader)
    for row in (0, 17, 101):
        batch = loader.gather(torch.tensor([row]), None)
        kept = states.gather(batch.index, torch.device("cpu"))
        assert torch.allclose(kept, net.backbone.before_block(batch.input_ids, 2), atol=1e-5)
