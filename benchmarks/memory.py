"""Memory of a training step for each GPT-2 and policy: computed, and measured where it fits.

    python benchmarks/memory.py
    python benchmarks/memory.py --tokens 1024
    python benchmarks/memory.py --measure gpt2 gpt2-medium gpt2-large
    python benchmarks/memory.py --measure gpt2 gpt2-medium gpt2-large --accelerator gpu

Computed: the weights, the gradients and AdamW's two averages of the trained parameters, and what autograd keeps for the
backward pass. Measured, in float32 in two steps with random weights: on a CPU the peak of a new process over its
imports, on a GPU the peak of its tensors. CUDA's context comes on top of that.
"""

import argparse
import json
import os
import subprocess
import sys
from typing import NamedTuple

import lightning.pytorch as pl
import torch
from brief_training import QUIET
from torch import nn

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES, GPT2Backbone, GPT2Shape
from spam_classifier.models.lora import TARGETS, add_lora
from spam_classifier.models.trainable import freeze, frozen_blocks
from spam_classifier.runs.provenance import peak_memory, peak_of_process

POLICIES = ("last_block", "last_two_blocks", "lora", "all")
LORA_RANK = 16
# values that autograd keeps per token and block, in widths: 1 before and after each layer norm; query, key and value;
# 1 after the attention and before its projection; 4 before and after the GELU
PER_BLOCK = 17
IN_LAST_BLOCK = 3  # with a single query
MODES = {
    "float32": (4, False),
    "float32, gradient checkpointing": (4, True),
    "bf16-true, gradient checkpointing": (2, True),
}


class Need(NamedTuple):
    """Bytes of a training step."""

    weights: int
    gradients: int
    optimizer: int
    activations: int


def need(shape: GPT2Shape, policy: str, tokens: int, width_of_float: int, gradient_checkpointing: bool) -> Need:
    """The peak memory of a training step.

    Args:
        shape: The backbone's sizes.
        policy: Which parameters are trained.
        tokens: Tokens of a batch, padding included.
        width_of_float: Bytes of a number.
        gradient_checkpointing: Whether blocks are recomputed in the backward pass.
    """
    with torch.device("meta"):
        backbone, head = GPT2Backbone(shape), nn.Linear(shape.width, 2)
        if policy == "lora":
            add_lora(backbone, LORA_RANK, 1.0, 0.0, TARGETS)
    freeze(backbone, head, policy)
    parameters = [*backbone.parameters(), *head.parameters()]
    learning = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    blocks = shape.layers - frozen_blocks(backbone, policy) - 1  # without the last
    kept = PER_BLOCK * blocks + IN_LAST_BLOCK
    if gradient_checkpointing and blocks:
        kept = blocks + PER_BLOCK + IN_LAST_BLOCK
    return Need(
        weights=width_of_float * sum(parameter.numel() for parameter in parameters),
        gradients=width_of_float * learning,
        optimizer=2 * width_of_float * learning,
        activations=width_of_float * tokens * shape.width * kept,
    )


def computed_table(tokens: int) -> str:
    """Gigabytes of each size, policy and mode, as Markdown."""
    lines = [f"| GPT-2 | learning | {' | '.join(MODES)} |", "| --- | --- |" + " --- |" * len(MODES)]
    for name, shape in PUBLISHED_SHAPES.items():
        for policy in POLICIES:
            cells = [f"{sum(need(shape, policy, tokens, *mode)) / 1e9:.1f}" for mode in MODES.values()]
            lines.append(f"| {name} | {policy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def measure(arguments: argparse.Namespace) -> float:
    """Peak bytes of two steps: of a GPU's tensors, or of this process over its imports."""
    base = peak_of_process() if arguments.accelerator == "cpu" else 0
    data = SpamDataModule(
        "sample", train_fraction=0.03, batch_size=arguments.batch_size, max_length=arguments.tokens, padding="longest"
    )
    model = SpamClassifier(
        "random",
        *(arguments.layers, arguments.width, arguments.heads),
        trainable=arguments.policy,
        lora_rank=LORA_RANK,
        gradient_checkpointing=arguments.checkpointing,
        frozen_prefix="off",
    )
    trainer = pl.Trainer(max_steps=2, limit_val_batches=0, accelerator=arguments.accelerator, devices=1, **QUIET)
    trainer.fit(model, data)
    return float(peak_memory(trainer.strategy.root_device) - base)


def measured_table(arguments: argparse.Namespace) -> None:
    """Print measured and computed figures, a row for each size, policy and kind of backward pass."""
    # otherwise glibc keeps freed memory between tensors that are still needed, and it counts as used
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    print("| GPT-2 | learning | gradient checkpointing | computed, GB | measured, GB | measured / computed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in arguments.measure:
        shape = PUBLISHED_SHAPES[name]
        for policy in arguments.policies:
            for checkpointing in (False, True) if policy in ("lora", "all") else (False,):
                flags = ["--layers", shape.layers, "--width", shape.width, "--heads", shape.heads, "--policy", policy]
                flags += ["--batch-size", arguments.batch_size, "--tokens", arguments.tokens]
                flags += ["--accelerator", arguments.accelerator, *(["--checkpointing"] if checkpointing else [])]
                command = [sys.executable, __file__, *map(str, flags)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
                peak = json.loads(done.stdout.splitlines()[-1])
                computed = sum(need(shape, policy, arguments.batch_size * arguments.tokens, 4, checkpointing))
                shown = f"{computed / 1e9:.2f} | {peak / 1e9:.2f} | {peak / computed:.2f}"
                print(f"| {name} | {policy} | {'yes' if checkpointing else 'no'} | {shown} |", flush=True)


def main() -> None:
    """Compute or measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=120, help="tokens of each message")
    parser.add_argument("--measure", nargs="+", choices=PUBLISHED_SHAPES, help="measure these sizes")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES, help="measure these policies")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"], help="where to measure")
    for hidden in ("--layers", "--width", "--heads"):
        parser.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--policy", help=argparse.SUPPRESS)
    parser.add_argument("--checkpointing", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.policy:
        print(json.dumps(measure(arguments)))
    elif arguments.measure:
        measured_table(arguments)
    else:
        print(computed_table(arguments.batch_size * arguments.tokens))


if __name__ == "__main__":
    main()
