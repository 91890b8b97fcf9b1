"""``python -m spam_classifier.predict``: what goes in comes out, judged or rejected, whatever happens on the way."""

import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spam_classifier import SpamClassifier, SpamDataModule
from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.data.rows import Input, checked_row
from spam_classifier.inference.classifier import Classifier, load_classifier
from spam_classifier.judging import judge as judging
from spam_classifier.judging.inputs import argument_input
from spam_classifier.judging.output import rejected_path
from spam_classifier.judging.screen import Screen, escape_control, shortened

HOSTILE = ["\x1b[31mred\x1b]0;title\x07", "=1+1", "two\nlines", 'a "quoted", text', "\u202egnp", "日本語 " * 60, "a\tb"]
TEXTS = [*(f"message {n} of many {'words ' * (n % 9)}" for n in range(40)), *HOSTILE, "prize " * 90]
OWN = ["predicted", "probability", "probability_ham", "probability_spam", "threshold", "truncated"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps on the sample."""
    path = tmp_path_factory.mktemp("run") / "model.ckpt"
    pl.seed_everything(1)
    model = SpamClassifier("random", 1, 16, 1, 512, trainable="all", learning_rate=3e-3, token_position="last_real")
    trainer = pl.Trainer(
        max_steps=3,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(model, SpamDataModule("sample", max_length=60))
    trainer.save_checkpoint(path)
    return path


@pytest.fixture(scope="module")
def classifier(checkpoint: Path) -> Classifier:
    return load_classifier(checkpoint)


@pytest.fixture
def predict(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable) -> Callable:
    """Run the command in this process, with chunks of eight rows."""
    from spam_classifier.predict import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judging, "CHUNK_ROWS", 8)
    return partial(call, main, "--ckpt_path", checkpoint, "--accelerator", "cpu")


def write_csv(path: Path | str, texts: Sequence[str] = TEXTS) -> None:
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *enumerate(texts)])


def read_csv(path: Path | str) -> list[list[str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, strict=True))


def left_over() -> set[str]:
    return {path.name for path in Path().iterdir() if "incomplete" in path.name}


def check_verdicts(rows: Sequence[dict], texts: Sequence[str], classifier: Classifier) -> None:
    expected = classifier.predict(texts)
    assert [row["text"] for row in rows] == list(texts)
    assert [row["predicted"] for row in rows] == [own.label for own in expected]
    for name in ("ham", "spam"):
        found = [float(row[f"probability_{name}"]) for row in rows]
        assert found == pytest.approx([own.probabilities[name] for own in expected], abs=1e-6)
    assert [float(row["probability"]) for row in rows] == pytest.approx([own.probability for own in expected], abs=1e-6)
    assert [str(row["truncated"]).lower() == "true" for row in rows] == [own.truncated for own in expected]
    assert {float(row["threshold"]) for row in rows} == {0.5}


LINES = [text for text in TEXTS if "\n" not in text and "\t" not in text]


def write_kind(kind: str) -> tuple[Path, list[str]]:
    path = Path(f"texts{kind}")
    if kind == ".csv":
        write_csv(path)
        return path, TEXTS
    frame = pd.DataFrame({"n": range(len(TEXTS)), "text": TEXTS})
    if kind in (".jsonl", ".ndjson"):
        frame.to_json(path, orient="records", lines=True)
        return path, TEXTS
    if kind == ".parquet":
        frame.to_parquet(path)
        return path, TEXTS
    head = "text\tn\n" if kind == ".tsv" else ""
    path.write_text(head + "".join(f"{text}\t1\n" if head else f"{text}\n" for text in LINES), encoding="utf-8")
    return path, LINES


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt"])
def test_every_kind_of_table(predict: Callable, classifier: Classifier, kind: str) -> None:
    path, texts = write_kind(kind)
    for output in ("out.csv", "out.jsonl", "out.parquet"):
        done = predict("--input", path, "--output", output)
        assert done.code == 0, done.err
        assert f"rows in: {len(texts)} = {len(texts)} classified, into {output} + 0 rejected" in done.err
        assert "2 of " in done.err  # texts were cut
        if output == "out.csv":
            names, *rows = read_csv(output)
            table = [dict(zip(names, row, strict=True)) for row in rows]
        elif output == "out.jsonl":
            table = [json.loads(line) for line in Path(output).read_bytes().decode().split("\n")[:-1]]
        else:
            table = pd.read_parquet(output).to_dict("records")
        assert list(table[0])[-6:] == OWN
        check_verdicts(table, texts, classifier)
        if "n" in table[0] and kind != ".tsv":
            assert [int(row["n"]) for row in table] == list(range(len(texts)))
    assert left_over() == set()
    assert not rejected_path(Path("out.csv")).exists()


def test_tsv_without_a_header_is_read_as_in_training(predict: Callable) -> None:
    Path("sms.tsv").write_text("ham\thello\nspam\twin\n")
    assert predict("--input", "sms.tsv", "--output", "out.csv").code == 0
    assert [row[:2] for row in read_csv("out.csv")] == [["label", "text"], ["ham", "hello"], ["spam", "win"]]


def test_typed_and_piped_texts(predict: Callable, classifier: Classifier) -> None:
    expected = [f"{own.label}\t{own.probability:.4f}" for own in classifier.predict(["hello", "see you"])]
    for done in (
        predict("hello", "see you"),
        predict(stdin=b"hello\nsee you"),
        predict("-", stdin=b"hello\r\nsee you\r\n"),
        predict("--input", "-", stdin=b"hello\nsee you\n"),
    ):
        assert done.code == 0, done.err
        assert [line.rpartition("\t")[0] for line in done.out.splitlines()[1:]] == expected
    assert predict("hello", "see you", "--output", "out.csv").code == 0
    assert [row[0] for row in read_csv("out.csv")] == ["text", "hello", "see you"]


def test_emails(predict: Callable, classifier: Classifier) -> None:
    Path("mails").mkdir()
    for name, body in (("b.eml", "call now"), ("a.EML", "see you"), ("notes.md", "no mail")):
        mail = EmailMessage()
        mail["Subject"] = "Prize"
        mail.set_content(body)
        Path("mails", name).write_bytes(mail.as_bytes())
    Path("mails/c.eml").write_bytes(b"Subject:\n\n")
    done = predict("--input", "mails", "--output", "out.jsonl")
    assert done.code == 0
    assert "no e-mail filter" in done.err
    assert "rejected: mails/c.eml: no text" in done.err
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == ["mails/a.EML", "mails/b.eml"]
    check_verdicts(rows, ["Prize\nsee you", "Prize\ncall now"], classifier)
    assert read_csv("out.jsonl.rejected.csv") == [["file", "reason"], ["mails/c.eml", "no text"]]
    assert "mails/a.EML: Prize\\nsee you" in predict("--input", "mails/a.EML").out


def test_columns_are_carried_to_the_letter(predict: Callable) -> None:
    rows = [["=2+3", "hello", "", "\ta"], ["+1", "see\r\nyou", "'", "-"], ["@x", "ok", ' "', "01"]]
    with Path("in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "Text", "", ""], *rows])
    assert predict("--input", "in.csv", "--output", "out.csv").code == 0
    assert [row[:4] for row in read_csv("out.csv")] == [["id", "Text", "", ""], *rows]
    assert '"=2+3","hello","","\ta","' in Path("out.csv").read_text()
    refused = predict("--input", "in.csv", "--output", "out.jsonl")
    assert refused.code == 1
    assert "several columns ''" in refused.err
    line = '{"id": 12345678901234567890, "x": 1.10, "text": "hi", "in": {"a": [1.5, null]}, "b": true, "no": null'
    Path("in.jsonl").write_text(line + "}\n")
    assert predict("--input", "in.jsonl", "--output", "out.jsonl").code == 0
    assert Path("out.jsonl").read_text().startswith(line + ', "predicted": ')
    frame = pd.DataFrame(
        {"id": [1, None], "day": pd.to_datetime(["2020-01-02"] * 2), "text": ["a", "b"], "l": [[1]] * 2}
    )
    frame["kind"] = pd.Categorical(["x", "y"])
    frame.to_parquet("in.parquet")
    assert predict("--input", "in.parquet", "--output", "out.parquet").code == 0
    pd.testing.assert_frame_equal(pd.read_parquet("out.parquet")[frame.columns], frame, check_dtype=False)


def test_jsonl_into_a_table_has_the_first_ones_columns(predict: Callable) -> None:
    Path("in.jsonl").write_text('{"text": "a", "id": 1}\n{"text": "b"}\n{"text": "c", "x": 1}\n')
    assert predict("--input", "in.jsonl", "--output", "out.csv").code == 0
    assert [row[:2] for row in read_csv("out.csv")] == [["text", "id"], ["a", "1"], ["b", ""]]
    assert "'x'" in read_csv("out.csv.rejected.csv")[1][1]
    Path("in.jsonl").write_text('{"text": "a", "predicted": 1}\n{"text": "b"}\n')
    done = predict("--input", "in.jsonl", "--output", "out.jsonl")
    assert "has a member 'predicted'" in done.err
    assert "2 = 1 classified" in done.err


def test_nothing_in_a_text_commands_the_terminal(predict: Callable) -> None:
    done = predict(*HOSTILE)
    lines = done.out.splitlines()[1:]
    assert len(lines) == len(HOSTILE)
    assert all(part.isprintable() for line in lines for part in line.split("\t"))
    assert "\\x1b[31mred" in lines[0]
    assert "\\u202egnp" in lines[4]


@given(text=st.text(st.characters(max_codepoint=127)), width=st.integers(2, 30))
def test_shortened_text_fits(text: str, width: int) -> None:
    whole, short = escape_control(text), shortened(escape_control(text), width)
    assert short == whole if len(whole) <= width else (len(short), short[-1]) == (width, "…")


def test_wide_characters_count_twice() -> None:
    assert shortened("日本語日本語", 7) == "日本語…"
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"


def test_table_on_a_terminal(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "60")
    screen = Terminal()
    sink = Screen(screen, classifier.labels)
    judging.judge(judging.OneProcess(torch.device("cpu")), argument_input(TEXTS), classifier, None, sink, strict=False)
    lines = screen.getvalue().splitlines()
    assert len(lines) == len(TEXTS) + 1
    assert len({line.index(word) for line, word in zip(lines, ["text", *["message"] * 40], strict=False)}) == 1
    assert max(map(len, lines)) < 60


class Killed(BaseException):
    """Stands for a kill: nothing expects it."""


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Callable[[], int]]:
    """Let the classifier fail at its nth chunk; the function that is returned says how many texts it judged since."""
    judged: list[int] = []
    original = Classifier.probabilities_of

    def at(chunk: int) -> Callable[[], int]:
        judged.clear()

        def stop(self: Classifier, messages: EncodedMessages, *share: int) -> object:
            if len(judged) == chunk:
                raise Killed
            judged.append(len(messages))
            return original(self, messages, *share)

        monkeypatch.setattr(Classifier, "probabilities_of", stop)
        return lambda: sum(judged)

    return at


BAD = {3: "", 17: " ", 30: "\u2003"}
MIXED = [BAD.get(number, text) for number, text in enumerate(TEXTS)]


@pytest.mark.parametrize("output", ["out.csv", "out.jsonl"])
def test_a_killed_run_goes_on(predict: Callable, killed: Callable, output: str) -> None:
    write_csv("in.csv", MIXED)
    flags = ["--input", "in.csv", "--output"]
    assert predict(*flags, f"whole-{output}").code == 0
    killed(3)
    with pytest.raises(Killed):
        predict(*flags, output)
    assert not Path(output).exists()
    assert not rejected_path(Path(output)).exists()
    with Path(f"{output}.incomplete").open("ab") as file:
        file.write(b"half a li")  # as a kill in the middle of a chunk leaves it
    with Path(f"{output}.rejected.csv.incomplete").open("ab") as file:
        file.write(b"99,")
    judged = killed(99)
    done = predict(*flags, output)
    assert done.code == 0
    assert f"going on with {output}.incomplete after line number 24" in done.err
    assert judged() == len(TEXTS) - 24 - 1  # one more is blank
    assert f"rows in: {len(TEXTS)} = {len(TEXTS) - 3} classified" in done.err
    assert Path(output).read_bytes() == Path(f"whole-{output}").read_bytes()
    whole_rejected = rejected_path(Path(f"whole-{output}")).read_bytes()
    assert rejected_path(Path(output)).read_bytes() == whole_rejected
    assert left_over() == set()


def test_killed_before_the_first_chunk_or_while_finishing(
    predict: Callable, killed: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv("in.csv", MIXED)
    flags = ["--input", "in.csv", "--output"]
    assert predict(*flags, "whole.csv").code == 0
    killed(0)
    with pytest.raises(Killed):
        predict(*flags, "out.csv")
    assert left_over() == set()
    killed(99)
    replace = Path.replace

    def stop(path: Path, target: Path) -> Path:
        if target.name == "out.csv":
            raise Killed
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(Killed):
        predict(*flags, "out.csv")
    assert Path("out.csv.rejected.csv").exists()
    monkeypatch.setattr(Path, "replace", replace)
    judged = killed(99)
    assert predict(*flags, "out.csv").code == 0
    assert judged() == 0
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert read_csv("out.csv.rejected.csv") == read_csv("whole.csv.rejected.csv")
    assert left_over() == set()


def other_input() -> None:
    write_csv("in.csv", [*TEXTS, "one more"])


def other_state() -> None:
    Path("out.csv.incomplete.json").write_text("{")


def no_state() -> None:
    Path("out.csv.incomplete.json").unlink()


def cut_file() -> None:
    Path("out.csv.incomplete").write_bytes(Path("out.csv.incomplete").read_bytes()[:-10])


@pytest.mark.parametrize("change", [other_input, other_state, no_state, cut_file, None])
def test_an_unfinished_file_of_something_else(predict: Callable, killed: Callable, change: Callable | None) -> None:
    write_csv("in.csv")
    killed(2)
    with pytest.raises(Killed):
        predict("--input", "in.csv", "--output", "out.csv")
    killed(99)
    flags = ["--input", "in.csv", "--output", "out.csv", *([] if change else ["--threshold", "0.4"])]
    if change:
        change()
    before = Path("out.csv.incomplete").read_bytes()
    refused = predict(*flags)
    assert refused.code == 1
    assert refused.err.startswith("error: out.csv.incomplete is of another run")
    assert Path("out.csv.incomplete").read_bytes() == before
    done = predict(*flags, "--overwrite")
    assert done.code == 0
    assert "going on" not in done.err
    assert len(read_csv("out.csv")) == len(read_csv("in.csv"))


def test_other_checkpoint_is_no_continuation(predict: Callable, killed: Callable, checkpoint: Path) -> None:
    contents = torch.load(checkpoint, weights_only=True)
    contents["global_step"] += 1
    torch.save(contents, "other.ckpt")
    write_csv("in.csv")
    killed(2)
    with pytest.raises(Killed):
        predict("--input", "in.csv", "--output", "out.csv")
    done = predict("--input", "in.csv", "--output", "out.csv", "--ckpt_path", "other.ckpt")
    assert done.code == 1
    assert "another run" in done.err


def test_parquet_and_piped_texts_start_anew(predict: Callable, killed: Callable) -> None:
    write_csv("in.csv")
    for output, flags, stdin in (("a.parquet", ["--input", "in.csv"], b""), ("b.csv", [], b"x\n" * 40)):
        killed(2)
        with pytest.raises(Killed):
            predict(*flags, "--output", output, stdin=stdin)
        assert left_over() == set()
        Path(f"{output}.incomplete").write_text("left by a kill")
        killed(99)
        refused = predict(*flags, "--output", output, stdin=stdin)
        assert refused.code == 1
        assert f"{output}.incomplete is of a run that was stopped" in refused.err
        assert predict(*flags, "--output", output, "--overwrite", stdin=stdin).code == 0
        assert left_over() == set()


@pytest.mark.slow
def test_two_processes_and_real_kills(
    predict: Callable,
    checkpoint: Path,
    forked: Callable,
    children: Callable,
    wait_until: Callable,
    is_gone: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second process is killed, then the first; gone on with, all is as one process does it."""
    monkeypatch.setattr(judging, "CHUNK_ROWS", 4096)
    write_csv("in.csv", [*MIXED] * 430)
    assert predict("--input", "in.csv", "--output", "whole.csv").code == 0
    flags = ["--input", "in.csv", "--output", "out.csv", "--ckpt_path", str(checkpoint), "--accelerator", "cpu"]
    command = ["spam_classifier.predict", *flags, "--devices", "2"]
    done = 0
    for killed in ("second", "first"):
        first = forked(*command)
        wait_until(lambda behind=done: rows_on_disk() > behind)
        done = rows_on_disk()
        (second,) = children(first.pid)
        os.kill(first.pid if killed == "first" else second, signal.SIGKILL)
        assert first.wait(60) == (-signal.SIGKILL if killed == "first" else 1)
        wait_until(lambda process=second: is_gone(process))
        lines = [line for line in first.err.read_text().splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, lines
        assert ("the first process of this job was killed" if killed == "first" else "SIGKILL") in lines[0]
        assert not Path("out.csv").exists()
    end = forked(*command).outcome()
    assert end.code == 0, end.err
    assert "going on with out.csv.incomplete" in end.err
    assert end.out.count("checkpoint ") == 1
    assert sha256("out.csv") == sha256("whole.csv")
    assert Path("out.csv.rejected.csv").read_bytes() == Path("whole.csv.rejected.csv").read_bytes()
    assert left_over() == set()


def sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def rows_on_disk() -> int:
    try:
        return json.loads(Path("out.csv.incomplete.json").read_text())["tally"][0]
    except FileNotFoundError:
        return 0


@given(rows=st.integers(0, 30), of=st.integers(1, 5))
def test_shares_add_up_to_the_whole(classifier: Classifier, rows: int, of: int) -> None:
    messages = EncodedMessages.from_texts([text for text in TEXTS for _ in range(3)][:rows])
    shares = [classifier.probabilities_of(messages, number, of) for number in range(of)]
    assert torch.equal(sum(shares), classifier.probabilities_of(messages))
    assert (torch.stack(shares) != 0).any(-1).sum(0).tolist() == [1] * rows


def test_ctrl_c_says_how_to_go_on(predict: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv("in.csv")
    original, calls = Classifier.probabilities_of, []

    def interrupted(self: Classifier, messages: EncodedMessages, *share: int) -> object:
        calls.append(messages)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, messages, *share)

    monkeypatch.setattr(Classifier, "probabilities_of", interrupted)
    done = predict("--input", "in.csv", "--output", "out.csv")
    assert done.code == 130
    assert "16 rows are in out.csv.incomplete: the same command goes on from there" in done.err


ROWS = {
    "in.csv": (
        b'text,id\nfine,1\nbad\n"",2\n\xff,3\nmore,4\nfine,\xff\n"a"b,5\n\xe2\x80\x83,6\nlast,7\n',
        {3: "number of fields", 4: "no text", 5: "not UTF-8", 7: "not UTF-8", 8: "malformed CSV", 9: "no text"},
        ["fine", "more", "last"],
    ),
    "in.tsv": (
        b'text\tid\nfine\t1\nbad\n\t2\n\xff\t3\n"more\t4\n',
        {3: "number of fields", 4: "no text", 5: "not UTF-8"},
        ["fine", '"more'],
    ),
    "in.jsonl": (
        b'{"text": "fine"}\n{"text": 5}\n{"text": ""}\n{"text": null}\n[]\nx\n{"text": "\xff"}\n{"text": "\\ud800"}\n'
        b'{"body": "a"}\n{"text": [1]}\n{"text": "a", "id": NaN}\n{"text": "a", "id": [1e999]}\n{"text": "last"}\n'
        + b'{"text": "a", "id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        {2: "not a string", 3: "no text", 4: "no text", 5: "no JSON object", 6: "malformed JSON", 7: "not UTF-8"}
        | {8: "surrogate", 9: "no member 'text'", 10: "not a string", 11: "malformed", 12: "written", 14: "malformed"},
        ["fine", "last"],
    ),
    "in.txt": (b"fine\n\n\xff\r\nlast", {2: "no text", 3: "not UTF-8"}, ["fine", "last"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_bad_rows_are_listed_and_the_others_go_on(predict: Callable, name: str) -> None:
    raw, reasons, good = ROWS[name]
    Path(name).write_bytes(raw)
    done = predict("--input", name, "--output", "out.csv")
    assert done.code == 0, done.err
    header, *rows = read_csv("out.csv")
    assert [row[header.index("text")] for row in rows] == good
    _, *rejected = read_csv("out.csv.rejected.csv")
    assert {int(line) for line, _ in rejected} == set(reasons)
    for line, reason in rejected:
        assert reasons[int(line)] in reason
    total = len(good) + len(reasons)
    assert f"rows in: {total} = {len(good)} classified, into out.csv + {len(reasons)} rejected (out.csv.rej" in done.err
    assert done.err.count("rejected: ") == min(len(reasons), 5)
    printed = predict("--input", name)
    assert len(printed.out.splitlines()) == 1 + len(good)
    strict = predict("--input", name, "--output", "strict.csv", "--strict")
    assert strict.code == 1
    first = min(reasons)
    assert re.search(rf"error: {name}, line {first}: .*{reasons[first]}.*; correct it", strict.err)
    assert not Path("strict.csv").exists()


def test_a_row_group_that_is_not_utf8(predict: Callable) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = pa.array([b"fine", b"\xff", None, b"last"])
    pq.write_table(pa.table({"text": raw.view(pa.string())}), "in.parquet")
    assert predict("--input", "in.parquet", "--output", "out.csv").code == 0
    assert [row[0] for row in read_csv("out.csv")] == ["text", "fine", "last"]
    assert read_csv("out.csv.rejected.csv") == [["row", "reason"], ["2", "not UTF-8"], ["3", "no text"]]


def test_a_long_run_of_white_space(predict: Callable) -> None:
    Path("in.txt").write_text("a" + " " * 1_200_000 + "b\n" + "a " * 600_000 + "\nfine\n")
    done = predict("--input", "in.txt")
    assert "line 1: 500,000 or more characters of white space" in done.err
    assert "3 = 2 classified + 1 rejected" in done.err


def existing_output() -> Sequence[str]:
    Path("out.csv").write_text("mine")
    return ["hello", "--output", "out.csv"]


def existing_rejected() -> Sequence[str]:
    Path("out.csv.rejected.csv").write_text("mine")
    return ["hello", "--output", "out.csv"]


def input_as_output() -> Sequence[str]:
    write_csv("in.csv")
    return ["--input", "in.csv", "--output", "in.csv", "--overwrite"]


def judged_again() -> Sequence[str]:
    Path("in.csv").write_text("text,probability_x\na,b\n")
    return ["--input", "in.csv", "--output", "out.csv"]


def without(name: str, contents: bytes) -> Callable[[], Sequence[str]]:
    def write() -> Sequence[str]:
        Path(name).write_bytes(contents)
        return ["--input", name, "--output", "out.csv"]

    return write


def numbers_as_texts() -> Sequence[str]:
    pd.DataFrame({"text": [1, 2]}).to_parquet("in.parquet")
    return ["--input", "in.parquet"]


def empty_directory() -> Sequence[str]:
    Path("mails").mkdir()
    return ["--input", "mails"]


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (existing_output, "out.csv is there already"),
        (existing_rejected, "out.csv.rejected.csv is there already"),
        (input_as_output, "is the input"),
        (judged_again, "has a column 'probability_x', which the output adds"),
        (without("in.csv", b""), "in.csv is empty"),
        (without("in.csv", b"text\n"), "holds no texts"),
        (without("in.jsonl", b"\n \n"), "holds no texts"),
        (without("in.csv", b"id,body\n1,a\n"), "the columns are 'id', 'body', without one 'text'"),
        (without("in.csv", b'"a"b,text\n'), "malformed CSV"),
        (without("in.csv", "text\nhello\n".encode("utf-16")), "not UTF-8"),
        (without("in.tsv", b"id\tbody\tx\n1\ta\tx\n"), "name that of the texts with --text_column"),
        (without("in.parquet", b"PAR1 no more"), "cannot be read as Parquet"),
        (without("in.doc", b"hello"), "unknown format"),
        (numbers_as_texts, "make them strings"),
        (empty_directory, "holds no .eml files"),
        (lambda: ["--input", "nothing.csv"], "cannot read --input nothing.csv"),
        (lambda: ["hello", "--input", "in.csv"], "do not go together"),
        (lambda: ["hello", "--output", "out.xlsx"], "unknown format; accepted are .csv"),
        (lambda: ["hello", "--output", "nowhere/out.csv"], "there is no directory nowhere"),
        (lambda: ["hello", "--threshold", "1.5"], "from 0 to 1"),
        (lambda: ["hello", "--threshold", "nan"], "from 0 to 1"),
        (lambda: ["hello", "--accelerator", "abacus"], "--accelerator abacus"),
        (lambda: [], "holds no texts"),
    ],
)
def test_refusals(predict: Callable, prepare: Callable[[], Sequence[str]], message: str) -> None:
    arguments = prepare()
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    done = predict(*arguments)
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


def test_threshold(predict: Callable) -> None:
    for threshold, label in (("0", "spam"), ("1", "ham")):
        done = predict("hello", "win a prize", "--threshold", threshold, "--output", f"{label}.csv")
        assert done.code == 0
        assert {row[1] for row in read_csv(f"{label}.csv")[1:]} == {label}
        assert {float(row[-2]) for row in read_csv(f"{label}.csv")[1:]} == {float(threshold)}


def test_overwrite_leaves_no_rejected_rows_of_the_old_file(predict: Callable) -> None:
    write_csv("in.csv", ["fine", ""])
    assert predict("--input", "in.csv", "--output", "out.csv").code == 0
    assert Path("out.csv.rejected.csv").exists()
    write_csv("in.csv", ["fine", "good"])
    assert predict("--input", "in.csv", "--output", "out.csv", "--overwrite").code == 0
    assert len(read_csv("out.csv")) == 3
    assert not Path("out.csv.rejected.csv").exists()


PIECES = [bytes([byte]) for byte in b'",\n\r\t\0a{}[:= \xff'] + [b"\r\n", b"text", b"\xef\xbb\xbf", b"\xff\xfe"]
PIECES += [b'{"text": "a"}\n', b'{"text": "b", "id": 1}\n', b"\\ud800", b"1e999", b"\xe2\x80\xa8"]
CONTENTS = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(head=True, raw=b'"', kind=".csv", into=".csv")
@example(head=True, raw=b'a\n"b\nc', kind=".csv", into=".csv")
@given(
    head=st.booleans(),
    raw=CONTENTS,
    kind=st.sampled_from([".csv", ".tsv", ".jsonl", ".txt"]),
    into=st.sampled_from([".csv", ".jsonl", ".parquet"]),
)
def test_any_bytes_are_accounted_for(predict: Callable, head: bool, raw: bytes, kind: str, into: str) -> None:
    path, output = Path(f"in{kind}"), Path(f"out{into}")
    heads = {".csv": b"text,id\n", ".tsv": b"id\ttext\n", ".jsonl": b'{"text": "a"}\n', ".txt": b"a\n"}
    path.write_bytes((heads[kind] if head else b"") + raw)
    done = predict("--input", path, "--output", output, "--overwrite")
    assert left_over() == set()
    if done.code == 1:
        assert done.err.splitlines()[-1].startswith("error: ")
        return
    assert done.code == 0
    found = re.search(r"rows in: ([\d,]+) = ([\d,]+) classified, into \S+ \+ ([\d,]+) rejected", done.err)
    assert found is not None
    read, judged, rejected = (int(number.replace(",", "")) for number in found.groups())
    assert read == judged + rejected
    listed = len(read_csv(rejected_path(output))) - 1 if rejected else 0
    assert listed == rejected
    if into == ".csv":
        written = len(read_csv(output)) - 1
    elif into == ".jsonl":
        written = len([json.loads(line) for line in output.read_bytes().decode().split("\n")[:-1]])
    else:
        written = len(pd.read_parquet(output))
    assert written == judged


@pytest.mark.slow
def test_reader_that_has_enough(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello\n" * 20_000)
    command = f"{sys.executable} -m spam_classifier.predict --input in.txt --ckpt_path {checkpoint} | head -n 3"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 3
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_help_teaches(predict: Callable) -> None:
    done = predict("--help")
    assert done.code == 0
    for word in (
        "examples:",
        "--input messages.csv --output labels.csv",
        "FILE.incomplete",
        "rejected.csv",
        "formulas",
    ):
        assert word in done.out


def rows_iterated(taken: list[int], count: int) -> Iterator[object]:
    for number in range(count):
        taken.append(number)
        yield checked_row(number, f"text {number}", ["text"], [f"text {number}"])


def test_a_chunk_is_all_that_is_held(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "CHUNK_ROWS", 8)
    taken: list[int] = []
    ahead = []

    class Sink(Screen):
        def append(self, rows: Sequence, *others: object) -> None:
            ahead.append(len(taken) - self.tally.read)
            super().append(rows, *others)  # type: ignore[arg-type]

    source = Input("rows", "row", ["text"], rows_iterated(taken, 50))  # type: ignore[arg-type]
    sink = Sink(io.StringIO(), classifier.labels)
    judging.judge(judging.OneProcess(torch.device("cpu")), source, classifier, None, sink, strict=False)
    assert ahead == [8] * 6 + [2]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_two_that_write_the_same_file(predict: Callable, kind: str) -> None:
    write_csv("in.csv")
    command = ["--input", "in.csv", "--output", f"out.{kind}"]
    with FileLock(f"out.{kind}.incomplete.lock"):
        done = predict(*command)
    assert done.code == 1
    assert f"error: another command is writing out.{kind}: wait for it" in done.err
    assert not Path(f"out.{kind}").exists()
    assert predict(*command).code == 0
    assert {path.name for path in Path().glob("out.*")} == {f"out.{kind}"}


def test_a_file_that_another_has_written_meanwhile(predict: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv("in.csv")
    monkeypatch.setattr(
        "spam_classifier.judging.output.check_output", lambda *_: Path("out.csv").write_text("another's")
    )
    done = predict("--input", "in.csv", "--output", "out.csv")
    assert done.code == 1
    assert "out.csv is there by now" in done.err
    assert Path("out.csv").read_text() == "another's"
    assert {path.name for path in Path().glob("out.*")} == {"out.csv"}


def test_white_space_is_counted_once(predict: Callable) -> None:
    """Runs that are just short enough: to look for too long a one from each of their characters would take hours."""
    Path("in.txt").write_text(f"a{' ' * 499_999}" * 4 + "b\nfine\n")
    done = predict("--input", "in.txt", "--output", "out.csv")
    assert "2 classified" in done.err


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_links_in_the_way_of_the_output_are_not_followed(predict: Callable, suffix: str, overwrite: list[str]) -> None:
    """Whoever can put links beside the output does not choose what is written over."""
    Path("precious").write_text("mine")
    names = [f"out{suffix}", f"out{suffix}.incomplete.json.new", f"out{suffix}.rejected.csv.incomplete"]
    for name in [*names, f"out{suffix}.incomplete"] if overwrite else names:
        Path(name).symlink_to("precious" if overwrite or name != f"out{suffix}" else "nowhere")
    Path("in.csv").write_text('text\nhello\n""\n')
    assert predict("--input", "in.csv", "--output", f"out{suffix}", *overwrite).code == 0
    assert Path("precious").read_text() == "mine"
    assert not Path("nowhere").exists()
    assert not Path(f"out{suffix}").is_symlink()
    assert Path(f"out{suffix}.rejected.csv").read_text().count("no text") == 1
