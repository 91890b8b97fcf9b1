"""The web page in a browser, before an API that only looks like ours."""

import csv
import io
import json
import random
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from spam_classifier import Classifier
from spam_classifier.judging.columns import csv_lines

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import ConsoleMessage, Error, Page, expect, sync_playwright  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
PAGE = Path(str(files("spam_classifier.serving") / "page"))
HOSTILE = "<img src=x onerror=alert(1)>"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")


class Api:
    """What the page talks to. The probability of spam is the number a text ends with, in per cent, else 50 %."""

    def __init__(self) -> None:
        self.labels = ["ham", "spam"]
        self.limits = {"texts": 40, "characters": 200, "body_bytes": 4_000}
        self.key = ""
        self.loading = 0  # times that /health says so
        self.refusals: list[tuple[int, str]] = []  # what the next requests get
        self.seconds = 0.0
        self.requests: list[tuple[str, Any]] = []
        self.largest_body = 0

    def judged(self, text: str) -> dict[str, Any]:
        found = re.search(r"(\d+)\s*$", text)
        second = min(int(found[1]), 100) / 100 if found else 0.5
        rest = [(1 - second) / (len(self.labels) - 1)] * len(self.labels)
        probabilities = dict(zip(self.labels, rest, strict=True)) | {self.labels[1]: second}
        label = max(probabilities, key=lambda name: probabilities[name])
        return {
            "label": label,
            "probability": probabilities[label],
            "probabilities": probabilities,
            "truncated": len(text) > 100,
        }

    def answer(self, method: str, path: str, body: Any, key: str | None) -> tuple[int, Any]:
        if path == "/health":
            self.loading -= 1
            return (503, {"status": "loading"}) if self.loading >= 0 else (200, {"status": "ready"})
        if path == "/model":
            described = {"run": "version_0", "labels": self.labels, "max_length": 120, "limits": self.limits}
            return 200, {**described, "threshold": 0.5 if len(self.labels) == 2 else None, "needs_key": bool(self.key)}
        self.requests.append((path, body))
        time.sleep(self.seconds)
        if self.key and key != f"Bearer {self.key}":
            return 401, {"detail": "the key is missing or wrong"}
        if self.refusals:
            status, detail = self.refusals.pop(0)
            return status, {"detail": detail}
        if path == "/predict":
            if len(body["texts"]) > self.limits["texts"]:
                return 413, {"detail": "too many"}
            return 200, {"threshold": 0.5, "predictions": [self.judged(text) for text in body["texts"]]}
        parts = re.findall(r"\s+|\S+", body["text"])
        influences = [None if part.isspace() else 2.0 if part.isupper() else -0.5 for part in parts]
        found = [{"text": part, "influence": own} for part, own in zip(parts, influences, strict=True)]
        return 200, {"label": body["label"], "prediction": self.judged(body["text"]), "parts": found}

    @property
    def texts(self) -> list[str]:
        """All texts that came to be judged."""
        return [text for path, body in self.requests if path == "/predict" for text in body["texts"]]


def handler_of(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def send(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            headers = {"Content-Type": kind, "Content-Length": str(len(content)), "Content-Security-Policy": POLICY}
            if status in (429, 503):
                headers["Retry-After"] = "0.05"
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            if self.path in FILES:
                name, kind = FILES[self.path]
                self.send(200, kind, (PAGE / name).read_bytes())
            else:
                self.respond(None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            api.largest_body = max(api.largest_body, len(body))
            self.respond(json.loads(body))

        def respond(self, body: Any) -> None:
            status, answer = api.answer(self.command, self.path, body, self.headers["Authorization"])
            self.send(status, "application/json", json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Api, str]]:
    api = Api()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(api))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield api, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def api(served: tuple[Api, str]) -> Api:
    served[0].__init__()  # type: ignore[misc]  # as new
    return served[0]


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, headless=True, args=FLAGS)
        context = browser.new_context(reduced_motion="reduce", accept_downloads=True)
        context.set_default_timeout(5_000)
        yield context.new_page()
        browser.close()


