"""What the head reads, against a plain statement of it."""

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
from spam_classifier.models.gpt2_classifier import GPT2Classifier

TINY = {"weights": "random", "layers": 2, "width": 32, "heads": 2, "context": 128, "learning_rate": 1e-3}
LENGTHS = torch.tensor([3, 9, 1, 6])


@pytest.fixture(params=[True, False], ids=["causal", "full"])
def backbone(request: pytest.FixtureRequest) -> GPT2Backbone:
    torch.manual_seed(0)
    backbone = GPT2Backbone(GPT2Shape(layers=3, width=32, heads=2, context=32), causal=request.param).eval()
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return backbone


@pytest.mark.parametrize("first_block", [0, 1, 2, 3])
@pytest.mark.parametrize("position", ["last", "first", "last_real", "mean"])
def test_the_head_reads_what_the_whole_backbone_gives(backbone: GPT2Backbone, position: str, first_block: int) -> None:
    input_ids = torch.randint(50000, (4, 9), generator=torch.Generator().manual_seed(1))
    settings = {"token_position": position, "attention": "causal", "padded_length": None, "label_names": list("abc")}
    net = GPT2Classifier(backbone, settings)
    with torch.no_grad():
        found = net.logits_from(backbone.before_block(input_ids, first_block), LENGTHS, first_block)
        logits = net.head(backbone(input_ids))  # of all positions
    for row, length in enumerate(LENGTHS.tolist()):
        last = logits[row, length - 1]
        expected = {"first": logits[row, 0], "mean": logits[row, :length].mean(0)}.get(position, last)
        torch.testing.assert_close(found[row], expected, atol=2e-5, rtol=1e-4)


def test_full_attention_sees_later_tokens() -> None:
    torch.manual_seed(0)
    shape = GPT2Shape(layers=2, width=32, heads=2, context=32)
    causal, full = GPT2Backbone(shape).eval(), GPT2Backbone(shape, causal=False).eval()
    full.load_state_dict(causal.state_dict())
    before = torch.randint(50000, (1, 8))
    after = before.clone()
    after[0, -1] += 1
    with torch.no_grad():
        assert torch.equal(causal(before)[0, 0], causal(after)[0, 0])
        assert not torch.allclose(full(before)[0, 0], full(after)[0, 0])
        assert torch.allclose(full(before[:, :1]), causal(before[:, :1]))  # one token sees itself either way


def losses_of(tmp_path: Path, *, position: str, trainer: dict | None = None, **data: object) -> list[float]:
    """Losses of the optimizer steps, gradients accumulated as the trainer says."""
    pl.seed_everything(3)
    losses: list[float] = []

    class Losses(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
            losses.append(float(outputs["loss"].detach()) * trainer.accumulate_grad_batches)

    settings: dict[str, object] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    settings |= {"enable_model_summary": False, "default_root_dir": tmp_path, "accelerator": "cpu"}
    settings |= {"callbacks": [Losses()], "max_steps": 20, "limit_val_batches": 0}
    model = SpamClassifier(**TINY, token_position=position)
    pl.Trainer(**{**settings, **(trainer or {})}).fit(model, SpamDataModule("sample", max_length=40, **data))
    return losses


@pytest.mark.slow
def test_no_padding_accumulated_over_eight_equals_batches_of_eight(tmp_path: Path) -> None:
    single = losses_of(tmp_path, position="last", padding="none", batch_size=1, trainer={"accumulate_grad_batches": 8})
    together = losses_of(tmp_path, position="last_real", padding="longest", batch_size=8)
    assert len(single) == 8 * len(together) == 160
    means = torch.tensor(single).view(20, 8).mean(1)
    torch.testing.assert_close(means, torch.tensor(together), atol=1e-4, rtol=1e-4)


def test_no_padding_equals_the_last_real_token_one_at_a_time(tmp_path: Path) -> None:
    unpadded = losses_of(tmp_path, position="last", padding="none", batch_size=1)
    padded = losses_of(tmp_path, position="last_real", padding="longest", batch_size=1)
    torch.testing.assert_close(torch.tensor(unpadded), torch.tensor(padded), atol=1e-4, rtol=1e-4)
