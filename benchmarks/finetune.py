"""Time the whole fine-tuning job, from the encoded corpus to the accuracies of all three splits, four ways.

    python benchmarks/finetune.py --corpus uci --json finetune.json
    python benchmarks/finetune.py --corpus uci --scale 0.05    # two minutes
    python benchmarks/finetune.py --corpus uci --accelerator gpu --precision bf16-mixed

All start from the same random weights of GPT-2 124M's shape (or --layers, --width, --heads), use the same splits, train
the head, the final layer norm and the last block, for 5 epochs of batches of 8 with AdamW:

    ours, book         configs/book.yaml
    ours, recommended  configs/recommended.yaml
    book, plain        loop and model of the book's chapter 6: attention, layer norm and GELU spelt out, every message
                       padded to the longest, evaluated on 5 + 5 batches every 50 steps and after each epoch
    transformers       GPT2ForSequenceClassification in an equally plain loop, padded to the batch, evaluated on the
                       validation split after each epoch

Each runs in its own process, one after the other. The rate of a large matrix product is measured before and after each;
on a GPU that also starts CUDA, which takes seconds and is not counted. The bound counts 24 * width^2 FLOP per token and
frozen block (its six matrix products), for each message once, at that rate.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F  # noqa: N812
import transformers
import yaml
from brief_training import QUIET
from own_process import in_own_process
from plain_gpt2 import PlainClassifier
from torch import Tensor, nn
from torch.utils.data import DataLoader

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.models.frozen_prefix import FrozenPrefix
from spam_classifier.runs.provenance import peak_memory
from spam_classifier.training.reuse import ReuseFrozenStates

CONFIGS = Path(__file__).parents[1] / "configs"
CPU = torch.device("cpu")
PADDING_ID = 50256
EPOCHS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 5, 8, 5e-5, 0.1
EVALUATE_EVERY, EVALUATION_BATCHES = 50, 5
VARIANTS = ("ours, recommended", "ours, book", "transformers", "book, plain")


def gemm_rate(size: int, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> float:
    """Matrix products of size x size: the best of five, in FLOP per second."""
    left = torch.randn(size, size, device=device, dtype=dtype)
    product = torch.empty_like(left)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(left, left, out=product)
        wait_for(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def wait_for(device: torch.device) -> None:
    """Wait until the device has computed all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


@dataclass
class Machine:
    """Where and in which precision all variants compute."""

    accelerator: str
    precision: str
    gemm: int
    peak_before: int = 0

    @property
    def device(self) -> torch.device:
        """The device."""
        return torch.device("cuda" if self.accelerator == "gpu" else "cpu")

    def gemm_rate(self) -> float:
        """The rate of its matrix product, in FLOP per second; its memory does not count."""
        self.peak_before = self.peak_memory()
        rate = gemm_rate(self.gemm, self.device, torch.float32 if self.precision == "32-true" else torch.bfloat16)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        return rate

    def autocast(self) -> torch.autocast:
        """What mixed precision is in a plain loop."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision != "32-true")

    def peak_memory(self) -> int:
        """Most bytes so far."""
        return max(self.peak_before, peak_memory(self.device) or 0)


def padded_items(data: SpamDataModule, split: str) -> list[tuple[Tensor, Tensor]]:
    """The split as a list of (input_ids [T], label), every message padded to the maximum length."""
    messages = data.encoded[split]
    batch = messages.batch(torch.arange(len(messages)), data.max_length, data.max_length)
    return list(zip(batch.input_ids, batch.labels, strict=True))


def run_plain_book(data: SpamDataModule, weights: Path, machine: Machine) -> dict[str, float]:
    """The chapter's training loop with its evaluations; returns the accuracies of the three splits."""
    splits = {split: padded_items(data, split) for split in data.encoded}
    train = DataLoader(splits["train"], BATCH_SIZE, shuffle=True, drop_last=True)
    evaluated = {split: DataLoader(items, BATCH_SIZE) for split, items in splits.items()}
    model = PlainClassifier(weights).to(machine.device)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def last_logits(input_ids: Tensor) -> Tensor:
        with machine.autocast():
            return model(input_ids.to(machine.device))[:, -1].float()

    @torch.no_grad()
    def look(split: str, batches: int | None, measure: Callable[[Tensor, Tensor], Tensor]) -> float:
        figures = []
        for number, (input_ids, labels) in enumerate(evaluated[split]):
            if number == batches:
                break
            figures.append(measure(last_logits(input_ids), labels.to(machine.device)).float().flatten())
        return float(torch.cat(figures).mean())

    def right(logits: Tensor, labels: Tensor) -> Tensor:
        return logits.argmax(-1) == labels

    step = 0
    for _ in range(EPOCHS):
        model.train()
        for input_ids, labels in train:
            optimizer.zero_grad()
            F.cross_entropy(last_logits(input_ids), labels.to(machine.device)).backward()
            optimizer.step()
            if step % EVALUATE_EVERY == 0:
                for split in ("train", "validation"):
                    look(split, EVALUATION_BATCHES, F.cross_entropy)
            step += 1
        for split in ("train", "validation"):
            look(split, EVALUATION_BATCHES, right)
    return {split: look(split, None, right) for split in evaluated}