@pytest.fixture
def page(tab: Page, api: Api, served: tuple[Api, str]) -> Iterator[Page]:
    """The page, which must neither fail nor break the policy it comes with, whatever it is given."""
    complaints: list[str] = []
    tab.set_viewport_size({"width": 1280, "height": 800})

    def hear(line: ConsoleMessage) -> None:
        if "Security Policy" in line.text:
            complaints.append(line.text)

    def fail(error: Error) -> None:
        complaints.append(str(error))

    tab.on("pageerror", fail)
    tab.on("console", hear)
    tab.goto(served[1])
    yield tab
    tab.remove_listener("pageerror", fail)
    tab.remove_listener("console", hear)
    assert complaints == []


def paste(page: Page, *lines: str) -> None:
    page.get_by_label("One message a line").fill("\n".join(lines))
    page.get_by_role("button", name="Classify").click()


def rows(page: Page) -> list[tuple[str, str, str]]:
    """Label, percentage and text of each row."""
    cells = (
        "rows => rows.map(row => ['.chip', '.percent', '.excerpt'].map(part => row.querySelector(part).textContent))"
    )
    return [tuple(row) for row in page.locator("#rows > li").evaluate_all(cells)]


def choose(page: Page, name: str, content: bytes) -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": "", "buffer": content})


def test_pasted_lines_are_judged(page: Page, api: Api) -> None:
    paste(page, "call now 97", "", "see you 3", "  maybe  ", "x" * 201)
    expect(page.locator("#summary")).to_contain_text("3 messages judged")
    assert rows(page) == [
        ("spam", "97.0 %", "call now 97"),
        ("ham", "3.0 %", "see you 3"),
        ("spam", "50.0 %", "  maybe  "),
    ]
    assert api.texts == ["call now 97", "see you 3", "  maybe  "]
    expect(page.locator("#passed-over")).to_contain_text("1 message of more than 200 characters (line 5)")
    expect(page.locator("#tiles")).to_contain_text("2spam")
    page.locator("#tiles").get_by_role("button", name="ham").click()
    assert [row[2] for row in rows(page)] == ["see you 3"]


def test_whole_box_is_one_message(page: Page, api: Api) -> None:
    page.get_by_text("The whole box is one message").click()
    page.get_by_role("textbox", name="One message").fill("two lines,\n\none message 80" + " " * 90)
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_text("cut", exact=True)).to_be_visible()
    assert api.texts == ["two lines,\n\none message 80" + " " * 90]


def test_requests_keep_to_the_limits_and_many_rows_come_in_pages(page: Page, api: Api) -> None:
    texts = [f"é{'ü' * (number % 90)} message {number % 101}" for number in range(500)]
    choose(page, "many.txt", "\n".join(texts).encode())
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#summary")).to_contain_text("500 messages judged")
    assert api.texts == texts
    assert api.largest_body <= api.limits["body_bytes"]
    assert max(len(body["texts"]) for _, body in api.requests) <= api.limits["texts"]
    assert len(rows(page)) == 100
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#page-says")).to_have_text("101 to 200 of 500")
    assert rows(page)[0][2] == texts[100]
    page.get_by_label("Order").select_option(label="most surely spam first")
    assert rows(page)[0][1] == "100.0 %"
    page.get_by_label("Order").select_option(label="most surely ham first")
    assert rows(page)[0][1] == "0.0 %"


def test_threshold_decides_without_asking_again(page: Page, api: Api) -> None:
    paste(page, "a 20", "b 50", "c 70")
    expect(page.locator("#summary")).to_contain_text("judged")
    assert [row[0] for row in rows(page)] == ["ham", "spam", "spam"]
    page.get_by_role("slider").fill("0.6")
    expect(page.locator("#tiles")).to_contain_text("1spam")
    assert [row[0] for row in rows(page)] == ["ham", "ham", "spam"]
    page.locator("#tiles").get_by_role("button", name="ham").click()
    page.get_by_label("Threshold as a number").fill("0.2")
    expect(page.locator("#rows > li")).to_have_count(0)
    expect(page.locator("#counts")).to_have_text("0 ham, 3 spam at a threshold of 0.2")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#rows > li")).to_have_count(1)
    expect(page.get_by_role("slider")).to_have_value("0.5")
    assert len(api.requests) == 1


