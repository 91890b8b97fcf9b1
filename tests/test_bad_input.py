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

TINY = ["--model.weights", "random", "--model.layers", 1, "--model.width", 16, "--model.heads", 1]
FIT = ["fit", *TINY, "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
ROWS = [f"{'ham' if n % 2 else 'spam'},message number {n}" for n in range(60)]


def write_csv(rows: list[str], header: str = "label,text") -> Path:
    path = Path("corpus.csv")
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def write_jsonl(line: str) -> Path:
    path = Path("corpus.jsonl")
    path.write_text('{"label": "ham", "text": "hello"}\n' + line + "\n", encoding="utf-8")
    return path


def write_zip(**members: bytes) -> Path:
    path = Path("archive.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def latin1_csv() -> Path:
    path = write_csv(ROWS)
    path.write_bytes(path.read_bytes() + "ham,café\n".encode("latin-1"))
    return path


def gpt2_directory(**sizes: int) -> Path:
    config = transformers.GPT2Config(n_layer=1, n_embd=16, n_head=1, n_positions=64, **sizes)
    transformers.GPT2Model(config).save_pretrained("weights")
    return Path("weights")


def misshapen_gpt2() -> Path:
    """A checkpoint whose config.json belongs to another."""
    path = gpt2_directory()
    config = transformers.GPT2Config(n_layer=1, n_embd=32, n_head=1, n_positions=64)
    config.save_pretrained(path)
    return path


def pickled_gpt2() -> Path:
    torch.save({"wte.weight": torch.zeros(1)}, "pytorch_model.bin")
    return Path("pytorch_model.bin")


def foreign_checkpoint() -> Path:
    torch.save({"state_dict": {}, "hyper_parameters": {"lr": 1.0}}, "foreign.ckpt")
    return Path("foreign.ckpt")


def config_with_checkpoint() -> Path:
    Path("config.yaml").write_text("ckpt_path: last\n")
    return Path("config.yaml")


CORPUS = "--data.corpus"
BAD_INPUT: dict[str, tuple[Callable[[], list], str]] = {
    "no such corpus": (lambda: [*FIT, CORPUS, "nothing.csv"], r"nothing\.csv: No such file.*uci, sample, the path of"),
    "wrong hash": (
        lambda: [*FIT, CORPUS, write_zip(SMSSpamCollection=b"x" * 477_907)],
        r"archive\.zip: SMSSpamCollection has the SHA-256 .* instead of 7d039a24",
    ),
    "no text column": (
        lambda: [*FIT, CORPUS, write_csv(ROWS, header="label,message")],
        r"columns are 'label', 'message'.*--data\.text_column",
    ),
    "not UTF-8": (lambda: [*FIT, CORPUS, latin1_csv()], r"line 62: not UTF-8.*iconv"),
    "rare class": (
        lambda: [*FIT, CORPUS, write_csv([*ROWS, "eggs,hello"])],
        r"class 'eggs' has 1 message\(s\), too few to split",
    ),
    "one class": (lambda: [*FIT, CORPUS, write_csv(ROWS[::2])], r"one class only, \['spam'\]"),
    "empty split": (
        lambda: [*FIT, CORPUS, write_csv(ROWS), "--data.validation_fraction", 0.001],
        r"validation split is empty: 60 messages",
    ),
    "impossible fractions": (
        lambda: [*FIT, CORPUS, write_csv(ROWS), "--data.train_fraction", 0.95],
        r"train_fraction 0\.95 and --data\.validation_fraction 0\.1.*below 1",
    ),
    "max_length over the context": (
        lambda: [*FIT, CORPUS, write_csv(ROWS), "--data.max_length", 2000],
        r"2000 tokens exceed the backbone's context of 1024: set --data\.max_length 1024",
    ),
    "no such test corpus": (
        lambda: [*FIT, CORPUS, write_csv(ROWS), "--data.test_corpus", "nothing.csv"],
        r"--data\.test_corpus nothing\.csv: No such file",
    ),
    "class that only the test split has": (
        lambda: [*FIT, CORPUS, write_csv(ROWS), "--data.test_corpus", write_jsonl('{"label": 1, "text": "hello"}')],
        r"--data\.test_corpus has messages labelled '1', a class that --data\.corpus does not teach \(ham, spam\)",
    ),
    "batches without padding": (
        lambda: [*FIT, CORPUS, write_csv(ROWS), "--data.padding", "none"],
        r"padding none needs batches of one message, not 8: set --data\.batch_size 1",
    ),
    "too few for a batch": (
        lambda: [*FIT, CORPUS, write_csv(ROWS), "--data.batch_size", 64],
        r"train split has 42 messages, too few for one batch of 64",
    ),
    "misshapen checkpoint": (
        lambda: ["fit", "--model.weights", misshapen_gpt2(), CORPUS, write_csv(ROWS)],
        r"does not fit the backbone: misshapen wte\.weight",
    ),
    "size against the checkpoint": (
        lambda: ["fit", "--model.weights", gpt2_directory(), "--model.layers", 3],
        r"--model\.layers 3 disagrees with weights, which has 1",
    ),
    "other vocabulary": (
        lambda: ["fit", "--model.weights", gpt2_directory(vocab_size=100)],
        r"vocabulary of 100, not GPT-2's 50257",
    ),
    "wrong size name": (
        lambda: ["fit", "--model.weights", "gpt2-small"],
        r"gpt2-small: no such file or directory; give one of gpt2, gpt2-medium, gpt2-large, gpt2-xl",
    ),
    "not safetensors": (
        lambda: ["fit", "--model.weights", pickled_gpt2()],
        r"pytorch_model\.bin cannot be read as safetensors.*save_pretrained",
    ),
    "checkpoint does not exist": (
        lambda: ["test", "--ckpt_path", "nothing.ckpt"],
        r"--ckpt_path nothing\.ckpt: no such file",
    ),
    "checkpoint is not ours": (
        lambda: ["test", "--ckpt_path", foreign_checkpoint()],
        r"foreign\.ckpt is not a checkpoint of this classifier",
    ),
    "checkpoint named in a file": (
        lambda: [*FIT, "--config", config_with_checkpoint(), CORPUS, write_csv(ROWS)],
        r"ckpt_path in a --config file",
    ),
    "no run to test": (lambda: ["test"], r"no run with a checkpoint under lightning_logs: train one first"),
    "no run to continue": (lambda: ["fit", "--ckpt_path", "last"], r"no run with a checkpoint under"),
    "no such accelerator": (
        lambda: [*FIT, "--trainer.accelerator", "tpu"],
        r"the Trainer refuses its flags: .*--trainer\.accelerator auto",
    ),
    "no such flag": (
        lambda: [*FIT, "--trainer.max_epoch", 3],
        r"unrecognized arguments: --trainer\.max_epoch 3",
    ),
    "no such choice": (lambda: [*FIT, "--model.trainable", "last_blok"], r"model\.trainable.*last_block"),
    "no such subcommand": (lambda: ["fitt"], r"invalid choice: 'fitt'"),
    "learning rate": (lambda: [*FIT, "--model.learning_rate", -1], r"--model\.learning_rate must be above 0"),
    "warm-up": (lambda: [*FIT, "--model.warmup_steps", -5], r"--model\.warmup_steps must be at least 0"),
    "seed": (lambda: [*FIT, "--seed_everything", -1], r"--seed_everything must be from 0 to"),
    "split seed": (lambda: [*FIT, "--data.split_seed", -1], r"--data\.split_seed must be from 0 to"),
    "labels for YAML": (lambda: [*FIT, "--data.labels", "[yes, no]"], r"data\.labels.*quote labels"),
    "endless cosine": (
        lambda: [
            *(*FIT, CORPUS, write_csv(ROWS), "--model.schedule", "cosine"),
            *("--trainer.max_epochs", -1, "--trainer.max_time", "00:00:00:05"),
        ],
        r"cosine needs an end",
    ),
    "unusable directory": (
        lambda: [*FIT, CORPUS, write_csv(ROWS), "--trainer.default_root_dir", write_csv(ROWS)],
        r"cannot write .*corpus\.csv/lightning_logs \(Not a directory\)",
    ),
    "dropout": (lambda: [*FIT, "--model.dropout", 1.5], r"--model\.dropout must be at least 0 and below 1"),
}


@pytest.mark.parametrize("mistake", BAD_INPUT)
def test_one_line_names_the_thing_and_the_remedy(train: Callable, tmp_path: Path, mistake: str) -> None:
    arguments, message = BAD_INPUT[mistake]
    words = arguments()
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
    for part in (
        "archive.ics.uci.edu",
        "backblazeb2.com",
        "PATH.zip",
        "--data.corpus sample",
        str(tmp_path / "cache"),
    ):
        assert part in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_accelerator_the_machine_lacks(train: Callable) -> None:
    done = train(*FIT, "--trainer.accelerator", "gpu")
    assert done.code == 1
    assert "the Trainer refuses its flags" in done.err


def test_predict_command_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable) -> None:
    from spam_classifier.predict import main

    monkeypatch.chdir(tmp_path)
    for arguments, message in (
        (["hello"], "train one first"),
        (["hello", "--ckpt_path", "nothing.ckpt"], "no such file"),
        (["hello", "--ckpt_path", str(foreign_checkpoint())], "is not a checkpoint of this classifier"),
    ):
        done = call(main, *arguments)
        assert done.code == 1
        assert message in done.err


@pytest.mark.slow
def test_ctrl_c_in_a_real_run(forked: Callable, wait_until: Callable, tmp_path: Path) -> None:
    """A signal from outside while training: it stops, keeps the checkpoint, says how to go on, and does."""
    write = tmp_path / "corpus.csv"
    write.write_text("\n".join(["label,text", *ROWS * 20]) + "\n")
    arguments = [*FIT, CORPUS, str(write), "--trainer.max_epochs", 10_000, "--trainer.limit_val_batches", 2]
    running = forked("spam_classifier.train", *arguments, cwd=tmp_path)
    last = tmp_path / "lightning_logs/version_0/checkpoints/last.ckpt"
    wait_until(last.exists)
    os.kill(running.pid, signal.SIGINT)
    stopped = running.outcome()
    assert stopped.code == 1
    assert "Traceback" not in stopped.err
    assert f"continue with: python -m spam_classifier.train fit --ckpt_path {last}" in stopped.err
    stopped_at = torch.load(last, weights_only=True)["global_step"]
    again = ["fit", "--ckpt_path", "last", "--trainer.max_epochs", "-1", "--trainer.max_steps", str(stopped_at + 5)]
    continued = forked("spam_classifier.train", *again, cwd=tmp_path).outcome()
    assert continued.code == 0, continued.err
    assert torch.load(last, weights_only=True)["global_step"] == stopped_at + 5
