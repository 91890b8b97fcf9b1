"""The learning rate over a training run."""

import math


def learning_rate_factor(step: int, warmup_steps: int, cosine_steps: int | None) -> float:
    """Share of the peak learning rate at a step: a linear warm-up, then constant or a half cosine to zero.

    Args:
        step: Optimizer steps taken.
        warmup_steps: Steps of the warm-up.
        cosine_steps: Steps from the end of the warm-up to zero (Loshchilov and Hutter 2017, SGDR, without
            restarts); None keeps the peak.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if cosine_steps is None:
        return 1.0
    progress = min(1.0, (step - warmup_steps) / max(1, cosine_steps))
    return 0.5 * (1 + math.cos(math.pi * progress))
