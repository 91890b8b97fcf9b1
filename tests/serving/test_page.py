"""The web page in a browser, served by the real server with a small stand-in for the model."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="fastapi is not installed")
from playwright.sync_api import Page, Route, expect  # noqa: E402

from spam_classifier.runs.metrics import update_metrics  # noqa: E402
from spam_classifier.serving.web_app import Service  # noqa: E402

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server(served: Callable[..., tuple[Service, int]]) -> tuple[Service, int]:
    return served()


@pytest.fixture
def service(server: tuple[Service, int], stand_in: type) -> Service:
    server[0].__init__(classifier=stand_in(), max_characters=200)  # type: ignore[misc]  # as new
    return server[0]


@pytest.fixture
def model(service: Service) -> Any:
    return service.classifier


@pytest.fixture
def page(new_page: Page, service: Service, server: tuple[Service, int]) -> Page:
    new_page.goto(f"http://127.0.0.1:{server[1]}")
    expect(new_page.locator("#state")).to_have_text("Ready")
    return new_page


def paste(page: Page, *lines: str) -> None:
    page.get_by_label("One message per line").fill("\n".join(lines))
    page.get_by_role("button", name="Classify").click()


def rows(page: Page) -> list[tuple[str, ...]]:
    """Place, label, percentage and text of each row."""
    texts = "row => ['.number', '.chip', '.percent', '.excerpt'].map(part => row.querySelector(part).textContent)"
    return [tuple(row) for row in page.locator("#rows > li").evaluate_all(f"rows => rows.map({texts})")]


def choose(page: Page, name: str, content: bytes) -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": "", "buffer": content})
    page.get_by_role("button", name="Classify").click()


def test_pasted_lines_get_labels(page: Page) -> None:
    paste(page, "call now 97", "", "see you 3", "  maybe  ", "x" * 201)
    expect(page.locator("#summary")).to_have_text("3 messages labelled.")
    assert rows(page) == [
        ("1", "spam", "97.0%", "call now 97"),
        ("3", "ham", "3.0%", "see you 3"),
        ("4", "spam", "50.0%", "  maybe  "),
    ]
    expect(page.locator("#rejected")).to_have_text("line 5: 201 characters, more than 200")
    expect(page.locator("#tiles")).to_have_text("3all1ham2spam")
    page.locator("#tiles").get_by_role("button", name="ham").click()
    assert [row[3] for row in rows(page)] == ["see you 3"]


def test_whole_box_is_one_message(page: Page, model: Any) -> None:
    page.get_by_text("The whole box is one message").click()
    page.get_by_role("textbox", name="One message").fill("two lines,\n\none message 80" + " " * 90)
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_text("cut", exact=True)).to_be_visible()
    assert model.texts == ["two lines,\n\none message 80" + " " * 90]


def test_threshold_moves_without_another_request(page: Page, model: Any) -> None:
    paste(page, "a 20", "b 50", "c 70")
    expect(page.locator("#tiles")).to_have_text("3all1ham2spam")
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert [row[1] for row in rows(page)] == ["ham", "ham", "spam"]
    page.locator("#tiles").get_by_role("button", name="ham").click()
    slider.fill("0.1")
    expect(page.locator("#rows > li")).to_have_count(0)
    expect(page.locator("#counts")).to_have_text("0 ham, 3 spam")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#rows > li")).to_have_count(1)
    expect(slider).to_have_value("0.5")
    assert len(model.texts) == 3


def test_hostile_text_is_text(page: Page) -> None:
    paste(page, f"{HOSTILE} WIN 90")
    page.locator(".line").click()
    expect(page.locator(".words")).to_have_text(f"{HOSTILE} WIN 90")
    expect(page.locator(".pushes")).to_be_visible()
    choose(page, f"{HOSTILE}.csv", f"{HOSTILE},b\n{HOSTILE},1\n".encode())
    expect(page.locator("#file-name")).to_contain_text("<img")
    expect(page.get_by_role("alert")).to_contain_text(HOSTILE)
    choose(page, f"{HOSTILE}.eml", b"Subject: <b>\n\n" + b"a" * 201)
    expect(page.locator("#rejected")).to_contain_text(f"file {HOSTILE}.eml")
    assert page.locator("img").count() == 0


def test_row_opens_to_the_words_that_pushed_its_label(page: Page, service: Service, model: Any) -> None:
    paste(page, "CALL me  now 90")
    expect(page.locator(".line")).to_be_visible()
    service.classifier = None
    page.locator(".line").click()
    expect(page.get_by_role("alert").last).to_have_text("the model is loading: try again")
    service.classifier = model
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".words .word.towards", has_text="CALL")).to_have_attribute(
        "title", "+2.00 \u00b1 0.25 towards spam"
    )
    expect(page.locator(".words .word.against", has_text="me")).to_have_attribute(
        "title", "\u22120.50 \u00b1 0.25 towards ham"
    )
    assert page.locator(".words").text_content() == "CALL me  now 90"
    assert page.locator(".pushes li").all_inner_texts()[0].split("\n") == ["CALL", "+2.00 \u00b1 0.25 towards spam"]
    expect(page.locator(".panel")).to_contain_text(
        "Log-odds of spam: \u22121.00 without any words, +0.50 by the words, \u22120.50 in all. That is spam 90.0%."
    )
    expect(page.locator(".legend .word")).to_have_text(["towards spam", "towards ham"])
    expect(page.locator(".line")).to_have_attribute("aria-expanded", "true")


def test_an_example_is_one_click(page: Page) -> None:
    page.get_by_role("button", name="See you at seven?").click()
    page.get_by_role("button", name="You have won a prize").click()
    expect(page.locator("#summary")).to_have_text("2 messages labelled.")
    assert [row[3] for row in rows(page)] == ["See you at seven?", "You have won a prize, call now"]


def test_an_example_during_a_request_takes_its_place(page: Page) -> None:
    unanswered: list[Route] = []
    page.route("**/predict_file*", lambda route: route.continue_() if unanswered else unanswered.append(route))
    page.get_by_role("button", name="See you at seven?").click()
    expect(page.locator("#cancel")).to_be_visible()
    page.get_by_role("button", name="You have won a prize").click()
    expect(page.locator("#summary")).to_have_text("2 messages labelled.")
    expect(page.locator("#cancel")).to_be_hidden()
    expect(page.locator("#error")).to_be_empty()


def test_page_says_what_the_model_is(page: Page, model: Any, tmp_path: Path) -> None:
    expect(page).to_have_title("Spam or ham?")
    expect(page.get_by_role("link", name="Report")).to_be_hidden()
    model.checkpoint = tmp_path / "version_7/checkpoints/best.ckpt"
    run = tmp_path / "version_7"
    run.mkdir()
    (run / "config.yaml").write_text("model: {weights: gpt2, trainable: last_block}\ndata: {corpus: uci}\n")
    tested = {"acc": 0.96, "acc_interval": [0.93, 0.98], "messages": 300, "checkpoint": "best.ckpt"}
    tested["false_positives"] = {"hits": 3, "messages": 150}
    update_metrics(run, {"test": tested, "provenance": {"date": "2026-11-03"}})
    (run / "report.html").write_text("<p>The report")
    page.reload()
    for said in ("GPT-2 124M, its last block trained", "the SMS Spam Collection, 3 November 2026", "96.0% of 300"):
        expect(page.locator("#about")).to_contain_text(said)
    expect(page.locator("#about")).to_contain_text("3 of 150 ham taken for spam")
    summary = "trained on the SMS Spam Collection, 96.0% of 300 test messages right"
    expect(page.locator("#state")).to_have_text(f"Ready: {summary}")
    expect(page.locator("#warning")).to_contain_text("SMS of 2011")
    page.get_by_role("link", name="Report").click()
    expect(page.locator("p")).to_have_text("The report")


def test_keyboard_is_enough(page: Page) -> None:
    def at() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.className"))

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # after the link to the API
    assert at() == "box"
    page.keyboard.insert_text("WIN 90\nlater 10")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#summary")).to_contain_text("2 messages labelled")
    passed = []
    while at() != "line":
        page.keyboard.press("Tab")
        passed.append((at(), page.evaluate("getComputedStyle(document.activeElement).outlineStyle")))
        assert len(passed) < 20
    wanted = ["whole", "file", "classify", "threshold", "download", "line"]
    assert [name for name, _ in passed if name in wanted] == wanted
    assert {outline for name, outline in passed if name not in ("whole", "file")} == {"solid"}
    page.keyboard.press("Enter")
    expect(page.locator(".words .word.towards").first).to_have_text("WIN")


def test_file_is_dropped_and_its_labels_are_downloaded(page: Page, model: Any) -> None:
    table = '\ufeffid,WORDS\r\n1,"one, ""two""\r\nand 90"\r\n2,\r\n3,plain 5\r\n'
    page.evaluate(
        """table => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([table], "in.box.csv"));
            document.querySelector("h1").dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true}));
        }""",
        table,
    )
    expect(page.locator("#file-size")).to_have_text("54 bytes")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("'WORDS'")  # no usual name
    page.get_by_label("Column of the texts").fill("words")
    page.keyboard.press("Enter")
    expect(page.locator("#tiles")).to_have_text("2all1ham1spam")
    expect(page.locator("#rejected")).to_have_text("line 4: no text")
    assert model.texts == ['one, "two"\r\nand 90', "plain 5"]
    page.get_by_role("slider").fill("0.95")
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download CSV").click()
    assert caught.value.suggested_filename == "in.box-labelled.csv"
    with Path(caught.value.path()).open(encoding="utf-8-sig", newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["text"] for row in written] == model.texts
    assert list(written[0].values()) == ["2", model.texts[0], "ham", "0.9", str(1 - 0.9), "0.9", "0.95", "false"]
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_label("One message per line")).to_be_focused()


def test_many_rows_are_shown_a_hundred_at_a_time(page: Page) -> None:
    choose(page, "many.txt", "".join(f"message {number % 101}\n" for number in range(250)).encode())
    expect(page.locator("#summary")).to_have_text("250 messages labelled.")
    expect(page.locator("#rows > li")).to_have_count(100)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".line").nth(100)).to_be_focused()
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#rows > li")).to_have_count(250)


def test_unknown_and_too_large_files_are_refused(page: Page, service: Service) -> None:
    service.max_body = 50
    page.reload()
    choose(page, "a.pdf", b"x")
    expect(page.get_by_role("alert")).to_contain_text("a.pdf: unknown format")
    choose(page, "a.txt", b"x" * 51)
    expect(page.get_by_role("alert")).to_contain_text("51 bytes, and this server takes 50")


def test_cancel_ends_the_work(page: Page, service: Service, model: Any) -> None:
    service.batch, model.seconds = 5, 0.3
    paste(page, *(f"message {number}" for number in range(100)))
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_have_text("Cancelled.")
    expect(page.get_by_role("button", name="Classify")).to_be_focused()
    model.seconds = 0.0
    paste(page, "after it 90")
    expect(page.locator("#summary")).to_have_text("1 message labelled.")
    assert len(model.texts) < 50


def test_key_is_asked_for_and_kept_in_the_tab(page: Page, service: Service) -> None:
    service.api_key = "open sesame"
    page.reload()
    paste(page, "a 90")
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.insert_text("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("the key is missing or wrong")
    page.get_by_label("API key").fill("open sesame")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_have_text("1 message labelled.")
    page.reload()
    paste(page, "b 90")
    expect(page.locator("#summary")).to_have_text("1 message labelled.")
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


@pytest.mark.slow
def test_page_waits_for_the_model(page: Page, service: Service, model: Any) -> None:
    service.classifier = None
    page.reload()
    expect(page.locator("#state")).to_have_text("The model is loading")
    page.get_by_label("One message per line").fill("early 90")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_have_text("The model is still loading.")
    service.classifier = model
    expect(page.locator("#state")).to_have_text("Ready")
    expect(page.locator("#about")).to_contain_text("up to 120 tokens of a message, about 90 words")


def test_more_classes_have_no_threshold(page: Page, model: Any) -> None:
    model.labels, model.threshold = ["arts", "sport", HOSTILE], None
    page.reload()
    paste(page, "goal 90", "play 2")
    expect(page.locator("#summary")).to_contain_text("2 messages labelled")
    assert [row[1:3] for row in rows(page)] == [("sport", "90.0%"), (HOSTILE, "49.0%")]
    expect(page.get_by_role("slider")).to_be_hidden()
    expect(page).to_have_title("Which label?")
    expect(page.locator("#examples")).to_be_hidden()
    page.locator(".line").first.click()
    expect(page.locator(".panel").first).to_contain_text(
        "Log-odds of sport: \u22121.00 without any words, \u22121.00 by the words, \u22122.00 in all. "
        f"That is arts 5.0%, sport 90.0%, {HOSTILE}"
    )
    assert page.locator(".pushes li").first.inner_text().endswith("against sport")


def test_nothing_overflows_a_narrow_screen(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    paste(page, "W" * 90 + " 99", f"{HOSTILE} and a longer message that takes more than one line 40")
    page.locator(".line").first.click()
    expect(page.locator(".pushes")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_unsure_messages_get_no_label(new_page: Page, service: Service, server: tuple[Service, int]) -> None:
    service.abstain = 0.8
    new_page.goto(f"http://127.0.0.1:{server[1]}")
    expect(new_page.locator("#about")).to_contain_text("is given below a probability of 80.0%")
    paste(new_page, "call now 97", "maybe 60", "see you 3")
    expect(new_page.locator("#summary")).to_have_text("3 messages classified.")
    assert [row[1] for row in rows(new_page)] == ["spam", "unsure", "ham"]
    expect(new_page.locator("#tiles")).to_have_text("3all1ham1spam1unsure")
    new_page.locator("#tiles").get_by_role("button", name="unsure").click()
    new_page.get_by_text("maybe 60").click()
    expect(new_page.locator("#rows")).to_contain_text("Less probable than 80.0%, so there is no label.")
    with new_page.expect_download() as caught:
        new_page.get_by_role("button", name="Download CSV").click()
    with Path(caught.value.path()).open(newline="", encoding="utf-8-sig") as file:
        assert [row["predicted"] for row in csv.DictReader(file)] == ["spam", "", "ham"]
