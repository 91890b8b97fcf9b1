"""Hidden states that several trainings share: each message is computed once, and all get the same bits."""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spam_classifier import GPT2Backbone, GPT2Shape, SpamClassifier, SpamDataModule
from spam_classifier.models.frozen_prefix import SharedStates, key_of
from spam_classifier.models.packed_blocks import packed_type

WIDTH = 3
TINY = {"layers": 3, "width": 32, "heads": 4, "context": 64, "learning_rate": 1e-3, "token_position": "last_real"}
TINY_BACKBONE = GPT2Backbone(GPT2Shape(1, 32, 4, 8))
DATA = {"padding": "batch", "batch_size": 8, "batch_by_length": True, "train_fraction": 0.03, "max_length": 40}


def states_of(message: tuple[int, ...]) -> Tensor:
    return torch.tensor(message, dtype=torch.float32)[:, None] * torch.ones(WIDTH)


@given(st.lists(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), min_size=1, max_size=8)))
def test_each_message_is_computed_once(splits: list[list[tuple[int, ...]]]) -> None:
    computed: list[tuple[int, ...]] = []
    with tempfile.TemporaryDirectory() as directory:
        for messages in splits:
            shared = SharedStates(Path(directory) / "states", "blocks", WIDTH)

            def compute(states: Tensor, places: Tensor, messages: list = messages) -> Tensor:
                chosen = [messages[place] for place in places.flip(0)]  # in any order
                computed.extend(chosen)
                states.copy_(torch.cat([states_of(message) for message in chosen]))
                ends = list(itertools.accumulate(map(len, chosen), initial=0))
                return torch.tensor(ends[:-1]).flip(0)

            counts = torch.tensor([len(message) for message in messages])
            keys = [key_of(np.array(message)) for message in messages]
            states, starts, _ = shared.take(keys, counts, compute)
            for message, start in zip(messages, starts.tolist(), strict=True):
                assert torch.equal(states[start : start + len(message)], states_of(message))
            assert shared.bytes_with(0) == states.nbytes
    assert len(computed) == len(set(computed)) == len(set(itertools.chain(*splits)))


def test_a_pass_that_is_cut_off_leaves_nothing_behind(tmp_path: Path) -> None:
    shared = SharedStates(tmp_path, "blocks", WIDTH)

    def cut_off(states: Tensor, places: Tensor) -> Tensor:
        states.fill_(torch.nan)
        raise KeyboardInterrupt

    def compute(states: Tensor, places: Tensor) -> Tensor:
        states.fill_(1)
        return torch.zeros(1, dtype=torch.int64)

    one, other = (key_of(np.array([number])) for number in (1, 2))
    shared.take([one], torch.tensor([1]), compute)
    with pytest.raises(KeyboardInterrupt):
        shared.take([other], torch.tensor([5]), cut_off)
    states, starts, computed = shared.take([one, other], torch.tensor([1, 1]), compute)
    assert (states[starts].tolist(), starts.tolist(), computed) == ([[1.0] * WIDTH] * 2, [0, 1], 1)


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., list[float]]:
    def fit(shared: Path | None, split_seed: int = 1, precision: str = "32-true", **options: object) -> list[float]:
        """The validation losses of two epochs, from the same initial weights."""
        pl.seed_everything(11)
        data = {name: options.pop(name, default) for name, default in DATA.items()}
        model = SpamClassifier("random", **{**TINY, **options})
        model.reuse.shared = shared
        losses: list[float] = []
        tell = pl.callbacks.LambdaCallback(
            on_validation_end=lambda trainer, module: losses.append(float(trainer.callback_metrics["val/loss"]))
        )
        trainer = pl.Trainer(
            **{"max_epochs": 2, "accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False},
            **{"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0},
            **{"default_root_dir": tmp_path, "callbacks": [tell], "precision": precision},
        )
        trainer.fit(model, SpamDataModule("sample", validation_fraction=0.02, split_seed=split_seed, **data))
        return losses

    return fit


@pytest.mark.parametrize(
    "options",
    [
        {"trainable": "last_block"},
        {"trainable": "last_layer"},
        {"trainable": "last_block", "token_position": "last", "padding": "longest", "batch_by_length": False},
    ],
    ids=str,
)
@pytest.mark.skipif(packed_type(TINY_BACKBONE) is None, reason="states are not exact here")
@pytest.mark.slow
def test_trainings_with_shared_states_have_the_same_bits(
    fit: Callable[..., list[float]], tmp_path: Path, caplog: pytest.LogCaptureFixture, options: dict
) -> None:
    shared = tmp_path / "shared"
    alone = [fit(None, seed, **options) for seed in (1, 2)]
    caplog.set_level("INFO")
    assert [fit(shared, seed, **options) for seed in (1, 2)] == alone
    assert fit(shared, 1, batch_size=4, **options) != alone[0]
    said = [record.getMessage() for record in caplog.records if "taken from" in record.getMessage()]
    assert [", 0 taken from" in line for line in said[:2]] == [True, True]
    assert all(": 0 messages computed" in line for line in said[4:])
    assert len(list(shared.glob("*.states"))) == 1


def test_states_that_would_not_be_exact_are_not_shared(
    fit: Callable[..., list[float]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fit(tmp_path / "shared", precision="bf16-mixed")
    assert not (tmp_path / "shared").exists()
    assert any("hidden states are not shared: they are exact for one process" in said for said in caplog.messages)
    fit(tmp_path / "shared", prefix_disk=1e-9)
    assert not (tmp_path / "shared").exists()
    assert "could exceed --model.prefix_disk" in caplog.text
