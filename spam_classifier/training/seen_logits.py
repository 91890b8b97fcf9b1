"""The logits of an evaluation, from all its batches and processes."""

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override


class SeenLogits(Metric):
    """Gathers logits over the batches of an evaluation and over its processes, each message once."""

    full_state_update = False
    logits: list[Tensor]
    labels: list[Tensor]
    rows: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("logits", "labels", "rows"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    @override
    def update(self, logits: Tensor, labels: Tensor, rows: Tensor) -> None:
        """Add a batch: float [B, classes], int64 [B], int64 [B]."""
        self.logits.append(logits.detach().float())
        self.labels.append(labels)
        self.rows.append(rows)

    @override
    def compute(self) -> dict[str, Tensor]:
        states = {"logits": self.logits, "labels": self.labels, "rows": self.rows}
        # gathered over processes they are tensors already
        return {name: value if isinstance(value, Tensor) else torch.cat(value) for name, value in states.items()}

    def take_in_order(self) -> tuple[Tensor, Tensor, Tensor]:
        """All logits, labels and rows of all processes, in the order of the rows; then reset."""
        seen = self.compute()
        rows = seen["rows"].reshape(-1)  # compute makes a scalar of a tensor with one element
        order = rows.argsort()
        self.reset()
        return seen["logits"].reshape(len(rows), -1)[order], seen["labels"].reshape(-1)[order], rows[order]
