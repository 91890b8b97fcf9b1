"""Make the documentation's pictures from a run: ``python docs/pictures.py lightning_logs/version_0``.

Needs the extra ``serve``, playwright and a Chromium. They show the page with a line opened, the top of the report and
the learning curves, in docs/images.
"""

import argparse
import io
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from spam_classifier import load_classifier
from spam_classifier.serving.web_app import Service, http_server

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1280, "height": 900}
LARGEST = 150_000  # bytes
MESSAGES = """You have won a prize, call now
See you at seven?
URGENT! £2000 is waiting for you. Call 09098790123 to claim
Running late, start without me. Can you get milk?
Thanks for dinner, it was lovely"""
OPENED = 2  # of the messages


def main() -> None:
    """Make the pictures of the run that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory, trained and tested")
    run = parser.parse_args().run
    IMAGES.mkdir(exist_ok=True)
    with served(run) as address, sync_playwright() as driver:
        found = shutil.which("chromium") or shutil.which("google-chrome")  # else playwright's own
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        context = browser.new_context(viewport=SIZE, reduced_motion="reduce", color_scheme="light")
        page = context.new_page()
        page.goto(address)
        label(page)
        keep(page.screenshot(), "page.png")
        page.goto(f"{address}/report")
        keep(page.screenshot(), "report.png")
        browser.close()
    keep((run / "learning_curves.png").read_bytes(), "learning_curves.png")


@contextmanager
def served(run: Path) -> Iterator[str]:
    """Serve a run in a thread; gives the address."""
    server = http_server(Service(classifier=load_classifier(run)))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def label(page: Page) -> None:
    """Label the messages on the page, and open one of them."""
    page.get_by_label("One message per line").fill(MESSAGES)
    page.get_by_role("button", name="Classify").click()
    page.locator(".line").nth(OPENED).click()
    page.locator(".pushes").wait_for()
    page.mouse.move(0, 0)


def keep(picture: bytes, name: str) -> None:
    """Write a picture with 256 colours: a third of the size, and none is seen to change."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image = image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    image.save(IMAGES / name, optimize=True)
    size = (IMAGES / name).stat().st_size
    print(f"{IMAGES / name}: {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"error: {name} has more than {LARGEST:,} bytes")


if __name__ == "__main__":
    main()