def run_transformers(data: SpamDataModule, weights: Path, machine: Machine) -> dict[str, float]:
    """Transformers' classifier in a plain loop, padded to the batch; returns the accuracies of the three splits."""
    model = transformers.GPT2ForSequenceClassification.from_pretrained(
        weights, num_labels=2, pad_token_id=PADDING_ID, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0
    )
    model.to(machine.device).requires_grad_(False)
    for module in (model.transformer.h[-1], model.transformer.ln_f, model.score):
        module.requires_grad_(True)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def items(split: str) -> list[tuple[Tensor, Tensor]]:
        ids, lengths = padded_items(data, split), data.encoded[split].lengths
        return [(row[:length], label) for (row, label), length in zip(ids, lengths.tolist(), strict=True)]

    def collate(batch: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        rows, labels = zip(*batch, strict=True)
        input_ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PADDING_ID)
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(input_ids.shape[1]) < lengths[:, None]).long()
        batch = {"input_ids": input_ids, "attention_mask": mask, "labels": torch.stack(labels)}
        return {name: values.to(machine.device) for name, values in batch.items()}

    splits = {split: items(split) for split in data.encoded}
    train = DataLoader(splits["train"], BATCH_SIZE, shuffle=True, drop_last=True, collate_fn=collate)

    @torch.no_grad()
    def accuracy(split: str) -> float:
        model.eval()
        batches = DataLoader(splits[split], BATCH_SIZE, collate_fn=collate)
        with machine.autocast():
            right = [model(**batch).logits.argmax(-1) == batch["labels"] for batch in batches]
        return float(torch.cat(right).float().mean())

    for _ in range(EPOCHS):
        model.train()
        for batch in train:
            optimizer.zero_grad()
            with machine.autocast():
                loss = model(**batch).loss
            loss.backward()
            optimizer.step()
        accuracy("validation")
    return {split: accuracy(split) for split in splits}


def run_ours(config: str) -> Callable[[SpamDataModule, Path, Machine], dict[str, float]]:
    """Our training with a config's settings, then all three splits."""

    def run(data: SpamDataModule, weights: Path, machine: Machine) -> dict[str, float]:
        settings = yaml.safe_load((CONFIGS / config).read_text())
        model = SpamClassifier(**{**settings["model"], "weights": str(weights)})
        where = {"accelerator": machine.accelerator, "devices": 1, "precision": machine.precision}
        trainer = pl.Trainer(max_epochs=EPOCHS, **where, **QUIET)
        trainer.fit(model, data)
        return {
            split: trainer.validate(model, dataloaders=data.each_once(split), verbose=False)[0]["val/acc"]
            for split in data.encoded
        }

    return run


def time_frozen_passes(passes: list[dict[str, float]], machine: Machine) -> None:
    """Record the seconds and tokens of each frozen pass, and the matrix product rate around it."""
    original = ReuseFrozenStates._compute

    def timed(self: ReuseFrozenStates, loader: Any, prefix: FrozenPrefix, trainer: pl.Trainer) -> Any:
        before = machine.gemm_rate()
        start = time.perf_counter()
        states = original(self, loader, prefix, trainer)
        wait_for(machine.device)
        seconds = time.perf_counter() - start
        tokens = int(states.counts.sum())
        flop = tokens * prefix.blocks * 24 * prefix.net.backbone.shape.width**2
        rate = (before + machine.gemm_rate()) / 2
        passes.append(
            {"seconds": seconds, "tokens": tokens, "rate": flop / seconds, "share_of_gemm": flop / seconds / rate}
        )
        passes[-1]["measuring"] = time.perf_counter() - start - seconds
        return states

    ReuseFrozenStates._compute = timed  # type: ignore[method-assign]


