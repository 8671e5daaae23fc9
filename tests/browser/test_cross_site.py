"""A page of another site, opened while the local cloud runs, can reach none of its APIs."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.cloud.local import Cloud

INVOKE = "/2015-03-31/functions/local-djambda-djambda-lambda:live/invocations"
FORM = """<!doctype html>
<form method="post" enctype="text/plain" action="{url}"><input name='{name}' value='{value}'></form>
<script>document.forms[0].submit()</script>"""
FETCH = """<!doctype html>
<title>waiting</title>
<script>
fetch("{url}").then(response => response.text())
  .then(text => document.title = "read " + text, error => document.title = "failed")
</script>"""


@pytest.fixture
def attacker() -> Iterator[tuple[str, dict[str, str]]]:
    """A web server of another origin: its URL, and its pages by path."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://localhost:{server.server_port}", pages
        server.shutdown()


def test_form_does_not_run_a_command(
    browser: Browser, cloud: Cloud, attacker: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    """The form's only field spells the JSON of a management command, as `text/plain` sends it."""
    address, pages = attacker
    proof = tmp_path / "executed"
    payload = json.dumps({"manage": ["shell", "-c", f"open({str(proof)!r}, 'w')"], "x": "="})
    name, _, value = payload.replace("'", "&#39;").partition("=")
    pages["/form"] = FORM.format(
        url=cloud.variables["AWS_ENDPOINT_URL"] + INVOKE, name=name, value=value
    )

    page = browser.new_page()
    with page.expect_response(lambda response: INVOKE in response.url) as response:
        page.goto(f"{address}/form")
    page.close()

    assert response.value.status == 403
    assert not proof.exists()


def test_script_reads_no_response(
    browser: Browser, cloud: Cloud, attacker: tuple[str, dict[str, str]]
) -> None:
    address, pages = attacker
    pages["/fetch"] = FETCH.format(
        url=cloud.variables["AWS_ENDPOINT_URL"] + "/2015-03-31/functions/"
    )

    page = browser.new_page()
    page.goto(f"{address}/fetch")
    page.wait_for_function("document.title != 'waiting'")
    title = page.title()
    page.close()

    assert title == "failed"
