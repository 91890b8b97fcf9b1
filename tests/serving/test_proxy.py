"""The server behind proxies, and used from other sites, in a browser."""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="fastapi is not installed")
from playwright.sync_api import Page, expect  # noqa: E402

from spam_classifier import serve  # noqa: E402

DOCS = Path(__file__).parents[2].joinpath("docs/serving.md")
SBIN = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
OF_NGINX = """daemon off; master_process off; pid nginx.pid; error_log errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name spam.example.com;
        ssl_certificate certificate.pem;
        ssl_certificate_key key.pem;
        {documented}
    }}
}}
"""
OF_CADDY = """{{
    admin off
    auto_https disable_redirects
    local_certs
    skip_install_trust
    storage file_system storage
    default_bind 127.0.0.1
}}
{documented}
"""
CERTIFICATE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=spam.example.com -keyout key.pem -out certificate.pem"
)


class Proxy:
    """Passes on what is below /spam/, without this prefix, and notes requests for anything else."""

    def __init__(self) -> None:
        self.elsewhere: list[str] = []

    def __call__(self, app: Any) -> Any:
        async def passed_on(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                if not scope["path"].startswith("/spam/"):
                    self.elsewhere.append(scope["path"])
                    return
                raw_path = scope["raw_path"].removeprefix(b"/spam")
                scope = {**scope, "path": scope["path"].removeprefix("/spam"), "raw_path": raw_path}
            await app(scope, receive, send)

        return passed_on


def parse_with(flags: str) -> argparse.Namespace:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["serve", *flags.split()])
        return serve.parse()


def use_everything(page: Page, url: str, service: Any, directory: Path) -> None:
    """Use the page, the report and the documentation."""
    service.classifier.checkpoint = directory / "version_0/checkpoints/last.ckpt"
    (directory / "version_0").mkdir()
    (directory / "version_0/report.html").write_text("<p>The report")
    page.goto(url)
    expect(page.locator("#state")).to_have_text("Ready")
    assert page.locator("main").evaluate("main => getComputedStyle(main).display") == "grid"
    page.get_by_label("One message per line").fill("WIN it 90")
    page.get_by_role("button", name="Classify").click()
    page.locator(".line").click()
    expect(page.locator(".pushes")).to_be_visible()
    page.get_by_role("link", name="Report").click()
    expect(page.locator("p")).to_have_text("The report")
    page.goto(url)
    page.get_by_role("link", name="API").click()
    expect(page.locator(".opblock")).to_have_count(5)
    page.get_by_text("Is the model ready?").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status")).to_have_text("200")
    page.goto(page.get_by_role("link", name="the page").evaluate("link => link.href"))  # it opens a tab
    expect(page.locator("#state")).to_have_text("Ready")


def test_everything_works_under_a_prefix(
    new_page: Page, served: Callable[..., tuple[Any, int]], tmp_path: Path
) -> None:
    proxy = Proxy()
    service, port = served(proxy)
    use_everything(new_page, f"http://127.0.0.1:{port}/spam/", service, tmp_path)
    assert set(proxy.elsewhere) <= {"/favicon.ico"}


def test_pages_of_a_named_origin_may_use_the_api(new_page: Page, served: Callable[..., tuple[Any, int]]) -> None:
    _, elsewhere = served()
    _, port = served(allow_origin=[f"http://127.0.0.1:{elsewhere}"], api_key="key")
    _, closed = served()
    new_page.goto(f"http://127.0.0.1:{elsewhere}/docs")  # its policy lets it ask other servers
    ask = """url => fetch(url, {
        method: "POST",
        headers: {"Content-Type": "application/json", "Authorization": "Bearer key"},
        body: JSON.stringify({texts: ["WIN it 90"]}),
    }).then(answer => answer.json(), () => "blocked")"""
    assert new_page.evaluate(ask, f"http://127.0.0.1:{port}/predict")["predictions"][0]["label"] == "spam"
    assert new_page.evaluate(ask, f"http://127.0.0.1:{closed}/predict") == "blocked"


def start_proxy(name: str, documented: str, directory: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start nginx or Caddy with what its documentation shows, with TLS on a free port."""
    program = shutil.which(name, path=SBIN)
    if not program or not shutil.which("openssl"):
        pytest.skip(f"{name} or openssl is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    if name == "nginx":
        subprocess.run(CERTIFICATE.split(), cwd=directory, check=True, capture_output=True)
        (directory / "nginx.conf").write_text(OF_NGINX.format(port=port, documented=documented))
        command = [program, "-p", directory, "-c", "nginx.conf", "-e", "errors"]
    else:
        documented = documented.replace("spam.example.com {", f"spam.example.com:{port} {{")
        (directory / "Caddyfile").write_text(OF_CADDY.format(documented=documented))
        command = [program, "run", "--config", "Caddyfile"]
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, stdout=output, stderr=output, env={**os.environ, "HOME": str(directory)}
        )
    return process, port


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nginx", "nginx without headers", "caddy"])
def test_documented_proxy_with_tls(
    new_page: Page, served: Callable[..., tuple[Any, int]], wait_until: Callable, tmp_path: Path, kind: str
) -> None:
    name = kind.split()[0]
    documented = re.findall(rf"```{name}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[0]
    (flags,) = re.findall(r"^python -m spam_classifier.serve(.* --allow_host .*)", DOCS.read_text(), re.MULTILINE)
    if kind == "nginx without headers":
        documented = re.sub(r".*proxy_set_header.*\n", "", documented)
        flags = ""
    arguments = parse_with(flags)
    names = [*serve.LOCAL_NAMES, *arguments.allow_host]
    service, port = served(host_names=names)
    proxy, secure = start_proxy(name, documented.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), tmp_path)
    try:
        wait_until(lambda: proxy.poll() is not None or socket.socket().connect_ex(("127.0.0.1", secure)) == 0)
        assert proxy.poll() is None, (tmp_path / "output").read_text()
        url = f"https://spam.example.com:{secure}/spam"
        use_everything(new_page, f"{url}/", service, tmp_path)
        new_page.goto(url)
        expect(new_page.locator("#state")).to_have_text("Ready")
        assert new_page.url == f"{url}/"
        ask = """body => fetch("predict", {method: "POST", body, headers: {"Content-Type": "application/json"}})
            .then(answer => answer.json())"""
        answer = new_page.evaluate(ask, json.dumps({"texts": ["WIN it 90", "", "see you 3", " "]}))
        assert answer == {"detail": "texts 2 and 4: no text"}
    finally:
        proxy.terminate()
        proxy.wait()
