"""``python -m spam_classifier.predict``: each row that goes in comes out labelled or rejected, whatever happens."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from unittest.mock import ANY, Mock

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spam_classifier.data.rows import Input, Rejected, Row, checked_row
from spam_classifier.inference.classifier import Classifier
from spam_classifier.judging import judge as judging
from spam_classifier.judging.inputs import argument_input
from spam_classifier.judging.screen import Screen, escape_control, shortened

HOSTILE = ["\x1b[31mred\x1b]0;title\x07", "=1+1", "two\nlines", 'a "quoted", text', "\u202egnp", "日本語 " * 60, "a\tb"]
TEXTS = [*(f"message {n} of many {'words ' * (n % 9)}" for n in range(40)), *HOSTILE, "prize " * 90]
LINES = [text for text in TEXTS if "\n" not in text and "\t" not in text]
BLANK = {3: "", 17: " ", 30: "\u2003"}
MIXED = [BLANK.get(number, text) for number, text in enumerate(TEXTS)]
ADDED = ["predicted", "probability", "probability_ham", "probability_spam", "threshold", "truncated"]
COMMAND = ["--input", "in.csv", "--output", "out.csv"]


@pytest.fixture(scope="module")
def classifier(trained: Callable[..., Classifier]) -> Classifier:
    return trained(layers=1, width=16, heads=1, max_length=60)


@pytest.fixture
def predict(classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable) -> Callable:
    """Run the command in this process, with chunks of eight rows."""
    from spam_classifier.predict import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judging, "CHUNK_ROWS", 8)
    return partial(call, main, "--ckpt_path", classifier.checkpoint, "--accelerator", "cpu")


def write_csv(texts: Sequence[str] = TEXTS) -> None:
    with Path("in.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *enumerate(texts)])


def read_csv(path: Path | str) -> list[list[str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, strict=True))


def read_rows(path: str) -> list[dict]:
    """The rows of a table of any format."""
    if path.endswith(".parquet"):
        return pd.read_parquet(path).to_dict("records")
    if path.endswith(".jsonl"):
        return [json.loads(line) for line in Path(path).read_bytes().decode().split("\n")[:-1]]
    names, *rows = read_csv(path)
    return [dict(zip(names, row, strict=True)) for row in rows]


def names(pattern: str = "*incomplete*") -> set[str]:
    return {path.name for path in Path().glob(pattern)}


def check_labels(rows: Sequence[dict], texts: Sequence[str], classifier: Classifier) -> None:
    for row, text, own in zip(rows, texts, classifier.predict(texts), strict=True):
        assert (row["text"], row["predicted"], float(row["threshold"])) == (text, own.label, 0.5)
        found = [float(row[name]) for name in ("probability", "probability_ham", "probability_spam")]
        assert found == pytest.approx([own.probability, *own.probabilities.values()], abs=1e-6)
        assert str(row["truncated"]).lower() == str(own.truncated).lower()


def write_table(suffix: str) -> list[str]:
    """Write ``in<suffix>``: the texts in it."""
    texts = LINES if suffix in (".tsv", ".txt") else TEXTS
    path, frame = Path(f"in{suffix}"), pd.DataFrame({"n": range(len(texts)), "text": texts})
    if suffix == ".txt":
        path.write_text("\n".join(texts), encoding="utf-8")
    elif suffix == ".tsv":
        path.write_text("".join(f"{n}\t{text}\n" for n, text in [("n", "text"), *enumerate(texts)]), encoding="utf-8")
    elif suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    return texts


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt"])
def test_every_format(predict: Callable, classifier: Classifier, suffix: str) -> None:
    texts = write_table(suffix)
    for output in ("out.csv", "out.jsonl"):
        done = predict("--input", f"in{suffix}", "--output", output)
        assert done.code == 0, done.err
        assert f"rows in: {len(texts)} = {len(texts)} classified, into {output} + 0 rejected" in done.err
        assert "2 of " in done.err  # texts were cut
        rows = read_rows(output)
        assert list(rows[0])[-6:] == ADDED
        check_labels(rows, texts, classifier)
        if suffix != ".txt":
            assert [int(row["n"]) for row in rows] == list(range(len(texts)))
    assert names() == names("*.rejected.csv") == set()


def test_typed_and_piped_texts(predict: Callable, classifier: Classifier) -> None:
    predictions = classifier.predict(["hello", "see you"])
    expected = [f"{own.label}\t{own.probabilities['spam']:.4f}" for own in predictions]
    for done in (
        predict("hello", "see you"),
        predict(stdin=b"hello\nsee you"),
        predict("-", stdin=b"hello\r\nsee you\r\n"),
        predict("--input", "-", stdin=b"hello\nsee you\n"),
    ):
        assert done.code == 0, done.err
        assert done.err == f"checkpoint {classifier.checkpoint}\n"
        assert [line.rpartition("\t")[0] for line in done.out.splitlines()] == expected
    assert predict("hello", "see you", "--output", "out.csv").code == 0
    assert [row[0] for row in read_csv("out.csv")] == ["text", "hello", "see you"]


def test_emails(predict: Callable, classifier: Classifier) -> None:
    Path("mails").mkdir()
    for name, body in (("b.eml", "call now"), ("a.EML", "see you"), ("deeper/1", "come")):
        path = Path("mails", name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"From: a@example.com\nSubject: Prize\n\n{body}\n")
    Path("mails/c.eml").write_text("Subject:\n\n")
    Path("mails/notes.md").write_text("no mail")
    done = predict("--input", "mails", "--output", "out.jsonl")
    assert done.code == 0
    assert "rejected: mails/c.eml: no text" in done.err
    assert "note: mails: files passed over, which are no mails: 1 (first: mails/notes.md)" in done.err
    rows = read_rows("out.jsonl")
    assert [row["file"] for row in rows] == ["mails/a.EML", "mails/b.eml", "mails/deeper/1"]
    assert {(row["lost_characters"], row["left_out"]) for row in rows} == {(0, "")}
    check_labels(rows, ["Prize\nsee you", "Prize\ncall now", "Prize\ncome"], classifier)
    assert read_csv("out.jsonl.rejected.csv") == [["file", "reason"], ["mails/c.eml", "no text"]]
    assert "mails/a.EML: Prize\\nsee you" in predict("--input", "mails/a.EML").out


@pytest.mark.parametrize(("corpus", "warned"), [("uci", True), ("sample", True), ("mails", False)])
def test_a_model_that_knows_no_emails_says_so(
    predict: Callable, classifier: Classifier, corpus: str, warned: bool
) -> None:
    Path("run/checkpoints").mkdir(parents=True)
    shutil.copy(classifier.checkpoint, "run/checkpoints/best.ckpt")
    Path("run/config.yaml").write_text(f"model: {{weights: random, layers: 1}}\ndata: {{corpus: {corpus}}}\n")
    Path("a.eml").write_text("From: a@example.com\nSubject: Prize\n\nsee you\n")
    done = predict("--input", "a.eml", "--ckpt_path", "run/checkpoints/best.ckpt")
    assert done.code == 0, done.err
    assert ("it is no e-mail filter" in done.err) == warned


def test_mailbox(predict: Callable, classifier: Classifier) -> None:
    mail = "From a@example.com Mon Jan  1 10:00:00 2024\nFrom: a@example.com\nSubject: Prize\n\n{}\n\n"
    Path("in.mbox").write_text(mail.format("see you") + mail.format("call now"))
    assert predict("--input", "in.mbox", "--output", "out.csv").code == 0
    check_labels(read_rows("out.csv"), ["Prize\nsee you", "Prize\ncall now"], classifier)
    assert [row["mail"] for row in read_rows("out.csv")] == ["1", "2"]


def test_what_was_assumed_is_said_once_and_can_be_overridden(predict: Callable) -> None:
    texts = "see you at the café", "£500 for you, now"
    Path("in.csv").write_bytes("\n".join(["id;Nachricht", *map(";".join, enumerate_texts(texts))]).encode("cp1252"))
    refused = predict("--input", "in.csv")
    assert "the columns are 'id', 'Nachricht', and none is known as that of texts; give --text_column" in refused.err
    done = predict("--input", "in.csv", "--text_column", "Nachricht")
    assert (
        done.err.count("note: in.csv: read as windows-1252, a guess (--encoding); fields separated by a semicol") == 1
    )
    assert [line.split("\t")[2] for line in done.out.splitlines()] == [*texts]
    done = predict(
        "--input", "in.csv", "--text_column", "[id, Nachricht]", "--encoding", "cp1252", "--output", "out.csv"
    )
    assert "a guess" not in done.err
    refused = predict("--input", "in.csv", "--text_column", "2", "--encoding", "utf-8")
    assert refused.err.startswith("error: in.csv is not utf-8: correct --encoding")
    piped = predict("--encoding", "cp1252", stdin="café".encode("cp1252"))
    assert piped.out.endswith("\tcafé\n")
    assert predict("café", "--encoding", "cp1252").code == 2


def enumerate_texts(texts: Sequence[str]) -> list[tuple[str, str]]:
    return [(str(number), text) for number, text in enumerate(texts)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_a_csv_keeps_the_habits_of_the_input(predict: Callable, encoding: str, separator: str) -> None:
    """Excel on Windows reads UTF-8 by its mark alone, and separates by what the country's numbers leave free."""
    lines = [("id", "text"), ("1", "see you at the café"), ("2", "")]
    Path("in.csv").write_bytes("\r\n".join(map(separator.join, lines)).encode(encoding))
    assert predict(*COMMAND).code == 0
    for name, start in (
        ("out.csv", f'"id"{separator}"text"{separator}"predicted"'),
        ("out.csv.rejected.csv", '"line"'),
    ):
        written = Path(name).read_bytes()
        assert written.startswith(b"\xef\xbb\xbf") == (encoding != "utf-8")
        assert written.decode("utf-8-sig").startswith(start)
    assert "café" in Path("out.csv").read_text(encoding="utf-8-sig")


