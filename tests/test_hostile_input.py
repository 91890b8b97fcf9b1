"""Files that were made to do harm: refused in one line, in little time and memory, and nothing in them runs."""

import io
import json
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from spam_classifier.batch import DataDescription
from spam_classifier.data.columns import Layout
from spam_classifier.data.corpora import read_corpus
from spam_classifier.data.download import MEMBER, read_archive
from spam_classifier.data.formats import open_messages
from spam_classifier.data.rows import LONGEST, Rejected, Source
from spam_classifier.errors import LONGEST_LINE, UserError, one_line
from spam_classifier.evaluation.summary import evaluation_summary
from spam_classifier.files import atomic_write
from spam_classifier.inference.classifier import load_classifier
from spam_classifier.judging.inputs import open_input
from spam_classifier.models.gpt2_classifier import GPT2Classifier, build_backbone
from spam_classifier.models.pretrained import resolve_shape
from spam_classifier.runs.check import read_checkpoint
from spam_classifier.training.module import SpamClassifier

MEGABYTE = 2**20
CANARY = "executed"


class Touch:
    """Pickles as a call that leaves a file in the working directory."""

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return os.system, (f"touch {CANARY}",)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, for the canary."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def failing(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command in this process: it fails, with one line, which is returned."""

    def run(command: str, *arguments: str) -> str:
        module, *words = [*command.split(), *arguments]
        main = __import__(f"spam_classifier.{module}", fromlist=["main"]).main
        monkeypatch.setattr(sys, "argv", [module, *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 1
        told = capsys.readouterr().err
        assert "Traceback" not in told
        (line,) = [line for line in told.splitlines() if line.startswith("error: ")]
        return line

    return run


def malicious(kind: str) -> Path:
    """A file that runs code in whoever unpickles it."""
    if kind == "plain":
        Path("evil.ckpt").write_bytes(pickle.dumps(Touch()))
    else:
        torch.save({"state_dict": Touch()}, "evil.ckpt", _use_new_zipfile_serialization=kind == "zip")
    return Path("evil.ckpt")


def test_the_malicious_file_is_one(here: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    torch.load(malicious("zip"), weights_only=False)
    assert (here / CANARY).exists()


@pytest.mark.parametrize("kind", ["plain", "legacy", "zip"])
def test_malicious_checkpoint_runs_nothing(here: Path, failing: Callable, kind: str) -> None:
    malicious(kind)
    Path("config.yaml").write_text("{}")
    commands = ["train fit", "train validate", "train test", "predict hello", "serve"]
    for command in (*commands, "export onnx out.onnx", "export transformers out"):
        assert "evil.ckpt is not a checkpoint" in failing(command, "--ckpt_path", "evil.ckpt")
    assert not (here / CANARY).exists()


def test_malicious_checkpoint_in_a_run_runs_nothing(here: Path, failing: Callable) -> None:
    directory = here / "lightning_logs/version_0/checkpoints"
    directory.mkdir(parents=True)
    malicious("zip").rename(directory / "best-epoch0.ckpt")
    for command in ("train test", "train fit --ckpt_path best", "predict hello", "export onnx x"):
        assert "best-epoch0.ckpt is not a checkpoint" in failing(command)
    assert not (here / CANARY).exists()


def test_pickled_weights_are_never_opened(here: Path, failing: Callable) -> None:
    (here / "weights").mkdir()
    malicious("zip").rename(here / "weights/pytorch_model.bin")
    command = "train fit --data.corpus sample --model.weights"
    assert "only safetensors is read" in failing(command, "weights")
    assert "cannot be read as safetensors" in failing(command, "weights/pytorch_model.bin")
    assert not (here / CANARY).exists()


def checkpoint_with(changes: dict[str, Any], state: dict[str, Any] | None = None) -> Path:
    """A checkpoint of the smallest model, with other settings."""
    model = SpamClassifier("random", layers=1, width=1, heads=1, context=8)
    model.describe_data(DataDescription(["ham", "spam"], [1.0, 1.0], max_length=8, padded_length=8))
    model.configure_model()
    content = {
        "state_dict": {name: tensor.clone() for name, tensor in model.net.state_dict().items()} | (state or {}),
        "global_step": 1,
        "hyper_parameters": {**model.hparams, **changes},
    }
    torch.save(content, "own.ckpt")
    return Path("own.ckpt")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"layers": 10**9}, {}),
        ({"layers": 3}, {}),
        ({"width": 10**9, "heads": 1}, {}),
        ({"width": 1_000}, {"head.weight": torch.zeros(1).expand(2, 1_000)}),
        ({"context": 10**6}, {}),
        ({"context": 10**6}, {"backbone.wpe.weight": torch.zeros(1).expand(10**6, 1)}),
        ({"trainable": "lora", "lora_rank": 10**9}, {}),
        ({"max_length": 10**12}, {}),
        ({"padded_length": 10**12}, {}),
        *(({"label_names": names}, {}) for names in ("ab", [["ham"], ["spam"]], ["ham", "ham"])),
        ({"dropout": "0"}, {}),
        ({"learning_rate": 10**5000}, {}),
        ({}, {"decision.temperature": torch.tensor(0.0)}),
    ],
)
def test_settings_out_of_all_proportion_are_refused(here: Path, changes: dict[str, Any], state: dict[str, Any]) -> None:
    read_checkpoint(checkpoint_with({}))
    with pytest.raises(UserError, match="is not a checkpoint of this classifier"):
        read_checkpoint(checkpoint_with(changes, state))