def test_hostile_text_is_text(page: Page, api: Api) -> None:
    api.refusals = [(500, HOSTILE)]
    paste(page, f"{HOSTILE} WIN 90")
    expect(page.get_by_role("alert")).to_have_text(f"{HOSTILE}.")
    page.get_by_role("button", name="Classify").click()
    page.locator(".line").click()
    expect(page.locator(".words")).to_have_text(f"{HOSTILE} WIN 90")
    expect(page.locator(".legend")).to_be_visible()
    choose(page, f"{HOSTILE}.csv", f'{HOSTILE},b\n"{HOSTILE}",1\n'.encode())
    expect(page.locator("#file-name")).to_contain_text("<img")
    expect(page.get_by_label("Column of the text")).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0


def test_row_opens_to_the_words_that_pushed_it(page: Page, api: Api) -> None:
    paste(page, "CALL me  now 90")
    row = page.locator(".line")
    row.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".words .word.towards", has_text="CALL")).to_have_attribute("title", "+2.00 towards spam")
    expect(page.locator(".words .word.against", has_text="me")).to_have_attribute("title", "\u22120.50 towards ham")
    assert page.locator(".words").text_content() == "CALL me  now 90"
    expect(page.locator(".pushes section").first).to_have_text("Most towards spamCALL+2.00")
    looks = page.locator(".words .word").evaluate_all(
        "all => all.map(getComputedStyle).map(style => [style.backgroundColor, style.textDecorationStyle])"
    )
    assert looks[0][0] != looks[1][0]
    assert [line for _, line in looks] == ["solid", "dotted", "dotted", "dotted"]
    expect(row).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Space")
    expect(page.locator(".panel")).to_be_hidden()
    row.click()
    assert [path for path, _ in api.requests] == ["/predict", "/explain"]
    assert api.requests[1][1] == {"text": "CALL me  now 90", "label": "spam"}


def test_failed_explanation_says_why_and_can_be_asked_for_again(page: Page, api: Api) -> None:
    paste(page, "CALL me 90")
    expect(page.locator(".line")).to_be_visible()
    api.refusals = [(504, "not answered within 30 seconds")]
    page.locator(".line").click()
    expect(page.get_by_role("alert").last).to_have_text("Not answered within 30 seconds.")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".words .word.towards").first).to_have_text("CALL")


def test_keyboard_alone_will_do(page: Page, api: Api) -> None:
    def at() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.className"))

    expect(page.locator("#state")).to_contain_text("ready")
    page.keyboard.press("Tab")
    assert at() == "box"
    page.keyboard.insert_text("WIN 90\nlater 10")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#summary")).to_contain_text("2 messages judged")
    passed = []
    while at() != "line":
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        passed.append((at(), outline))
        assert len(passed) < 20
    names = [name for name, _ in passed]
    wanted = ["whole", "file", "classify", "threshold-number", "threshold", "order", "download", "line"]
    assert [name for name in names if name in wanted] == wanted
    assert {outline for name, outline in passed if name not in ("whole", "file")} == {"solid"}
    page.keyboard.press("Enter")
    expect(page.locator(".words .word.towards").first).to_have_text("WIN")
    page.get_by_role("slider").focus()
    for _ in range(45):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#counts")).to_have_text("2 ham, 0 spam at a threshold of 0.95")


def test_csv_with_quotes_line_breaks_and_a_mark(page: Page, api: Api) -> None:
    table = '\ufeffid,TEXT\r\n1,"one, ""two""\r\nand 90"\r\n2,\r\n3,plain 5\r\n4,too,many\r\n'
    choose(page, "in.box.csv", table.encode())
    expect(page.get_by_label("Column of the text")).to_have_value("1")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#summary")).to_contain_text("2 messages judged")
    assert api.texts == ['one, "two"\r\nand 90', "plain 5"]
    expect(page.locator("#passed-over")).to_contain_text("than the header (line 6)")
    expect(page.locator("#passed-over")).to_contain_text("without text (line 4)")
    page.get_by_label("Order").select_option("least")
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download CSV").click()
    assert caught.value.suggested_filename == "in.box-judged.csv"
    columns = [
        "id",
        "TEXT",
        "predicted",
        "probability",
        "probability_ham",
        "probability_spam",
        "threshold",
        "truncated",
    ]
    first = ["1", 'one, "two"\r\nand 90', "spam", 0.9, 1 - 0.9, 0.9, 0.5, False]
    second = ["3", "plain 5", "ham", 0.95, 0.95, 0.05, 0.5, False]
    assert Path(caught.value.path()).read_bytes().decode() == csv_lines([columns, first, second])


