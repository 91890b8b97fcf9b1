"""Do the losses of each training step agree between our ways of computing, and with the plain network in float64?

    python benchmarks/agreement.py --corpus uci
    python benchmarks/agreement.py --corpus uci --accelerator gpu --precision 32-true bf16-mixed
    python benchmarks/agreement.py --layers 2 --width 64 --heads 2 --steps 20    # half a minute, embedded sample

All start from the same random weights (GPT-2 124M's shape, or --layers, --width, --heads) and read the same batches:
with the hidden states of the frozen blocks reused, with --model.frozen_prefix off, and the book's network in a plain
loop, where every token goes through every block. The plain loop in float64 is the reference. Printed is the largest
relative difference of a step's loss.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F  # noqa: N812
import yaml
from brief_training import QUIET
from finetune import CONFIGS, write_weights
from own_process import in_own_process
from plain_gpt2 import PlainClassifier

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.batch import Batch


class Steps(pl.Callback):
    """The head at the start, and each step's batch and loss."""

    def __init__(self) -> None:
        self.head: dict[str, torch.Tensor] = {}
        self.batches: list[Batch] = []
        self.losses: list[float] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: SpamClassifier) -> None:
        """Keep the head."""
        self.head = {name: value.cpu().clone() for name, value in pl_module.network.head.state_dict().items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: SpamClassifier, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Keep the step."""
        self.batches.append(batch.to(torch.device("cpu")))
        self.losses.append(float(outputs["loss"].detach()))


def ours(arguments: argparse.Namespace, config: str, weights: Path, reuse: str, precision: str) -> Steps:
    """The steps of our training with a config's settings."""
    pl.seed_everything(123)
    settings = yaml.safe_load((CONFIGS / config).read_text())
    data = SpamDataModule(**{**settings["data"], "corpus": arguments.corpus, "deduplicate": "none"})
    model = SpamClassifier(**{**settings["model"], "weights": str(weights), "frozen_prefix": reuse, "prefix_disk": 0})
    steps = Steps()
    where = {"accelerator": arguments.accelerator, "devices": 1, "precision": precision}
    limits = {"max_steps": arguments.steps, "max_epochs": -1, "limit_val_batches": 0}
    pl.Trainer(callbacks=[steps], **limits, **where, **QUIET).fit(model, data)
    return steps


def plain(arguments: argparse.Namespace, weights: Path, given: Steps, last_real: bool, precision: str) -> list[float]:
    """The losses of the book's network on the same batches."""
    device = torch.device("cuda" if arguments.accelerator == "gpu" else "cpu")
    dtype = torch.float64 if precision == "64-true" else torch.float32
    model = PlainClassifier(weights)
    model.head.load_state_dict(given.head)
    model.to(device, dtype)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=5e-5, weight_decay=0.1)
    losses = []
    for batch in given.batches:
        input_ids, lengths, labels, _ = batch.to(device)
        position = lengths - 1 if last_real else torch.full_like(lengths, input_ids.shape[1] - 1)
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            logits = model(input_ids)[torch.arange(len(labels), device=device), position]
        loss = F.cross_entropy(logits if dtype == torch.float64 else logits.float(), labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def compare(arguments: argparse.Namespace, weights: Path) -> list[str]:
    """Rows of the table."""
    rows = []
    for config in ("recommended.yaml", "book.yaml"):
        last_real = config == "recommended.yaml"
        given = ours(arguments, config, weights, "off", "32-true")
        reference = torch.tensor(plain(arguments, weights, given, last_real, "64-true"), dtype=torch.float64)
        for precision in arguments.precision:
            ways = {
                "ours, states reused": ours(arguments, config, weights, "auto", precision).losses,
                "ours, frozen_prefix off": ours(arguments, config, weights, "off", precision).losses,
                "plain loop": plain(arguments, weights, given, last_real, precision),
            }
            for name, losses in ways.items():
                difference = ((torch.tensor(losses, dtype=torch.float64) - reference) / reference).abs().max()
                rows.append(f"| {config} | {precision} | {name} | {len(losses)} | {float(difference):.1e} |")
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="sample", help="uci, sample, or the path of a corpus")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--precision", nargs="+", default=["32-true"], choices=["32-true", "bf16-mixed"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as weights:
        in_own_process(write_weights, arguments, weights)
        rows = in_own_process(compare, arguments, Path(weights))
    print("| settings | precision | way | steps | largest difference |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
