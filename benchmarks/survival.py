"""Kill training runs at random moments, resume them, and compare them with undisturbed runs.

    python benchmarks/survival.py                 eight kills for each setting
    python benchmarks/survival.py lora --kills 2

For each setting a small GPT-2 is trained on the embedded sample, once undisturbed and once with kills. A kill is a
SIGKILL to the whole process group at a random moment: one in five is drawn uniformly from the duration of an
undisturbed run, imports included. The others are drawn after the imports, from a part of the rest that lets all kills
together reach the final evaluation. The run is resumed in a new process with ``fit --ckpt_path last``, or started again
if it has no checkpoint yet. After the last kill it runs to its end. Weights, optimizer state, metrics and the curves in
metrics.json must then be equal bit for bit.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

SMALL = [
    *("--data.corpus", "sample", "--data.balance", "none", "--data.padding", "batch", "--data.batch_by_length", "true"),
    *("--data.batch_size", "16", "--data.train_fraction", "0.5", "--model.token_position", "last_real"),
    *("--model.weights", "random", "--model.layers", "3", "--model.width", "64", "--model.heads", "4"),
    *("--model.context", "128", "--model.learning_rate", "1e-3"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary"),
    *("false", "--trainer.log_every_n_steps", "5"),
]
ACCUMULATED = ["--trainer.accumulate_grad_batches", "4", "--model.schedule", "cosine", "--model.warmup_steps", "20"]
STOPS_EARLY = [
    *("--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"),
    *("--trainer.callbacks.patience", "1", "--trainer.callbacks.min_delta", "0.02"),
]
SETTINGS = {
    "last_block, reuse in memory": ["--model.trainable", "last_block", *STOPS_EARLY],
    "last_block, reuse on disk": ["--model.trainable", "last_block", "--model.prefix_memory", "0"],
    "all, dropout, cosine, accumulation": ["--model.trainable", "all", "--model.dropout", "0.1", *ACCUMULATED],
    "lora, dropout in the updates": ["--model.trainable", "lora", "--model.lora_dropout", "0.1"],
}
# function names in a stack and the phase they mean; the first match counts
PHASES = {
    "save_checkpoint": "writing a checkpoint",
    "load_checkpoint": "loading the checkpoint",
    "write_report": "writing the report",
    "after_fit": "evaluation at the end",
    "states_of": "frozen prefix",
    "evaluation_loop": "validation",
    "training_epoch_loop": "training",
    "_run_subcommand": "set-up",
}
START = """
import faulthandler, runpy, signal, sys
faulthandler.register(signal.SIGUSR1, open(sys.argv.pop(1), "w"))
runpy.run_module("spam_classifier.train", run_name="__main__", alter_sys=True)
"""
OUTERMOST = '"<string>", line'  # of the main thread: any thread may be the one that takes the signal


class Process:
    """``train`` in a process group of its own, which writes its stack on request."""

    def __init__(self, root: Path, flags: list[str]) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.stack = root / "stack.txt"
        self.output = root / "output.txt"
        self.stack.unlink(missing_ok=True)
        self.began = time.time()
        self.root = root
        words = [*flags, "--trainer.default_root_dir", str(root)]
        with self.output.open("a") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", START, str(self.stack), *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for_start(self) -> float:
        """Wait until training is about to begin; returns the time."""
        while self.popen.poll() is None:
            for path in self.root.glob("lightning_logs/*/metrics.json"):  # the first file of a run
                if path.stat().st_mtime > self.began:
                    return time.time()
            time.sleep(0.01)
        return time.time()

    def killed_after(self, seconds: float) -> str | None:
        """Kill it after so many seconds; returns the phase it was in, or None if it had ended before."""
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            if self.stack.exists():  # otherwise the signal's handler is not installed yet
                os.kill(self.popen.pid, signal.SIGUSR1)
                for _ in range(1000):
                    if OUTERMOST in self.stack.read_text():
                        break
                    time.sleep(0.001)
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
            return phase_of(self.stack.read_text() if self.stack.exists() else "")
        self.finish()
        return None

    def finish(self) -> None:
        """Wait for its end; exit if it fails."""
        if self.popen.wait():
            sys.exit(f"a run failed, see {self.output}")


def phase_of(stack: str) -> str:
    """The phase of a process, from its stack."""
    return next((phase for sign, phase in PHASES.items() if sign in stack), "start")


def run_of(root: Path) -> Path | None:
    """The newest run below a directory that has a checkpoint."""
    checkpoints = sorted((root / "lightning_logs").glob("*/checkpoints/last.ckpt"))
    return checkpoints[-1].parents[1] if checkpoints else None


def traces(run: Path) -> dict[str, Any]:
    """What must be equal: digests of weights and optimizer, metrics with curves, the best checkpoint, file names."""
    last = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    metrics = json.loads((run / "metrics.json").read_text())
    for varies in ("seconds", "peak_memory"):
        del metrics["run"][varies]
    del metrics["provenance"]
    (best,) = (run / "checkpoints").glob("best-*")
    return {
        "weights": digest(last["state_dict"]),
        "optimizer": digest([last["optimizer_states"], last["lr_schedulers"]]),
        "best": [best.name, digest(torch.load(best, weights_only=True)["state_dict"])],
        "figures": metrics,
        "files": sorted(str(path.relative_to(run)) for path in run.rglob("*") if "tfevents" not in path.name),
    }


def digest(value: object) -> str:
    """SHA-256 of tensors and numbers, however nested."""
    sha256 = hashlib.sha256()
    for part in flattened(value):
        sha256.update(part.numpy().tobytes() if isinstance(part, torch.Tensor) else repr(part).encode())
    return sha256.hexdigest()


def flattened(value: object) -> Iterator[object]:
    """The leaves of nested containers, with the keys that lead to them."""
    if isinstance(value, dict):
        for key in value:
            yield from (key, *flattened(value[key]))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from flattened(part)
    else:
        yield value


def survive(
    flags: list[str], root: Path, kills: int, seconds: tuple[float, float], drawn: random.Random
) -> tuple[Path, list[tuple[str, str]]]:
    """Train with kills; returns the run directory and, for each kill, its phase and whether the run was resumed.

    Args:
        flags: Flags of ``fit``.
        root: Where ``lightning_logs`` is.
        kills: Number of kills.
        seconds: Of an undisturbed run: until training starts, and from there to the end.
        drawn: Draws the moments.
    """
    happened: list[tuple[str, str]] = []
    process = Process(root, flags)
    while len(happened) < kills:
        if drawn.random() < 0.2:
            phase = process.killed_after(drawn.uniform(0, sum(seconds)))
        else:
            process.wait_for_start()
            phase = process.killed_after(drawn.uniform(0, seconds[1] * min(1, 2 / kills)))
        if phase is None:  # it has ended: the next process can only be killed in the final evaluation
            process = Process(root, ["fit", "--ckpt_path", "last"])
            continue
        run = run_of(root)
        happened.append((phase, "resumed" if run else "started again"))
        print(f"  killed: {phase}, {happened[-1][1]}", flush=True)
        process = Process(root, ["fit", "--ckpt_path", "last"] if run else flags)
    process.finish()
    run = run_of(root)
    assert run is not None
    return run, happened


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", help=f"beginnings of: {'; '.join(SETTINGS)} (default: all)")
    parser.add_argument("--kills", type=int, default=8, help="for each setting (default: 8)")
    parser.add_argument("--seed", type=int, default=123, help="of the moments (default: 123)")
    parser.add_argument("--epochs", type=int, default=6, help="(default: 6)")
    arguments = parser.parse_args()
    chosen = [name for name in SETTINGS if not arguments.settings or name.startswith(tuple(arguments.settings))]
    drawn, rows, same = random.Random(arguments.seed), [], True
    with tempfile.TemporaryDirectory() as directory:
        for number, name in enumerate(chosen):
            flags = ["fit", *SMALL, *SETTINGS[name], "--trainer.max_epochs", str(arguments.epochs)]
            root = Path(directory, str(number))
            process = Process(root / "undisturbed", flags)
            started = process.wait_for_start()
            process.finish()
            seconds = started - process.began, time.time() - started
            undisturbed = run_of(root / "undisturbed")
            assert undisturbed is not None
            expected = traces(undisturbed)
            print(f"{name}: {seconds[0]:.0f} s and {seconds[1]:.0f} s undisturbed", flush=True)
            run, happened = survive(flags, root / "killed", arguments.kills, seconds, drawn)
            found = traces(run)
            other = [what for what, value in expected.items() if found[what] != value]
            same &= not other
            for what in other:
                parts = zip(flattened(expected[what]), flattened(found[what]), strict=False)
                print(f"  {what}: {next((pair for pair in parts if pair[0] != pair[1]), 'more or fewer')}")
            phases = [phase for phase, _ in happened]
            fell = ", ".join(f"{phase} {phases.count(phase)}" for phase in dict.fromkeys(phases))
            again = sum(outcome == "started again" for _, outcome in happened)
            identical = f"no: {', '.join(other)}" if other else "yes"
            steps = expected["figures"]["run"]["steps"]
            rows.append(f"| {name} | {steps} | {len(happened)} | {fell} | {again} | {identical} |")
            print(rows[-1], flush=True)
    print("\n| setting | steps | kills | phases of the kills | started again | identical |")
    print("| --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows))
    sys.exit(not same)


if __name__ == "__main__":
    main()