def test_column_can_be_chosen_and_the_file_left(page: Page, api: Api) -> None:
    choose(page, "t.csv", b"subject,body\nhello,the longer text 60\n")
    column = page.get_by_label("Column of the text")
    expect(column).to_have_value("1")
    column.select_option("subject")
    expect(page.locator("#column-sample")).to_have_text("hello")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#summary")).to_contain_text("1 message judged")
    assert api.texts == ["hello"]
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_label("One message a line")).to_be_focused()


def test_file_is_dropped(page: Page, api: Api) -> None:
    expect(page.locator("#state")).to_contain_text("ready")
    page.evaluate(
        """() => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(["first 10\\r\\n\\nsecond 90\\n"], "inbox.TXT"));
            document.querySelector("h1").dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true}));
        }"""
    )
    expect(page.locator("#file-size")).to_have_text("2 messages")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#summary")).to_contain_text("2 messages judged")
    assert api.texts == ["first 10", "second 90"]


def test_unfit_files_are_refused(page: Page) -> None:
    for name, content, reason in (
        ("a.pdf", b"x", "name a .csv or a .txt"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"text\n", "no rows"),
        ("a.csv", b'text\na\n"b\n', "line 3: a quote is opened and never closed"),
        ("a.csv", b'text\n"b" c\n', "line 2: something stands behind a closing quote"),
        ("a.txt", b"caf\xe9", "not UTF-8"),
    ):
        choose(page, name, content)
        expect(page.get_by_role("alert")).to_contain_text(reason)
    expect(page.locator("#file-side")).to_be_hidden()


def test_csv_is_read_as_python_reads_it(page: Page) -> None:
    draw = random.Random(0)
    tables = []
    for _ in range(300):
        cells = [["".join(draw.choices('a,"\r\n é', k=draw.randint(0, 4))) for _ in range(3)] for _ in range(3)]
        written = io.StringIO()
        quoting = draw.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
        csv.writer(written, lineterminator=draw.choice(["\n", "\r\n"]), quoting=quoting).writerows(cells)
        tables.append(written.getvalue().rstrip(draw.choice(["", "\r\n"])))
    tables += ["a,b,", "a,b\n,", '""', '"",""', "\n\n a\n\n", 'a"b,c', "a\rb\r", ""]
    found = page.evaluate(
        "async tables => { const {csvRows} = await import('/page.js'); return tables.map(csvRows); }", tables
    )
    for table, own in zip(tables, found, strict=True):
        reader = csv.reader(io.StringIO(table, newline=""), strict=True)
        expected, line = [], 1
        for fields in reader:
            if fields:
                expected.append({"line": line, "fields": fields})
            line = reader.line_num + 1
        assert own == expected, repr(table)


def test_refusals_are_shown_and_a_busy_server_is_asked_again(page: Page, api: Api) -> None:
    api.refusals = [(503, "busy"), (429, "busy"), (422, "text 1: no text")]
    paste(page, "one 10", "two 20")
    expect(page.get_by_role("alert")).to_have_text("Lines 1 to 2: Text 1: no text.")
    assert len(api.requests) == 3
    api.refusals = [(504, "too slow")]
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#summary")).to_contain_text("2 messages judged")
    expect(page.get_by_role("alert")).to_be_empty()
    assert [len(body["texts"]) for _, body in api.requests[3:]] == [2, 1, 1]


def test_cancel_keeps_what_has_been_judged(page: Page, api: Api) -> None:
    api.limits["texts"] = 5
    page.reload()
    expect(page.locator("#state")).to_contain_text("ready")
    api.seconds = 0.15
    paste(page, *(f"message {number}" for number in range(100)))
    expect(page.locator("#rows > li")).not_to_have_count(0)
    expect(page.locator("#progress-text")).to_contain_text("of 100 messages")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#summary")).to_contain_text("Cancelled")
    expect(page.get_by_role("button", name="Classify")).to_be_focused()
    expect(page.locator("#progress-side")).to_be_hidden()
    asked = len(api.requests)
    assert 0 < len(rows(page)) < 100
    time.sleep(0.3)
    assert len(api.requests) == asked


