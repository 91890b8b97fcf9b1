"""Mistakes a user can make: one line that names the thing and the remedy, no traceback, nothing half-written."""

import os
import re
import signal
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from spam_classifier import hints

TINY = ["--model.weights", "random", "--model.layers", 1, "--model.width", 16, "--model.heads", 1]
FIT = ["fit", *TINY, "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
ROWS = [f"{'ham' if n % 2 else 'spam'},message number {n}" for n in range(60)]


def write_csv(name: str, rows: list[str] = ROWS, header: str = "label,text", encoding: str = "utf-8") -> None:
    Path(f"{name}.csv").write_text("\n".join([header, *rows]) + "\n", encoding=encoding)


def write_zip() -> None:
    with zipfile.ZipFile("archive.zip", "w") as archive:
        archive.writestr("SMSSpamCollection", b"x" * 477_907)


def write_gpt2(directory: str, **sizes: int) -> None:
    config = transformers.GPT2Config(n_layer=1, n_embd=16, n_head=1, n_positions=64, **sizes)
    transformers.GPT2Model(config).save_pretrained(directory)


def write_misshapen_gpt2() -> None:
    """A checkpoint whose config.json belongs to another."""
    write_gpt2("weights")
    transformers.GPT2Config(n_layer=1, n_embd=32, n_head=1, n_positions=64).save_pretrained("weights")


Mistake = tuple[str, str] | tuple[str, str, Callable[[], object]]
MISTAKES: dict[str, Mistake] = {  # flags, message, and what writes the files besides corpus.csv
    "no such corpus": ("--data.corpus nothing.csv", r"nothing\.csv: No such file.*uci, sample, the path of"),
    "wrong hash": (
        "--data.corpus archive.zip",
        r"archive\.zip: SMSSpamCollection has the SHA-256 .* instead of 7d039a24",
        write_zip,
    ),
    "no text column": (
        "--data.corpus other.csv",
        r"columns are 'label', 'words'.*; type .*--data\.label_column label --data\.text_column words$",
        lambda: write_csv("other", header="label,words"),
    ),
    "other encoding": (
        "--data.corpus other.csv --data.encoding utf-8",
        r"other\.csv is not utf-8: correct --data\.encoding",
        lambda: write_csv("other", [*ROWS, "ham,café"], encoding="latin-1"),
    ),
    "bad rows": (
        "--data.corpus other.csv",
        r"other\.csv has 2 bad rows: line 62: no text; line 63: no label; .*--data\.bad_rows skip$",
        lambda: write_csv("other", [*ROWS, "ham,", ",hello"]),
    ),
    "spellings": (
        "--data.corpus other.csv",
        r"'Ham' \(1 messages\); add --data\.merge_labels true",
        lambda: write_csv("other", [*ROWS, "Ham,hello"]),
    ),
    "swapped columns": (
        "--data.corpus other.csv --data.label_column text --data.text_column label",
        r"60 classes for 60 messages: .* add --data\.label_column label --data\.text_column text",
        lambda: write_csv("other"),
    ),
    "rare class": (
        "--data.corpus other.csv",
        r"class 'eggs' has 1 message\(s\), too few to split",
        lambda: write_csv("other", [*ROWS, "eggs,hello"]),
    ),
    "one class": ("--data.corpus other.csv", r"one class only, \['spam'\]", lambda: write_csv("other", ROWS[::2])),
    "empty split": ("--data.validation_fraction 0.001", r"validation split is empty: 60 messages"),
    "impossible fractions": (
        "--data.train_fraction 0.95",
        r"train_fraction 0\.95 and --data\.validation_fraction 0\.1.*below 1",
    ),
    "max_length over the context": (
        "--data.max_length 2000",
        r"2000 tokens exceed the backbone's context of 1024: set --data\.max_length 1024",
    ),
    "no such test corpus": ("--data.test_corpus nothing.csv", r"--data\.test_corpus nothing\.csv: No such file"),
    "class that only the test split has": (
        "--data.test_corpus other.csv",
        r"--data\.test_corpus has messages labelled '1', a class that --data\.corpus does not teach \(ham, spam\)",
        lambda: write_csv("other", ["ham,hello", "1,hello"]),
    ),
    "batches without padding": (
        "--data.padding none",
        r"padding none needs batches of one message, not 8: set --data\.batch_size 1",
    ),
    "too few for a batch": ("--data.batch_size 64", r"train split has 42 messages, too few for one batch of 64"),
    "misshapen checkpoint": (
        "fit --model.weights weights --data.corpus corpus.csv",
        r"does not fit the backbone: misshapen wte\.weight",
        write_misshapen_gpt2,
    ),
    "size against the checkpoint": (
        "fit --model.weights weights --model.layers 3",
        r"--model\.layers 3 disagrees with weights, which has 1",
        lambda: write_gpt2("weights"),
    ),
    "other vocabulary": (
        "fit --model.weights weights",
        r"vocabulary of 100, not GPT-2's 50257",
        lambda: write_gpt2("weights", vocab_size=100),
    ),
    "wrong size name": (
        "fit --model.weights gpt2-small",
        r"gpt2-small: no such file or directory; give one of gpt2, gpt2-medium, gpt2-large, gpt2-xl",
    ),
    "not safetensors": (
        "fit --model.weights pytorch_model.bin",
        r"pytorch_model\.bin cannot be read as safetensors.*save_pretrained",
        lambda: torch.save({"wte.weight": torch.zeros(1)}, "pytorch_model.bin"),
    ),
    "checkpoint does not exist": (
        "test --ckpt_path nothing.ckpt",
        r"nothing\.ckpt: no such run or checkpoint",
    ),
    "checkpoint is not ours": (
        "test --ckpt_path foreign.ckpt",
        r"foreign\.ckpt is not a checkpoint of this classifier",
        lambda: torch.save({"state_dict": {}, "hyper_parameters": {"lr": 1.0}}, "foreign.ckpt"),
    ),
    "checkpoint named in a file": (
        "--config config.yaml",
        r"ckpt_path in a --config file",
        lambda: Path("config.yaml").write_text("ckpt_path: last\n"),
    ),
    "no run to test": ("test", r"no run with a checkpoint under lightning_logs: train one first"),
    "no run to continue": ("fit --ckpt_path last", r"no run with a checkpoint under"),
    "no such accelerator": (
        "--trainer.accelerator tpu",
        r"the Trainer refuses its flags: .*--trainer\.accelerator auto",
    ),
    "no such flag": ("--trainer.max_epoch 3", r"unrecognized arguments: --trainer\.max_epoch 3"),
    "no such choice": ("--model.trainable last_blok", r"model\.trainable.*last_block"),
    "no such subcommand": ("fitt", r"name fit, validate or test first.*did you mean fit\?"),
    "learning rate": ("--model.learning_rate -1", r"--model\.learning_rate must be above 0"),
    "warm-up": ("--model.warmup_steps -5", r"--model\.warmup_steps must be at least 0"),
    "seed": ("--seed_everything -1", r"--seed_everything must be from 0 to"),
    "split seed": ("--data.split_seed -1", r"--data\.split_seed must be from 0 to"),
    "labels for YAML": ("--data.labels [yes,no]", r"data\.labels.*quote labels"),
    "endless cosine": (
        "--model.schedule cosine --trainer.max_epochs -1 --trainer.max_time 00:00:00:05",
        r"cosine needs an end",
    ),
    "unusable directory": (
        "--trainer.default_root_dir corpus.csv",
        r"cannot write .*corpus\.csv/lightning_logs \(Not a directory\)",
    ),
    "dropout": ("--model.dropout 1.5", r"--model\.dropout must be at least 0 and below 1"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_one_line_names_the_thing_and_the_remedy(train: Callable, tmp_path: Path, mistake: Mistake) -> None:
    flags, message, *writes = mistake
    write_csv("corpus")
    for write in writes:
        write()
    words = flags.split()
    if flags.startswith("--"):
        words = [*FIT, "--data.corpus", "corpus.csv", *words]
    before = sorted(tmp_path.rglob("*"))
    done = train(*words)
    assert done.code in (1, 2)
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.err
    assert re.search(message, errors[0]), errors[0]
    assert "Traceback" not in done.err
    left = [path for path in sorted(tmp_path.rglob("*")) if path.name != "lightning_logs"]
    assert left == before


def test_no_network_and_nothing_cached(train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    done = train(*FIT, "--data.cache_dir", tmp_path / "cache")
    assert done.code == 1
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    for part in ("archive.ics.uci.edu", "backblazeb2.com", "PATH.zip", "--data.corpus sample", f"{tmp_path}/cache"):
        assert part in line


@pytest.mark.slow
def test_ctrl_c_in_a_real_run(forked: Callable, wait_until: Callable, tmp_path: Path) -> None:
    """A signal from outside while training: it stops, keeps the checkpoint, says how to go on, and does."""
    write_csv(f"{tmp_path}/corpus", ROWS * 20)
    arguments = [*FIT, "--data.corpus", "corpus.csv", "--trainer.max_epochs", 10_000, "--trainer.limit_val_batches", 2]
    running = forked("spam_classifier.train", *arguments, cwd=tmp_path)
    last = tmp_path / "lightning_logs/version_0/checkpoints/last.ckpt"
    wait_until(last.exists)
    os.kill(running.pid, signal.SIGINT)
    stopped = running.outcome()
    assert stopped.code == 130
    assert "Traceback" not in stopped.err
    assert f"continue with: {hints.command_line('fit', '--ckpt_path', 'last')}" in stopped.err
    stopped_at = torch.load(last, weights_only=True)["global_step"]
    again = ["fit", "--ckpt_path", "last", "--trainer.max_epochs", "-1", "--trainer.max_steps", str(stopped_at + 5)]
    continued = forked("spam_classifier.train", *again, cwd=tmp_path).outcome()
    assert continued.code == 0, continued.err
    assert torch.load(last, weights_only=True)["global_step"] == stopped_at + 5