def test_parts_of_a_wrong_kind_are_refused(here: Path) -> None:
    content = torch.load(checkpoint_with({}), weights_only=True)
    lora = {**content["hyper_parameters"], "trainable": "lora"}
    del lora["lora_targets"]
    for part in (
        *({"metrics_of_the_epoch": metrics} for metrics in (None, {"forward": {}}, {"train_loss": {"value": "x"}})),
        {"hyper_parameters": lora},
        {"state_dict": []},
        {"global_step": "1"},
        {"pytorch-lightning_version": 2},
    ):
        torch.save(content | part, "own.ckpt")
        with pytest.raises(UserError, match="is not a checkpoint of this classifier"):
            read_checkpoint(Path("own.ckpt"))


def test_checkpoint_does_not_choose_what_makes_the_model(here: Path) -> None:
    """Lightning lets it name a function."""
    checkpoint_with({"_instantiator": "os.system", "_class_path": "os.system"})
    assert type(load_classifier("own.ckpt").model) is GPT2Classifier


def write_safetensors(header: dict[str, Any]) -> None:
    raw = json.dumps(header).encode()
    Path("model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw)


def test_header_that_claims_a_trillion_numbers(here: Path) -> None:
    nothing = {"dtype": "F32", "data_offsets": [0, 0]}
    names = ("wte.weight", "wpe.weight", "h.0.attn.c_attn.weight")
    sizes = {"n_layer": 1, "n_embd": 1, "n_head": 1, "n_positions": 8, "vocab_size": 50_257}
    Path("config.json").write_text(json.dumps(sizes))
    settings = SpamClassifier("random", 1, 1, 1, 8).hparams | {"weights": "model.safetensors"}
    for shape in ([10**12], [10**6, 10**6], [10**12, 0], [0, 10**12]):
        write_safetensors(dict.fromkeys(names, nothing | {"shape": shape}))
        with pytest.raises(UserError):
            build_backbone(resolve_shape("model.safetensors", heads=1), settings)
    Path("model.safetensors").write_bytes(struct.pack("<Q", 10**12) + b"{}")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        build_backbone(resolve_shape("model.safetensors"), settings)


def test_config_that_claims_a_trillion_numbers(here: Path) -> None:
    """The tensors are compared before memory is taken for any."""
    write_safetensors({})
    sizes = {"n_layer": 20, "n_embd": 99_968, "n_head": 1, "n_positions": 10**6, "vocab_size": 50_257}
    Path("config.json").write_text(json.dumps(sizes))
    settings = SpamClassifier("random", 1, 1, 1, 8).hparams | {"weights": str(here)}
    with pytest.raises(UserError, match="does not fit the backbone"):
        build_backbone(resolve_shape(str(here)), settings)
    Path("config.json").write_text(json.dumps(sizes | {"n_layer": 10**9}))
    with pytest.raises(UserError, match="layers must be an integer from 1 to 1,000, not 1000000000"):
        resolve_shape(str(here))
    Path("config.json").write_text("[" * 100_000)  # deeper than the parser goes
    with pytest.raises(UserError, match="cannot be read as a JSON object"):
        resolve_shape(str(here))


STARTS = {".csv": b"label,text\nham,", ".tsv": b"label\ttext\nham\t", ".jsonl": b'{"label": "ham", "text": "'}


def endless(path: Path, megabytes: int) -> None:
    """Write a file of one long line, which takes no disk."""
    path.write_bytes(STARTS.get(path.suffix, b""))
    os.truncate(path, megabytes * MEGABYTE)


@contextmanager
def memory_below(megabytes: int) -> Iterator[None]:
    """Python's objects take no more meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_bomb_takes_no_memory(packing: int) -> None:
    """A member that says it has the expected size."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", packing) as members:
        members.writestr(MEMBER.name, bytes(32 * MEGABYTE))
    size = (32 * MEGABYTE).to_bytes(4, "little")
    bomb = written.getvalue().replace(size, MEMBER.size.to_bytes(4, "little"))
    assert len(bomb) < MEGABYTE / 16
    with memory_below(8), pytest.raises(UserError, match=r"SHA-256|not a readable zip|packed by another method"):
        read_archive(io.BytesIO(bomb), "the bomb")