def test_key_is_asked_for_and_kept_in_the_tab(page: Page, api: Api) -> None:
    expect(page.locator("#state")).to_contain_text("ready")
    expect(page.get_by_label("Key of the API")).to_be_hidden()
    api.key = "open sesame"
    page.reload()
    paste(page, "a 90")
    expect(page.get_by_label("Key of the API")).to_be_focused()
    page.keyboard.insert_text("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The key is missing or wrong.")
    page.get_by_label("Key of the API").fill("open sesame")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_contain_text("1 message judged")
    page.reload()
    paste(page, "b 90")
    expect(page.locator("#summary")).to_contain_text("1 message judged")
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_page_waits_for_the_model(page: Page, api: Api) -> None:
    expect(page.locator("#state")).to_contain_text("version_0 is ready")
    api.loading = 1
    page.reload()
    expect(page.locator("#state")).to_have_text("The model is loading")
    page.get_by_label("One message a line").fill("early 90")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_have_text("The model is still loading.")
    expect(page.locator("#state")).to_contain_text("version_0 is ready: ham, spam; reads 120 tokens")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#summary")).to_contain_text("1 message judged")


def test_more_classes_have_no_threshold(page: Page, api: Api) -> None:
    api.labels = ["arts", "sport", HOSTILE]
    page.reload()
    paste(page, "goal 90", "play 2")
    expect(page.locator("#summary")).to_contain_text("2 messages judged")
    assert [row[:2] for row in rows(page)] == [("sport", "90.0 %"), ("arts", "49.0 %")]
    expect(page.get_by_role("slider")).to_be_hidden()
    page.locator(".line").first.click()
    expect(page.locator(".pushes h3").first).to_have_text("Most against sport")
    page.get_by_label("Order").select_option(label="least sure first")
    assert rows(page)[0][2] == "play 2"


def test_nothing_runs_over_a_narrow_screen(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.reload()
    paste(page, "W" * 90 + " 99", f"{HOSTILE} and a longer message that takes more than one line 40")
    expect(page.locator("#summary")).to_contain_text("judged")
    page.locator(".line").first.click()
    expect(page.locator(".legend")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
def test_page_before_the_real_server(tab: Page, trained: Callable[..., Classifier]) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    from spam_classifier.serving.web_app import Service, http_server

    classifier = trained()
    service = Service(max_texts=20, api_key="open sesame")
    server = http_server(service)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    complaints: list[str] = []
    tab.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    try:
        tab.goto(f"http://127.0.0.1:{listening.getsockname()[1]}")
        expect(tab.locator("#state")).to_have_text("The model is loading")
        assert complaints != []  # a browser reports each 503
        service.classifier = classifier
        tab.get_by_label("Key of the API").fill("open sesame")
        complaints.clear()
        texts = [f"{'call now ' * (number % 20)}message \u00e9 {number} {HOSTILE}" for number in range(110)]
        paste(tab, *texts)
        expect(tab.locator("#summary")).to_contain_text("110 messages judged")
        predictions = classifier.predict(texts)
        assert [row[0] for row in rows(tab)] == [prediction.label for prediction in predictions[:100]]
        cut = [prediction.truncated for prediction in predictions[:100]]
        assert tab.locator(".cut").count() == sum(cut)
        assert not cut[0]
        assert cut[99]
        for place in (0, 99):
            tab.locator(".line").nth(place).click()
            panel = tab.locator(".panel").nth(place)
            expect(panel.locator(".legend")).to_be_visible()
            assert panel.locator(".words").text_content() == texts[place]
            assert panel.locator(".unread").count() == cut[place]
            pushes = [part for part in classifier.explain(texts[place], "spam").parts if part.influence is not None]
            assert panel.locator(".words span:not(.unread)").all_text_contents() == [part.text for part in pushes]
        assert complaints == []
    finally:
        server.should_exit = True
        thread.join()
