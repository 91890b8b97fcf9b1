"""Memory of a training step for each GPT-2 and policy: computed, and measured where it fits.

    python benchmarks/memory.py
    python benchmarks/memory.py --tokens 1024
    python benchmarks/memory.py --measure gpt2 gpt2-medium gpt2-large
    python benchmarks/memory.py --measure gpt2 gpt2-medium gpt2-large gpt2-xl --accelerator gpu
    python benchmarks/memory.py --measure tiny    # a minute

Computed: the weights, the gradients and AdamW's two averages of the trained parameters, and what autograd keeps for the
backward pass. Measured, in two steps with random weights in a new process: on a CPU the peak of the process over its
imports, on a GPU the peak of its tensors. CUDA's context comes on top of that. bf16-true is measured on a GPU only.
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
from own_process import in_own_process
from torch import nn

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES, GPT2Backbone, GPT2Shape
from spam_classifier.models.trainable import TARGETS, add_lora, freeze, frozen_blocks
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
SIZES = {"tiny": GPT2Shape(layers=2, width=64, heads=1), **PUBLISHED_SHAPES}


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


def modes_to_measure(policy: str, accelerator: str) -> list[str]:
    """The modes that differ for a policy; on a CPU in float32 only."""
    several = list(MODES) if policy in ("lora", "all") else ["float32"]  # else there is nothing to compute again
    return [mode for mode in several if accelerator == "gpu" or MODES[mode][0] == 4]


def measure(arguments: argparse.Namespace, shape: GPT2Shape, policy: str, mode: str) -> float:
    """Peak bytes of two steps: of a GPU's tensors, or of this process over its imports."""
    base = peak_of_process() if arguments.accelerator == "cpu" else 0
    width_of_float, checkpointing = MODES[mode]
    data = SpamDataModule(
        "sample", train_fraction=0.03, batch_size=arguments.batch_size, max_length=arguments.tokens, padding="longest"
    )
    model = SpamClassifier(
        "random",
        *(shape.layers, shape.width, shape.heads),
        trainable=policy,
        lora_rank=LORA_RANK,
        gradient_checkpointing=checkpointing,
        frozen_prefix="off",
    )
    where = {"accelerator": arguments.accelerator, "devices": 1}
    precision = "32-true" if width_of_float == 4 else "bf16-true"
    trainer = pl.Trainer(max_steps=2, limit_val_batches=0, precision=precision, **where, **QUIET)
    trainer.fit(model, data)
    return float(peak_memory(trainer.strategy.root_device) - base)


def measure_in_new_process(arguments: argparse.Namespace, size: str, policy: str, mode: str) -> float:
    """The same, in a process of its own."""
    if arguments.accelerator == "gpu":
        return in_own_process(measure, arguments, SIZES[size], policy, mode)
    # otherwise glibc keeps freed memory between tensors that are still needed, and it counts as used
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    flags = ["--measure", size, "--policies", policy, "--mode", mode]
    flags += ["--batch-size", str(arguments.batch_size), "--tokens", str(arguments.tokens)]
    command = [sys.executable, __file__, *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def measured_table(arguments: argparse.Namespace) -> None:
    """Print measured and computed figures, a row for each size, policy and mode."""
    print(
        "| GPT-2 | learning | precision | gradient checkpointing | computed, GB | measured, GB | measured / computed |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for size in arguments.measure:
        for policy in arguments.policies:
            for mode in modes_to_measure(policy, arguments.accelerator):
                computed = sum(need(SIZES[size], policy, arguments.batch_size * arguments.tokens, *MODES[mode]))
                try:
                    peak = measure_in_new_process(arguments, size, policy, mode)
                    shown = f"{peak / 1e9:.2f} | {peak / computed:.2f}"
                except torch.OutOfMemoryError:
                    shown = "does not fit | "
                row = f"{policy} | {mode.split(',')[0]} | {'yes' if MODES[mode][1] else 'no'} | {computed / 1e9:.2f}"
                print(f"| {size} | {row} | {shown} |", flush=True)


def main() -> None:
    """Compute or measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=120, help="tokens of each message")
    parser.add_argument("--measure", nargs="+", choices=SIZES, help="measure these sizes")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES, help="measure these policies")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"], help="where to measure")
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)  # in a process that measures one figure
    arguments = parser.parse_args()
    if arguments.mode:
        print(json.dumps(measure(arguments, SIZES[arguments.measure[0]], arguments.policies[0], arguments.mode)))
    elif arguments.measure:
        measured_table(arguments)
    else:
        print(computed_table(arguments.batch_size * arguments.tokens))


if __name__ == "__main__":
    main()