def test_large_archive_is_not_opened(tmp_path: Path) -> None:
    endless(tmp_path / "large.zip", 100)
    with pytest.raises(UserError, match="more than the 10,000,000"):
        read_archive(tmp_path / "large.zip", "it")


def test_archive_is_read_and_not_unpacked(here: Path) -> None:
    with zipfile.ZipFile("corpus.zip", "w") as members:
        for name in ("../escaped", str(here / "absolute"), "beside", MEMBER.name):
            members.writestr(name, "ham\thello\n")
    with pytest.raises(UserError):
        read_corpus("corpus.zip")
    assert [path.name for path in here.iterdir()] == ["corpus.zip"]
    assert not (here.parent / "escaped").exists()


@pytest.mark.parametrize("suffix", STARTS)
@pytest.mark.slow
def test_endless_line_is_refused_and_takes_no_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"corpus{suffix}"
    endless(path, 512)
    message = rf"line \d: longer than {LONGEST:,} characters; cut its text, or delete it"
    with memory_below(200):
        with pytest.raises(UserError, match=message):
            read_corpus(str(path))
        (row,) = open_input(path, Layout(), None).rows
        assert isinstance(row, Rejected)


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".txt"])
def test_endless_line_is_rejected_and_the_next_one_read(kind: str) -> None:
    head = "text\n" if kind in (".csv", ".tsv") else ""
    texts = ["first", "a" * 101, "b" * 5_000, "c" * 99, "last"]
    lines = [f'{{"text": "{text}"}}\n' if kind == ".jsonl" else f"{text}\n" for text in texts]
    raw = (head + "".join(lines)).encode()
    longest = 112 if kind == ".jsonl" else 100
    rows = list(open_messages(Source("it", lambda: io.BytesIO(raw), longest), kind, Layout()).rows)
    reasons = [row.reason if isinstance(row, Rejected) else row.text for row in rows]
    too_long = f"longer than {longest} characters"
    assert reasons == ["first", too_long, too_long, "c" * 99, "last"]
    assert [row.place for row in rows] == list(range(1 + bool(head), 6 + bool(head)))