def test_columns_are_copied_unchanged(predict: Callable) -> None:
    rows = [["", "=2+3", "hello", "\ta", ""], ["", "+1", "see\r\nyou", "'", "-"], ["", "@x", "ok", ' "', "01"]]
    with Path("in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["", "id", "Text", "x", ""], *rows])
    assert predict(*COMMAND).code == 0
    assert [row[:5] for row in read_csv("out.csv")] == [["", "id", "Text", "x", ""], *rows]
    assert '"","=2+3","hello","\ta","","' in Path("out.csv").read_text()
    refused = predict("--input", "in.csv", "--output", "out.jsonl")
    assert refused.code == 1
    assert "several columns ''" in refused.err
    Path("in.csv").write_text("text,\nhello, you\n")
    assert predict(*COMMAND, "--overwrite").code == 0
    assert [row[:2] for row in read_csv("out.csv")] == [["text", "predicted"], ["hello, you", ANY]]
    line = '{"id": 12345678901234567890, "x": 1.10, "text": "hi", "in": {"a": [1.5, null]}, "b": true, "no": null'
    Path("in.jsonl").write_text(line + "}\n")
    assert predict("--input", "in.jsonl", "--output", "out.jsonl").code == 0
    assert Path("out.jsonl").read_text().startswith(line + ', "predicted": ')
    frame = pd.DataFrame({"id": [1, None], "text": ["a", "b"], "l": [[1]] * 2, "kind": pd.Categorical(["x", "y"])})
    frame["day"] = pd.to_datetime("2020-01-02")
    frame.to_parquet("in.parquet")
    assert predict("--input", "in.parquet", "--output", "of_parquet.jsonl").code == 0
    (first, second) = read_rows("of_parquet.jsonl")
    assert [first[name] for name in frame.columns] == [1.0, "a", [1], "x", "2020-01-02 00:00:00"]
    assert second["id"] is None
    Path("in.tsv").write_text("ham\thello\nspam\twin\n")  # without a header: as in training
    assert predict("--input", "in.tsv", "--output", "out.csv", "--overwrite").code == 0
    assert [row[:2] for row in read_csv("out.csv")] == [["label", "text"], ["ham", "hello"], ["spam", "win"]]


def test_json_lines_into_a_table_have_the_columns_of_the_first_row(predict: Callable) -> None:
    Path("in.jsonl").write_text('{"text": "a", "id": 1}\n{"text": "b"}\n{"text": "c", "x": 1}\n')
    assert predict("--input", "in.jsonl", "--output", "out.csv").code == 0
    assert [row[:2] for row in read_csv("out.csv")] == [["text", "id"], ["a", "1"], ["b", ""]]
    assert "'x'" in read_csv("out.csv.rejected.csv")[1][1]
    Path("in.jsonl").write_text('{"text": "a", "predicted": 1}\n{"text": "b"}\n')
    done = predict("--input", "in.jsonl", "--output", "out.jsonl")
    assert "has a member 'predicted'" in done.err
    assert "2 = 1 classified" in done.err


def test_terminal_gets_no_control_characters(predict: Callable) -> None:
    lines = predict(*HOSTILE).out.splitlines()
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


def classify(source: Input, classifier: Classifier, sink: Screen) -> None:
    judging.judge(classifier, source, sink)


def test_table_on_a_terminal(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(screen, "isatty", lambda: True)
    classify(argument_input(TEXTS), classifier, Screen(screen, classifier.labels))
    lines = screen.getvalue().splitlines()
    assert len(lines) == len(TEXTS) + 1
    assert len({line.index(word) for line, word in zip(lines, ["text", *["message"] * 40], strict=False)}) == 1
    assert max(map(len, lines)) < 60


def test_ctrl_c_keeps_what_is_done(predict: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv()
    original, chunks = Classifier.predict, iter(range(99))

    def predict_twice(self: Classifier, *arguments: object) -> list:
        if next(chunks) == 2:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Classifier, "predict", predict_twice)
    stopped = predict(*COMMAND)
    assert stopped.code == 130
    assert "16 rows are done, those of out.csv.incomplete" in stopped.err
    done = read_csv("out.csv.incomplete")
    assert len(done) == 1 + 16
    refused = predict(*COMMAND)
    assert refused.code == 1
    assert "out.csv.incomplete is there already" in refused.err
    assert predict(*COMMAND, "--overwrite").code == 0
    assert read_csv("out.csv")[:17] == done
    assert names() == set()


def test_an_error_leaves_nothing(predict: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv()
    monkeypatch.setattr(Path, "replace", Mock(side_effect=OSError(28, "No space left on device")))
    done = predict(*COMMAND)
    assert done.code == 1
    assert "cannot write out.csv (No space left on device)" in done.err
    assert names("out*") == set()


BAD_ROWS = {
    "in.csv": (
        b'text,id\nfine,1\nbad\n"",2\n\xff,3\nmore,4\nfine,\xff\n"a"b,5\n\xe2\x80\x83,6\nlast,7\n,\n\xc3\xa9,8\n\xc3\xa9,9\n',
        {3: "number of fields", 4: "no text", 5: "not utf-8", 7: "not utf-8", 8: "malformed", 9: "no text"},
        ["fine", "more", "last", "é", "é"],
    ),
    "in.tsv": (
        b'text\tid\nfine\t1\nbad\n\t2\n\xff\t3\n"more\t4\n\t\n\xc3\xa9\t5\n\xc3\xa9\t6\n',
        {3: "number of fields", 4: "no text", 5: "not utf-8"}, ["fine", '"more', "é", "é"],
    ),
    "in.jsonl": (
        b'{"text": "fine"}\n{"text": 5}\n{"text": "", "id": 1}\n{"text": null, "id": 1}\n[]\nx\n'
        b'{"text": "\xff"}\n{"text": "\\ud800"}\n'
        b'{"body": "a"}\n{"text": [1]}\n{"text": "a", "id": NaN}\n{"text": "a", "id": [1e999]}\n{"text": "last"}\n'
        + b'{"text": "a", "id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n" + b'{"text": "\xc3\xa9"}\n' * 2,
        {2: "not a string", 3: "no text", 4: "no text", 5: "no JSON object", 6: "malformed JSON", 7: "not utf-8",
         8: "surrogate", 9: "no member 'text'", 10: "not a string", 11: "malformed", 12: "written", 14: "malformed"},
        ["fine", "last", "é", "é"],
    ),
    "in.txt": (b"fine\n\n\xff\r\nlast\n\xc3\xa9\n\xc3\xa9", {3: "not utf-8"}, ["fine", "last", "é", "é"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_are_listed_and_the_others_go_on(predict: Callable, name: str) -> None:
    raw, reasons, good = BAD_ROWS[name]
    Path(name).write_bytes(raw)
    done = predict("--input", name, "--output", "out.csv")
    assert done.code == 0, done.err
    assert [row["text"] for row in read_rows("out.csv")] == good
    _, *rejected = read_csv("out.csv.rejected.csv")
    assert {int(line) for line, _ in rejected} == set(reasons)
    for line, reason in rejected:
        assert reasons[int(line)] in reason
    total = len(good) + len(reasons)
    assert f"rows in: {total} = {len(good)} classified, into out.csv + {len(reasons)} rejected (out.csv.rej" in done.err
    assert done.err.count("rejected: ") == min(len(reasons), 5)
    assert len(predict("--input", name).out.splitlines()) == len(good)
    strict = predict("--input", name, "--output", "strict.csv", "--strict")
    assert strict.code == 1
    first = min(reasons)
    assert re.search(rf"error: {name}, line {first}: .*{reasons[first]}.*; correct it", strict.err)
    assert not Path("strict.csv").exists()


def test_bad_rows_of_a_parquet(predict: Callable) -> None:
    texts = pa.array([b"fine", b"\xff", None, b"last", None]).view(pa.string())
    pq.write_table(pa.table({"text": texts, "id": ["1", "2", "3", "4", ""]}), "in.parquet")
    assert predict("--input", "in.parquet", "--output", "out.csv").code == 0
    assert [row["text"] for row in read_rows("out.csv")] == ["fine", "last"]
    assert read_csv("out.csv.rejected.csv") == [["row", "reason"], ["2", "not UTF-8"], ["3", "no text"]]


def test_white_space_is_counted_once(predict: Callable) -> None:
    """Runs just short enough are the hard case: a search from each of their characters would take hours."""
    space = " " * 499_999
    Path("in.txt").write_text(f"a{space * 2}b\n{'a ' * 600_000}\n{f'a{space}' * 4}b\nfine\n")
    done = predict("--input", "in.txt")
    assert "line 1: 500,000 or more characters of white space" in done.err
    assert "4 = 3 classified + 1 rejected" in done.err


def test_the_status_tells_that_nothing_was_classified(predict: Callable) -> None:
    done = predict("")
    assert done.code == 1
    assert "rows in: 1 = 0 classified + 1 rejected" in done.err
    assert done.err.splitlines()[-1] == "error: nothing was classified: no row holds a text that can be read"
    assert predict("", "hello").code == 0


FILES = {
    "in.csv": b"text\nhello\n",
    "old.csv": b"mine",
    "new.csv.rejected.csv": b"mine",
    "labelled.csv": b"text,probability_x\na,b\n",
    "empty.csv": b"",
    "header.csv": b"text\n",
    "words.csv": b"id,words\n1,a\n",
    "utf16.csv": "text\nhello\n".encode("utf-16")[:-1],
    "columns.tsv": b"id\twords\tx\n1\ta\tx\n",
    "broken.parquet": b"PAR1 no more",
    "numbers.parquet": pd.DataFrame({"text": [1, 2]}).to_parquet(),
    "letter.doc": b"hello",
    "mails/notes.md": b"no mail",
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("hello --output old.csv", "old.csv is there already"),
        ("hello --output new.csv", "new.csv.rejected.csv is there already"),
        ("--input in.csv --output in.csv --overwrite", "is the input"),
        ("--input labelled.csv --output out.csv", "has a column 'probability_x', which the output adds"),
        ("--input empty.csv", "empty.csv is empty"),
        ("--input header.csv --output out.csv", "holds no texts"),
        ("--input words.csv", "the columns are 'id', 'words', and none is known as that of texts"),
        ("--input utf16.csv", "begins as UTF-16 and is damaged"),
        ("--input columns.tsv", "give --text_column, a column's name or its number from 1"),
        ("--input broken.parquet", "cannot be read as Parquet"),
        ("--input numbers.parquet", "make them strings"),
        ("--input letter.doc", "unknown format"),
        ("--input mails", "holds no mails and no .txt files"),
        ("--input nothing.csv", "cannot read --input nothing.csv"),
        ("hello --input in.csv", "do not go together"),
        ("hello --output out.xlsx", "unknown format; accepted are .csv"),
        ("hello --output nowhere/out.csv", "there is no directory nowhere"),
        ("hello --threshold 1.5", "from 0 to 1"),
        ("hello --threshold nan", "from 0 to 1"),
        ("hello --accelerator abacus", "--accelerator abacus"),
        ("hello --ckpt_path best", "train one first"),
        ("hello --ckpt_path nothing.ckpt", "no such run or checkpoint"),
        ("", "holds no texts"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(predict: Callable, arguments: str, message: str) -> None:
    Path("mails").mkdir()
    for name, content in FILES.items():
        Path(name).write_bytes(content)
    done = predict(*arguments.split())
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()} == FILES


def test_threshold(predict: Callable) -> None:
    for threshold, label in (("0", "spam"), ("1", "ham")):
        done = predict("hello", "win a prize", "--threshold", threshold, "--output", f"{label}.csv")
        assert done.code == 0
        rows = read_rows(f"{label}.csv")
        assert {(row["predicted"], float(row["threshold"])) for row in rows} == {(label, float(threshold))}


def test_overwrite_removes_the_rejected_rows_of_the_old_file(predict: Callable) -> None:
    write_csv(["fine", " "])
    assert predict(*COMMAND).code == 0
    assert Path("out.csv.rejected.csv").exists()
    write_csv(["fine", "good"])
    assert predict(*COMMAND, "--overwrite").code == 0
    assert len(read_csv("out.csv")) == 3
    assert not Path("out.csv.rejected.csv").exists()


PIECES = [bytes([byte]) for byte in b'",\n\r\t\0a{}[:= \xff'] + [b"\r\n", b"text", b"\xef\xbb\xbf", b"\xff\xfe"]
PIECES += [b'{"text": "a"}\n', b'{"text": "b", "id": 1}\n', b"\\ud800", b"1e999", b"\xe2\x80\xa8"]
CONTENTS = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
HEADS = {".csv": b"text,id\n", ".tsv": b"id\ttext\n", ".jsonl": b'{"text": "a"}\n', ".txt": b"a\n"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(head=True, raw=b'"', suffix=".csv", into=".csv")
@example(head=True, raw=b'a\n"b\nc', suffix=".csv", into=".csv")
@given(
    head=st.booleans(),
    raw=CONTENTS,
    suffix=st.sampled_from(sorted(HEADS)),
    into=st.sampled_from([".csv", ".jsonl"]),
)
def test_any_bytes_are_accounted_for(predict: Callable, head: bool, raw: bytes, suffix: str, into: str) -> None:
    Path(f"in{suffix}").write_bytes((HEADS[suffix] if head else b"") + raw)
    done = predict("--input", f"in{suffix}", "--output", f"out{into}", "--overwrite")
    assert names() == set()
    if done.code == 1:
        assert done.err.splitlines()[-1].startswith("error: ")
        return
    assert done.code == 0
    found = re.search(r"rows in: ([\d,]+) = ([\d,]+) classified, into \S+ \+ ([\d,]+) rejected", done.err)
    assert found is not None
    read, classified, rejected = (int(number.replace(",", "")) for number in found.groups())
    assert read == classified + rejected
    assert rejected == (len(read_csv(f"out{into}.rejected.csv")) - 1 if rejected else 0)
    assert classified == len(read_rows(f"out{into}"))


@pytest.mark.slow
def test_reader_that_closes_the_pipe(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello\n" * 20_000)
    command = f"{sys.executable} -m spam_classifier.predict --input in.txt --ckpt_path {classifier.checkpoint}"
    done = subprocess.run(f"{command} | head -n 3", shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 3
    assert not re.search("Traceback|Exception", done.stderr)


def test_help_shows_examples_and_files(predict: Callable) -> None:
    done = predict("--help")
    assert done.code == 0
    for part in (
        "examples:",
        "--input messages.csv --output labels.csv",
        "FILE.incomplete",
        "rejected.csv",
        "formulas",
    ):
        assert part in done.out


def test_memory_holds_one_chunk(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    read, read_by_chunk = [], []

    def rows() -> Iterator[Row | Rejected]:
        for number in range(50):
            read.append(number)
            yield checked_row(number, "hello", ["text"], ["hello"])

    monkeypatch.setattr(judging, "CHUNK_ROWS", 8)
    monkeypatch.setattr(Screen, "append", lambda *_: read_by_chunk.append(len(read)))
    classify(Input("rows", "row", ["text"], rows()), classifier, Screen(io.StringIO(), classifier.labels))
    assert read_by_chunk == [8, 16, 24, 32, 40, 48, 50]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_links_in_the_way_of_the_output_are_not_followed(predict: Callable, suffix: str, overwrite: list[str]) -> None:
    """Whoever can put links beside the output does not choose what is written over."""
    output = f"out{suffix}"
    Path("precious").write_text("mine")
    for name in (".rejected.csv.incomplete", *([".incomplete"] if overwrite else [])):
        Path(output + name).symlink_to("precious")
    Path(output).symlink_to("precious" if overwrite else "nowhere")
    Path("in.csv").write_text('text,id\nhello,1\n"",2\n')
    assert predict("--input", "in.csv", "--output", output, *overwrite).code == 0
    assert Path("precious").read_text() == "mine"
    assert not Path("nowhere").exists()
    assert not Path(output).is_symlink()
    assert Path(f"{output}.rejected.csv").read_text().count("no text") == 1
