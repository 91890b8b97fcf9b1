"""What a process that sees the GPU measures for tests/test_gpu.py: ``python -m gpu_numbers WHAT gpu``, printed as JSON.

The other tests' process hides the GPU from itself.
"""

import contextlib
import copy
import json
import sys
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F  # noqa: N812

from spam_classifier import GPT2Backbone, GPT2Shape, SpamDataModule, load_classifier
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.training.reuse import ReuseFrozenStates

SETTINGS = {"token_position": "last_real", "attention": "causal", "padded_length": None, "label_names": ["ham", "spam"]}
TEXTS = ["You have won a prize, call now", "See you at seven?", "ok", "Free entry: text WIN to 80086 " * 6] * 20


@contextlib.contextmanager
def refusing_to_wait(device: torch.device) -> Iterator[None]:
    """Raise an error where the host would wait for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def step(device: torch.device) -> dict[str, Any]:
    """Where kept states are; and how far a step's loss and gradients from them are from the plain CPU's."""
    torch.manual_seed(0)
    plain = GPT2Classifier(GPT2Backbone(GPT2Shape(layers=3, width=64, heads=4, context=64)), SETTINGS)
    plain.backbone.requires_grad_(False)
    plain.backbone.h[-1].requires_grad_(True)
    net = copy.deepcopy(plain).to(device)
    data = SpamDataModule("sample", padding="batch", max_length=40)
    data.setup("test")
    loader = data.each_once("validation")
    reuse = ReuseFrozenStates(True, memory_budget=1, disk_budget=0)
    reuse.build(net, 2)
    states = reuse._states_of(loader, reuse.prefix, pl.Trainer(logger=False, accelerator="cpu", devices=1))
    batch = loader.gather(torch.arange(3, 11), None)
    there = batch.to(device)
    learning = [weight for weight in net.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.0, fused=True)  # steps that change nothing
    for context in (contextlib.nullcontext(), refusing_to_wait(device)):  # the first sets up libraries, and may wait
        optimizer.zero_grad()
        with context:
            loss = F.cross_entropy(reuse.prefix.logits(states.gather(there), there), there.labels)
            loss.backward()
            optimizer.step()
    expected = F.cross_entropy(plain(batch.input_ids, batch.lengths), batch.labels)
    expected.backward()
    gradients = [weight.grad for weight in plain.parameters() if weight.requires_grad]
    pairs = zip(gradients, learning, strict=True)
    return {
        "place": states.place,
        "loss": abs(float(loss.detach()) / float(expected.detach()) - 1),
        "gradients": max(float((one - other.grad.cpu()).abs().max()) for one, other in pairs)
        / max(float(gradient.abs().max()) for gradient in gradients),
    }


def probabilities(device: torch.device) -> dict[str, float]:
    """How far the probabilities of the newest run here are from those of the CPU in float32."""

    def of(where: torch.device, precision: str = "32-true") -> torch.Tensor:
        classifier = load_classifier(None, str(where), precision)
        return torch.tensor([prediction.probability for prediction in classifier.predict(TEXTS)])

    expected = of(torch.device("cpu"))
    off = {"float32": float((of(device) - expected).abs().max())}
    if device.type == "cuda":  # not every CPU has the others
        off["bf16-mixed"] = float((of(device, "bf16-mixed") - expected).abs().max())
        torch.set_float32_matmul_precision("high")
        off["TF32"] = float((of(device) - expected).abs().max())
    return off


if __name__ == "__main__":
    measure = {"step": step, "probabilities": probabilities}[sys.argv[1]]
    print(json.dumps(measure(torch.device("cuda" if sys.argv[2] == "gpu" else "cpu"))))