def test_row_of_a_csv_is_no_longer_over_many_lines() -> None:
    """A quote that is never closed takes in a limited number of lines, in one field or in many."""
    for cell in ('"', '"a\n","', '"a\r\n",\n"'):
        raw = ("text\nfirst\n" + cell * 2_000 + "\nlast").encode()
        rows = list(open_messages(Source("it", lambda raw=raw: io.BytesIO(raw), longest=100), ".csv", Layout()).rows)
        assert all(isinstance(row, Rejected) or len(row.text) <= 100 for row in rows)
        assert isinstance(rows[1], Rejected) or len(rows) > 1_000
        assert isinstance(rows[-1], Rejected) or rows[-1].text == "last"


def test_parquet_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * MEGABYTE]))
    labels = pa.array(["ham"] * 20_000)
    table = pa.table({"label": labels, "text": texts.cast(pa.dictionary(pa.int32(), pa.string()))})
    path = tmp_path / "bomb.parquet"
    pq.write_table(table, path, store_schema=False)
    assert path.stat().st_size < 2 * MEGABYTE
    for read in (lambda: read_corpus(str(path)), lambda: list(open_input(path, Layout(), None).rows)):
        with pytest.raises(UserError, match="unpacks to far more than its size"):
            read()


def test_repeated_texts_of_a_parquet_are_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"label": ["ham", "spam"] * 6_000, "text": ["See you at seven", "WIN now"] * 6_000})
    frame.to_parquet(tmp_path / "corpus.parquet")
    assert read_corpus(str(tmp_path / "corpus.parquet")).messages.equals(frame.astype("str"))


ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\u202e\x9b31m"


def test_messages_hold_no_escape_sequences(here: Path, failing: Callable) -> None:
    Path("corpus.csv").write_text(f"label{ESCAPES},text\nham,a\n")
    command = "train fit --model.weights random --model.layers 1 --model.width 1 --model.heads 1 --data.corpus"
    for name in (f"gone{ESCAPES}.csv", "corpus.csv"):
        line = failing(command, name)
        assert line.isprintable()
        assert r"\x1b[2J" in line
    assert failing("predict x --ckpt_path", f"a{ESCAPES}").isprintable()


def test_summaries_hold_no_escape_sequences() -> None:
    figures = {"messages": 2, "acc": 0.5, "acc_interval": (0.1, 0.9), "loss": 1.0, "threshold": 0.5}
    figures["false_positives"] = {"hits": 1, "messages": 2, "share": 0.5, "interval": (0.1, 0.9)}
    figures["confusion"] = [[1, 1], [0, 0]]
    rest = {"mistakes": "", "notes": [], "report": None, "following": []}
    told = evaluation_summary({}, {"test": figures}, [f"ham{ESCAPES}", "spam"], **rest)
    assert told.replace("\n", "").isprintable()


def test_long_messages_keep_both_ends() -> None:
    line = one_line(f"what is wrong: {'x' * 10**6}: what to do")
    assert len(line) < 2 * LONGEST_LINE
    assert line.startswith("what is wrong: x")
    assert line.endswith("x: what to do")


def test_links_in_the_way_of_a_file_are_not_followed(here: Path) -> None:
    Path("precious").write_text("mine")
    Path("metrics.incomplete").symlink_to("precious")
    with atomic_write(Path("metrics.json")) as unfinished:
        unfinished.write_text("{}")
    assert Path("precious").read_text() == "mine"
    assert Path("metrics.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "not a file"),
        (lambda path: path.symlink_to(path), "not a file"),
        (lambda path: endless(path, 64), f"longer than {LONGEST:,} bytes"),
    ],
    ids=["named pipe", "link to itself", "endless"],
)
def test_files_in_a_folder_that_cannot_be_read_are_refused(tmp_path: Path, make: Callable, message: str) -> None:
    (tmp_path / "ham").mkdir()
    make(tmp_path / "ham/1.txt")
    with pytest.raises(UserError, match=rf"1\.txt.*{message}"):
        read_corpus(str(tmp_path))


def test_folder_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "1.txt").write_text("hello")
    with pytest.raises(UserError, match="the folder's name is not UTF-8; rename it"):
        read_corpus(str(tmp_path))