def run_variant(name: str, arguments: argparse.Namespace, weights: Path) -> dict[str, Any]:
    """Run one variant in this process, from the encoded corpus to its accuracies."""
    pl.seed_everything(123)
    config = "recommended.yaml" if name == "ours, recommended" else "book.yaml"
    settings = yaml.safe_load((CONFIGS / config).read_text())["data"]
    same_splits = {"deduplicate": "none", "balance": "undersample", "stratify": False}
    data = SpamDataModule(**{**settings, **same_splits, "corpus": arguments.corpus})
    data.prepare_data()
    data.setup("fit")
    data.encoded.pop("left_over", None)  # the peers don't evaluate the messages that balancing left out
    for split, messages in data.encoded.items():
        rows = torch.arange(max(BATCH_SIZE, int(len(messages) * arguments.scale)))
        ends = int(messages.offsets[len(rows)])
        data.encoded[split] = type(messages)(
            messages.tokens[:ends], messages.offsets[: len(rows) + 1], messages.labels[: len(rows)]
        )
    run = {
        "ours, book": run_ours("book.yaml"),
        "ours, recommended": run_ours("recommended.yaml"),
        "book, plain": run_plain_book,
        "transformers": run_transformers,
    }[name]
    passes: list[dict[str, float]] = []
    machine = Machine(arguments.accelerator, arguments.precision, arguments.gemm)
    time_frozen_passes(passes, machine)
    before = machine.gemm_rate()
    start = time.perf_counter()
    accuracies = run(data, weights, machine)
    wait_for(machine.device)
    seconds = time.perf_counter() - start - sum(2 * entry.pop("measuring") for entry in passes)
    peak = machine.peak_memory()
    padded = {split: len(messages) * data.max_length for split, messages in data.encoded.items()}
    real = {split: int(messages.lengths.clamp(max=data.max_length).sum()) for split, messages in data.encoded.items()}
    return {
        "seconds": seconds,
        "accuracies": accuracies,
        "peak_memory_MB": peak / 1e6,
        "gemm_GFLOPs": [before / 1e9, machine.gemm_rate() / 1e9],
        "frozen_passes": passes,
        "tokens": sum(real.values()) if name == "ours, recommended" else sum(padded.values()),
    }


def table(results: dict[str, dict[str, Any]], layers: int, width: int) -> str:
    """The results as Markdown."""
    lines = [
        "| variant | seconds | against book, plain | at the bound | against transformers | at the bound "
        "| peak memory, MB | GEMM, GFLOP/s | test accuracy |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, result in results.items():
        rate = sum(result["gemm_GFLOPs"]) / 2 * 1e9
        bound = result["tokens"] * (layers - 1) * 24 * width**2 / rate
        factors = []
        for peer in ("book, plain", "transformers"):
            if peer in results:
                ours = name.startswith("ours")
                factors += [
                    f"{results[peer]['seconds'] / result['seconds']:.1f}",
                    f"{results[peer]['seconds'] / bound:.1f}" if ours else "",
                ]
            else:
                factors += ["", ""]
        gemm = " to ".join(f"{value:.0f}" for value in result["gemm_GFLOPs"])
        lines.append(
            f"| {name} | {result['seconds']:.1f} | {' | '.join(factors)} | {result['peak_memory_MB']:,.0f} | {gemm} "
            f"| {result['accuracies']['test']:.2%} |"
        )
    for name, result in results.items():
        for entry in result["frozen_passes"]:
            lines.append(
                f"\n{name}: frozen pass over {entry['tokens']:,} tokens in {entry['seconds']:.1f} s, "
                f"{entry['rate'] / 1e9:.0f} GFLOP/s, {entry['share_of_gemm']:.0%} of the GEMM rate around it"
            )
    return "\n".join(lines)


def write_weights(arguments: argparse.Namespace, directory: str) -> None:
    """Write the random weights that all variants start from."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=arguments.layers, n_embd=arguments.width, n_head=arguments.heads, n_positions=1024
    )
    transformers.GPT2Model(config).save_pretrained(directory)


def main() -> None:
    """Run the variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="uci", help="uci, sample, or the path of a corpus")
    parser.add_argument("--scale", type=float, default=1.0, help="share of each split's messages")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    parser.add_argument("--gemm", type=int, default=2048, help="size of the matrices whose product is timed")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--json", type=Path, help="also write all figures here")
    arguments = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as weights:
        in_own_process(write_weights, arguments, weights)
        for name in arguments.variants:
            print(f"running {name} ...", file=sys.stderr, flush=True)
            results[name] = in_own_process(run_variant, name, arguments, Path(weights))
            print(f"  {results[name]['seconds']:.1f} s", file=sys.stderr, flush=True)
    print(table(results, arguments.layers, arguments.width))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
