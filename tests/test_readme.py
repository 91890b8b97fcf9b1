"""What the README tells people to type."""

import ast
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from spam_classifier.comparing.rows import choose_rows, read_rows
from spam_classifier.data.corpora import read_corpus
from spam_classifier.experiments import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line.split("   #")[0].strip() for kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]
FIT = "python -m spam_classifier.train fit"
TABLE_FLAGS = re.findall(r"^\| [^|]+ \| `(--[^`]+)`", README, flags=re.MULTILINE)
SMALL = shlex.split(
    "--trainer.limit_train_batches 2 --trainer.limit_val_batches 1 --trainer.max_epochs 1 "
    "--trainer.accelerator cpu --trainer.devices 1 --trainer.enable_progress_bar false --data.corpus few.csv "
    "--model.weights random --model.layers 1 --model.width 16 --model.heads 1 --model.context 512"
)


@pytest.fixture(autouse=True)
def few_messages(tmp_path: Path) -> None:
    read_corpus("sample").groupby("label").head(60).to_csv(tmp_path / "few.csv", index=False)


def write_reviews(directory: Path) -> None:
    """The layout of the IMDb reviews, in which unrated ones stand beside the others."""
    for folder in ("train/pos", "train/neg", "train/unsup", "test/pos", "test/neg"):
        (directory / folder).mkdir(parents=True)
        for number, word in enumerate(["plot", "cast", "score", "end", "joke", "star", "fight", "kiss", "song", "cut"]):
            text = f"{folder.replace('/', ' ')}: what a {word}, said number {chr(97 + number)}"
            (directory / folder / f"{number}_7.txt").write_text(text)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_make_target_exists(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{target}:.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(
    "command", [*(c for c in COMMANDS if c.startswith(FIT)), *(f"{FIT} {flags}" for flags in TABLE_FLAGS)]
)
def test_fit_commands(train: Callable, tmp_path: Path, command: str) -> None:
    """Each runs, on a small model and a small corpus where it names none of its own."""
    rows = [("spam" if n % 2 else "ham", f"message {n}") for n in range(60)]
    pd.DataFrame(rows, columns=["label", "text"]).to_csv(tmp_path / "messages.csv", index=False)
    pd.DataFrame(rows, columns=["topic", "body"]).to_json(tmp_path / "tickets.jsonl", orient="records", lines=True)
    write_reviews(tmp_path / "aclImdb")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    flags = shlex.split(command)[4:]
    if "--ckpt_path" in flags:
        assert train("fit", *SMALL).code == 0
        flags += ["--trainer.max_epochs", "2"]
    else:
        own_corpus = [] if "uci" in flags else flags  # the real one may not be at hand
        flags = [*flags, *SMALL, *(own_corpus if "--data.corpus" in flags else [])]
    done = train("fit", *flags)
    assert done.code == 0, done.err
    assert "python -m spam_classifier.train test" in done.out


@pytest.mark.slow
def test_commands_after_fit(train: Callable, call: Callable) -> None:
    from spam_classifier.predict import main as predict

    assert train("fit", *SMALL).code == 0
    after = [shlex.split(command)[2:] for command in COMMANDS if re.search(r"train (test|validate)", command)]
    assert len(after) >= 3
    for _, *arguments in after:
        done = train(*arguments)
        assert done.code == 0, done.err
    Path("inbox.txt").write_text("hello\nsee you\n")
    Path("inbox.csv").write_text("id,text\n1,hello\n2,see you\n")
    Path("tickets.jsonl").write_text('{"body": "hello"}\n{"body": "see you"}\n')
    Path("mails").mkdir()
    for name in ("1.eml", "2.eml"):
        Path("mails", name).write_text("Subject: hello\n\nsee you\n")
    use = [shlex.split(command)[2:] for command in COMMANDS if "spam_classifier.predict" in command]
    assert len(use) >= 5
    for arguments in use:
        own, lines = (arguments[:-2], arguments[-1]) if "<" in arguments else (arguments, "inbox.txt")
        printed = call(predict, *own[1:], stdin=Path(lines).read_bytes()).out.splitlines()
        if "--output" in own:
            printed += Path(own[own.index("--output") + 1]).read_text().splitlines()[-2:]
        assert len(printed) == 2


@pytest.mark.slow
def test_exports(train: Callable, call: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    """Each runs after the recommended training, and transformers opens what it left."""
    from spam_classifier.export import main as export

    exports = [shlex.split(command)[2:] for command in COMMANDS if "spam_classifier.export" in command]
    assert [words[1] for words in exports] == ["transformers", "onnx"]
    assert train("fit", "--config", ROOT / "configs/recommended.yaml", *SMALL).code == 0
    for words in exports:
        done = call(export, *words[1:])
        assert done.code == 0, done.err
    (pipeline,) = (block for kind, block in BLOCKS if kind == "python" and "transformers" in block)
    capsys.readouterr()
    exec(compile(pipeline, "README.md", "exec"), {})
    scores = [ast.literal_eval(line) for line in capsys.readouterr().out.splitlines()]
    assert [scored.keys() for scored in scores] == [{"ham", "spam"}] * 2


@pytest.mark.slow
def test_baseline(train: Callable, call: Callable) -> None:
    from spam_classifier import baseline

    assert train("fit", *SMALL).code == 0
    (words,) = (shlex.split(line)[3:] for line in COMMANDS if "spam_classifier.baseline" in line)
    done = call(baseline.main, *words)
    assert "words, logistic regression" in done.out, done.err


def test_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names configs and rows that exist; how they run, tests/test_experiments.py checks."""
    monkeypatch.chdir(ROOT)
    tables = [shlex.split(command)[3:] for command in COMMANDS if "spam_classifier.experiments" in command]
    assert len(tables) == 5
    names = [parse(words)[0].name for words in tables]
    assert len(set(names)) == len(tables)  # they have other flags
    for words in tables:
        arguments, _ = parse(words)
        assert choose_rows(read_rows(arguments.configs), arguments.rows)


def test_python_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    train, use, _ = (block for kind, block in BLOCKS if kind == "python")
    monkeypatch.chdir(tmp_path)
    exec(compile(train.replace("max_epochs=1", "max_epochs=1, limit_train_batches=2"), "README.md", "exec"), {})
    capsys.readouterr()
    exec(compile(use, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_every_config_is_named() -> None:
    assert all(f"configs/{path.name}" in README for path in (ROOT / "configs").glob("*.yaml"))


def test_other_commands_are_known() -> None:
    """What no test here runs is run by .ci/run or by another test, or it is a program that is installed."""
    programs = (
        "source .venv/bin/activate",
        "tensorboard --logdir lightning_logs",
        "curl http://",
        "curl 'http://",
        "torchrun --nnodes 2 ",
    )
    known = ("make ", "python -m spam_classifier.", *programs)
    assert [command for command in COMMANDS if command and not command.startswith(known)] == []
