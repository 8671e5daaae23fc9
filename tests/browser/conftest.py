"""Chromium on the local cloud's site."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.cloud.checkout import ROOT
from tests.cloud.local import Cloud

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"] + [
    f"--disable-{part}" for part in ("background-networking", "component-update", "sync")
]
DEBIAN = "apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium"


def find_chromium() -> str | None:
    """Return the machine's Chromium, installed from Debian's packages if possible."""
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if not chromium and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(DEBIAN, shell=True, check=True, stdout=subprocess.DEVNULL)  # noqa: S602
        chromium = shutil.which("chromium")
    return chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium: the machine's, or Playwright's own build, which is downloaded.

    Its event loop must end before tests of the database, which Django refuses while one runs.
    """
    executable = find_chromium()
    if executable is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, cloud: Cloud) -> Iterator[Page]:
    """A page of a fresh browser profile, with the site as its base URL. Console errors fail."""
    context = browser.new_context(base_url=cloud.site, viewport={"width": 1100, "height": 800})
    page = context.new_page()
    errors: list[str] = []

    def note_error(message: ConsoleMessage) -> None:
        # Without a link to an icon, browsers request one outside of the gateway's stage.
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            errors.append(message.text)

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", note_error)
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder of the screenshots, which are kept."""
    folder = ROOT / ".local" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
