"""The largest batch whose training step fits into a GPU's memory: computed, and found by trying.

    python benchmarks/largest_batch.py --accelerator gpu
    python benchmarks/largest_batch.py --measure tiny --most 16    # seconds, on a CPU, which sets no limit itself

The batch is doubled until its step no longer fits, and then narrowed down to an eighth. Messages have --tokens tokens,
weights are random and float32, and every block is computed, as with --model.frozen_prefix off.
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from finetune import wait_for
from memory import LORA_RANK, POLICIES, SIZES, need
from own_process import in_own_process

from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.trainable import TARGETS, add_lora, freeze

SETTINGS = {"token_position": "last_real", "attention": "causal", "padded_length": None, "label_names": ["ham", "spam"]}


class Training:
    """A network and its optimizer, which make a step with any number of messages."""

    def __init__(self, shape: GPT2Shape, policy: str, device: torch.device) -> None:
        self.device = device
        with device:
            backbone = GPT2Backbone(shape)
            if policy == "lora":
                add_lora(backbone, LORA_RANK, 1.0, 0.0, TARGETS)
            self.net = GPT2Classifier(backbone, SETTINGS)
        freeze(backbone, self.net.head, policy)
        learning = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(learning, fused=True)

    def fits(self, messages: int, tokens: int) -> bool:
        """Make a step; returns whether there was enough memory."""
        fitted = True
        try:
            self._step(messages, tokens)
        except torch.OutOfMemoryError:
            fitted = False
        self.optimizer.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return fitted

    def _step(self, messages: int, tokens: int) -> None:
        with self.device:
            logits = self.net(
                torch.zeros(messages, tokens, dtype=torch.int64), torch.full((messages,), tokens, dtype=torch.int64)
            )
            F.cross_entropy(logits, torch.zeros(messages, dtype=torch.int64)).backward()
        self.optimizer.step()
        wait_for(self.device)


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest number up to ``most`` that fits, at most an eighth too small; 0 if 1 does not fit."""
    good, bad, tried = 0, most + 1, 1
    while good < most and bad - good > max(1, good // 8):
        if fits(tried):
            good = tried
        else:
            bad = tried
        tried = min(2 * good, most) if bad > most else (good + bad) // 2
    return good


def find(arguments: argparse.Namespace, shape: GPT2Shape, policy: str) -> tuple[int, float]:
    """The most messages of a step that fits; and the device's bytes, infinite on a CPU."""
    device = torch.device("cuda" if arguments.accelerator == "gpu" else "cpu")
    total = float("inf") if device.type == "cpu" else float(torch.cuda.get_device_properties(device).total_memory)
    try:
        training = Training(shape, policy, device)
    except torch.OutOfMemoryError:
        return 0, total
    return largest(lambda messages: training.fits(messages, arguments.tokens), arguments.most), total


def computed(shape: GPT2Shape, policy: str, tokens: int, total: float) -> float:
    """The number of messages whose step needs just all of the memory by benchmarks/memory.py."""
    fixed = sum(need(shape, policy, 0, 4, False))
    return max(0.0, (total - fixed) / (sum(need(shape, policy, tokens, 4, False)) - fixed))


def main() -> None:
    """Try, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="+", choices=SIZES, default=["gpt2"], help="sizes of GPT-2")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES)
    parser.add_argument("--tokens", type=int, default=120, help="tokens of each message")
    parser.add_argument("--most", type=int, default=4096, help="most messages to try")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    arguments = parser.parse_args()
    print("| GPT-2 | learning | messages by the computed memory | messages that fit |\n| --- | --- | --- | --- |")
    for size in arguments.measure:
        for policy in arguments.policies:
            fits, total = in_own_process(find, arguments, SIZES[size], policy)
            expected = computed(SIZES[size], policy, arguments.tokens, total)
            shown = "no limit" if expected == float("inf") else f"{expected:,.0f}"
            more = " or more" if fits == arguments.most else ""
            print(f"| {size} | {policy} | {shown} | {fits:,}{more} |", flush=True)


if __name__ == "__main__":
    main()
