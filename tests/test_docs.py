"""What README and docs tell people to type, and where their links lead."""

import ast
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from spam_classifier import experiments, find_config, search, serve
from spam_classifier.comparing.rows import choose_rows, read_rows
from spam_classifier.data.corpora import read_corpus

ROOT = Path(__file__).parents[1]
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
DOCS = sorted((ROOT / "docs").glob("*.md"))
TEXTS = {path: path.read_text(encoding="utf-8") for path in (*TOP, *DOCS)}
SHOWN = [TOP[0], *DOCS]
BLOCKS = [(path, *found) for path in SHOWN for found in re.findall(r"```(\w+)\n(.*?)```", TEXTS[path], flags=re.DOTALL)]
LINES = [line for _, kind, block in BLOCKS if kind == "bash" for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = list(dict.fromkeys(re.sub(r"^\w+_KEY=\S+ ", "", line.split("   #")[0]).strip() for line in LINES if line))

NOT_RUN = {  # beginnings of commands, and why
    "make ": "they run all of the tests, or hours; their targets exist (below)",
    "python3 -m venv": "makes an environment",
    "source .venv/bin/activate": "of a shell",
    "python -m pip ": "downloads packages; extras and files exist (below), tests/project/test_wheel.py installs",
    "tensorboard ": "does not end",
    "docker ": "no Docker here; tests/project/test_dockerfile.py reads the Dockerfile",
    "curl ": "tests/serving/test_serve.py sends the same requests",
    "torchrun ": "tests/test_two_processes.py runs both at once, as two machines on one",
    "python benchmarks/": "minutes or hours; the scripts exist (below), tests/benchmarks runs them with small models",
    "benchmarks/gpu.sh": "needs a GPU; tests/benchmarks runs it with --try",
    "python docs/pictures.py": "needs a browser",
    "ls ": "of a shell",
}
ONLY_PARSED = {  # flags of fit, and why they aren't run
    "--trainer.strategy fsdp": "needs GPUs",
    "--trainer.strategy DDPStrategy": "needs two processes, as in tests/test_two_processes.py",
    "--data.corpus sms+spam+collection.zip": "may not be at hand",
    "--model.weights gpt2_files": "a download",
    "--trainer.fast_dev_run true": "keeps no run",
}

FIT = "python -m spam_classifier.train fit"
TRAINING = TEXTS[ROOT / "docs/training.md"]
TABLE_FLAGS = re.findall(r"^\| [^|]+ \| `(--[^`]+)`", TRAINING, flags=re.MULTILINE)
FITS = list(dict.fromkeys([*(c for c in COMMANDS if c.startswith(FIT)), *(f"{FIT} {flags}" for flags in TABLE_FLAGS)]))
PARSED = [command for command in FITS if any(flags in command for flags in ONLY_PARSED)]
ELSEWHERE = ("--accelerator", "--devices", "--root")  # the tests say where
SMALL = shlex.split(
    "--trainer.limit_train_batches 2 --trainer.limit_val_batches 1 --trainer.max_epochs 1 "
    "--trainer.accelerator cpu --trainer.devices 1 --trainer.enable_progress_bar false --data.corpus few.csv "
    "--model.weights random --model.layers 1 --model.width 16 --model.heads 1 --model.context 512"
)


def words_of(command: str) -> list[list[str]]:
    """The arguments of each documented use of a command of the package, as ``predict`` or ``train test``."""
    start = f"python -m spam_classifier.{command}"
    return [shlex.split(line.removeprefix(start)) for line in COMMANDS if re.match(rf"{re.escape(start)}(?!\S)", line)]


@pytest.fixture(autouse=True)
def few_messages(tmp_path: Path) -> None:
    read_corpus("sample").messages.groupby("label").head(60).to_csv(tmp_path / "few.csv", index=False)


def write_corpora(directory: Path) -> None:
    """The files that documented commands name, among them a search's config; IMDb's folders hold unrated ones, too."""
    rows = pd.read_csv(directory / "few.csv")
    for name in ("messages.csv", "test.csv"):
        rows.to_csv(directory / name, index=False)
    spam = "".join(f'{label},"{text.replace(chr(34), chr(39))}",,,\n' for label, text in rows.itertuples(index=False))
    (directory / "spam.csv").write_bytes(f'v1,v2,,,\n{spam}ham,"for £5, he said",,,\n'.encode("cp1252", "replace"))
    rows.rename(columns={"text": "body"}).assign(title="Re").to_csv(directory / "posts.csv", index=False)
    for number, (label, text) in enumerate(rows.itertuples(index=False)):
        (directory / "mails" / label).mkdir(parents=True, exist_ok=True)
        mail = f"From: a@example.com\nSubject: Re\nContent-Type: text/plain; charset=utf-8\n\n{text}\n"
        (directory / "mails" / label / str(number)).write_bytes(mail.encode())
    tickets = rows.rename(columns={"label": "topic", "text": "body"})
    tickets.to_json(directory / "tickets.jsonl", orient="records", lines=True)
    (directory / "lightning_logs/search").mkdir(parents=True)
    (directory / "lightning_logs/search/best.yaml").write_text("model: {learning_rate: 1.0e-4}\n")
    for folder in ("train/pos", "train/neg", "train/unsup", "test/pos", "test/neg"):
        (directory / "aclImdb" / folder).mkdir(parents=True)
        for number, word in enumerate(["plot", "cast", "score", "end", "joke", "star", "fight", "kiss", "song", "cut"]):
            text = f"{folder.replace('/', ' ')}: what a {word}, said number {chr(97 + number)}"
            (directory / "aclImdb" / folder / f"{number}_7.txt").write_text(text)


def flags_of(command: str) -> list[str]:
    """The flags of a ``fit``, without those for the device and the directory."""
    flags = shlex.split(command.removeprefix(FIT))
    where = [place + step for place, flag in enumerate(flags) if flag in ELSEWHERE for step in (0, 1)]
    return [flag for place, flag in enumerate(flags) if place not in where]


@pytest.mark.parametrize("flags", sorted({shlex.join(flags_of(fit)) for fit in FITS if fit not in PARSED}))
def test_fit_commands(train: Callable, tmp_path: Path, flags: str) -> None:
    """Each runs, on a small model and a small corpus where it names none of its own."""
    write_corpora(tmp_path)
    own = shlex.split(flags)
    if "--ckpt_path" in own:
        assert train("fit", *SMALL).code == 0
        own += [] if "--trainer.max_epochs" in own else ["--trainer.max_epochs", "2"]
    elif "lightning_logs/version_0" in own:  # a run to go on from
        assert train("fit", *SMALL).code == 0
        sizes = {"--model.weights", "--model.layers", "--model.width", "--model.heads", "--model.context"}
        own = [
            *own,
            *(word for pair in zip(SMALL[::2], SMALL[1::2], strict=True) if pair[0] not in sizes for word in pair),
            *own,
        ]
    else:
        own = [*own, *SMALL, *(own if "--data.corpus" in own else [])]
    done = train("fit", *own)
    assert done.code == 0, done.err
    assert "python -m spam_classifier.train test" in done.out


def test_other_flags_of_fit_are_accepted() -> None:
    """Those of commands that aren't run, and of ``experiments`` and ``search``."""
    from spam_classifier.training.parser import settings_of
    from spam_classifier.training.typed import for_lightning

    assert len(PARSED) == len(ONLY_PARSED)
    several = [*words_of("experiments"), *words_of("search")]
    behind = [words[words.index("--") + 1 :] for words in several if "--" in words]
    for words in (*(shlex.split(fit.removeprefix(FIT)) for fit in PARSED), *behind):
        assert settings_of(for_lightning(["fit", *words])[1:])


@pytest.mark.slow
def test_commands_after_fit(train: Callable, call: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluation, classification and a second training of the run that ``fit`` left."""
    from spam_classifier import label_errors, predict, rerun, robustness

    assert train("fit", *SMALL).code == 0
    after = [[name, *words] for name in ("test", "validate") for words in words_of(f"train {name}")]
    assert len(after) >= 4
    for words in after:
        done = train(*words)
        assert done.code == 0, done.err
    Path("inbox.txt").write_text("hello\nsee you\n")
    Path("inbox.csv").write_text("id,text\n1,hello\n2,see you\n")
    Path("tickets.jsonl").write_text('{"body": "hello"}\n{"body": "see you"}\n')
    Path("mails").mkdir()
    for name in ("1.eml", "2.eml"):
        Path("mails", name).write_text("Subject: hello\n\nsee you\n")
    uses = words_of("predict")
    assert len(uses) >= 5
    for words in uses:
        own, lines = (words[:-2], words[-1]) if "<" in words else (words, "inbox.txt")
        printed = call(predict.main, *own, stdin=Path(lines).read_bytes()).out.splitlines()
        if "--output" in own:
            printed = Path(own[own.index("--output") + 1]).read_text().splitlines()[-2:]
        assert len(printed) == 2
    for words in words_of("robustness"):
        done = call(robustness.main, *words)
        assert done.code == 0, done.err
    asked: list[Path] = []
    reproduced = SimpleNamespace(reproduce=lambda run, flags: asked.append(run) or True)
    monkeypatch.setitem(sys.modules, "spam_classifier.comparing.reproduce", reproduced)
    for words in words_of("rerun"):
        assert call(rerun.main, *words).code == 0  # how it trains, tests/test_rerun.py checks
    searched = SimpleNamespace(find_label_errors=lambda run, *_: (asked.append(run), sys.exit(0)))
    monkeypatch.setitem(sys.modules, "spam_classifier.comparing.label_errors", searched)
    for words in words_of("label_errors"):
        assert call(label_errors.main, *words).code == 0  # how it searches, tests/test_label_errors.py checks
    assert [run.name for run in asked] == ["version_0"] * len([*words_of("rerun"), *words_of("label_errors")])


@pytest.mark.slow
def test_exports(train: Callable, call: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    """Each runs after the recommended training, and transformers opens what it left."""
    from spam_classifier.export import main as export

    exports = words_of("export")
    assert [words[0] for words in exports] == ["transformers", "onnx", "onnx"]
    assert train("fit", "--config", "recommended", *SMALL).code == 0
    for words in exports:
        done = call(export, *words)
        assert done.code == 0, done.err
    (pipeline,) = (block for _, kind, block in BLOCKS if kind == "python" and "transformers" in block)
    capsys.readouterr()
    exec(compile(pipeline, "export.md", "exec"), {})
    scores = [ast.literal_eval(line) for line in capsys.readouterr().out.splitlines()]
    assert [scored.keys() for scored in scores] == [{"ham", "spam"}] * 2


@pytest.mark.slow
def test_baseline(train: Callable, call: Callable) -> None:
    from spam_classifier import baseline

    assert train("fit", *SMALL).code == 0
    (words,) = words_of("baseline")
    done = call(baseline.main, *words)
    assert "words, logistic regression" in done.out, done.err


def test_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names configs and rows that exist; how they run, tests/test_experiments.py checks."""
    monkeypatch.chdir(ROOT)
    tables = words_of("experiments")
    assert len(tables) >= 5
    parsed = [experiments.parse(words) for words in tables]
    for arguments, _ in parsed:
        assert choose_rows(read_rows(arguments.configs), arguments.rows)
    assert {arguments.name for arguments, _ in parsed} >= {"experiments", "messages", "small", "sizes"}


def test_searches() -> None:
    """Each names a config that exists; how they run, tests/test_search.py checks. The page shows the packaged space."""
    parsed = [search.parse(words) for words in words_of("search")]
    assert {arguments.name for arguments, _ in parsed} == {"search", "messages_search"}
    (shown,) = (block for path, kind, block in BLOCKS if path.name == "search.md" and kind == "yaml")
    assert yaml.safe_load(shown) == yaml.safe_load(search.PACKAGED_SPACE.read_text())


def test_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for words in words_of("serve"):
        monkeypatch.setattr("sys.argv", ["serve", *words])
        assert serve.parse().timeout == 30


@pytest.mark.slow
def test_python_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of training.md and prediction.md, in which the second goes on with the names of the first."""
    # the last two in tests/training/test_trainer_flags.py and tests/test_very_large_files.py; Spark is not installed
    elsewhere = ("transformers", "pyspark", "Tuner", "ray")
    python = [(path.name, block) for path, kind, block in BLOCKS if kind == "python"]
    snippets = [(name, block) for name, block in python if not any(word in block for word in elsewhere)]
    assert [name for name, _ in snippets] == ["prediction.md", "prediction.md", "training.md"]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for name, block in (snippets[2], *snippets[:2]):
        capsys.readouterr()
        exec(compile(block.replace("max_epochs=1", "max_epochs=1, limit_train_batches=2"), name, "exec"), names)
        assert len(capsys.readouterr().out.splitlines()) >= 2


def test_every_command_is_tested() -> None:
    """What no test here runs is named in ``NOT_RUN``."""
    commands = ("train fit", "train test", "train validate", "predict", "serve", "export", "experiments", "baseline")
    commands += ("search", "label_errors", "robustness", "rerun")
    run = tuple(f"python -m spam_classifier.{name}" for name in commands)
    assert [command for command in COMMANDS if not command.startswith((*run, *NOT_RUN))] == []
    assert [start for start in NOT_RUN if not any(command.startswith(start) for command in COMMANDS)] == []


def test_targets_scripts_and_extras_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for command in COMMANDS:
        words = shlex.split(command)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:.*##", makefile, flags=re.MULTILINE), command
        if words[0] == "python" and words[1].endswith(".py"):
            source = (ROOT / words[1]).read_text(encoding="utf-8")
            assert all(f'"{flag}"' in source for flag in words[2:] if flag.startswith("--")), command
        if "pip" in words:
            assert set(re.findall(r"\[(\w+)\]", command)) <= set(extras), command
            assert all((ROOT / name).is_file() for flag, name in pairwise(words) if flag == "-c"), command


def test_every_script_says_how_to_run_it() -> None:
    for path in ROOT.glob("benchmarks/*.py"):
        source = path.read_text(encoding="utf-8")
        if "__main__" in source:
            assert f"\n    python benchmarks/{path.name}" in source.split('"""')[1], path.name


def test_every_config_is_named() -> None:
    for name in find_config.packaged_names():
        assert "/" in name or f"`{name}`" in TRAINING


def test_readme_is_short_and_counts_the_sample() -> None:
    readme = TEXTS[ROOT / "README.md"]
    assert len(readme.splitlines()) <= 150
    assert f"{len(read_corpus('sample').messages):,} messages" in readme


def test_steps_of_the_chapter_are_where_the_readme_says() -> None:
    from spam_classifier.training.parser import settings_of

    table = re.findall(r"^\| (.*) \|$", TEXTS[ROOT / "README.md"], flags=re.MULTILINE)
    cells = [re.split(r" (?<!\\)\| ?", row) for row in table]
    steps = [(row[1], row[2].strip("`")) for row in cells if len(row) == 4 and row[2].startswith("`--")]
    assert len(steps) >= 8
    book = yaml.safe_load((ROOT / "configs/book.yaml").read_text())
    for files, flags in steps:
        assert all((ROOT / "spam_classifier" / name).is_file() for name in re.findall(r"`([\w/.]+)`", files)), files
        for group, values in settings_of(shlex.split(flags)).items():
            assert values.items() <= book[group].items()


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links and pictures exist, headings too; pictures have a text for those who do not see them."""
    for sort, text, link in re.findall(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)", TEXTS[page]):
        assert text or not sort, link
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_is_listed() -> None:
    listed = set(re.findall(r"\]\(([\w.]+)\)", TEXTS[ROOT / "docs/README.md"]))
    pages = {path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".ipynb")}
    assert listed >= pages - {"README.md"}
