"""Bring together what several processes evaluated."""

from typing import Any, TypeVar

import lightning.pytorch as pl
import torch.distributed

Row = TypeVar("Row")


def gather_rows(trainer: pl.Trainer, rows: list[Row]) -> list[Row]:
    """All processes' rows, on every process; each process calls this."""
    if trainer.world_size == 1:
        return rows
    shares: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(shares, rows)
    return [row for share in shares for row in share]
