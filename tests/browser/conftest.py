"""A real Chromium on the local cloud's site: the machine's own, else one that is installed here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.cloud.local import Cloud

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"] + [
    f"--disable-{part}" for part in ("background-networking", "component-update", "sync")
]
DEBIAN = "apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium"


def find_chromium() -> str | None:
    """The machine's Chromium; installed from Debian's packages where that is possible."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(DEBIAN, shell=True, check=True, stdout=subprocess.DEVNULL)  # noqa: S602
        found = shutil.which("chromium")
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, headless; Playwright's own build is fetched where the machine has none."""
    executable = find_chromium()
    if executable is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, cloud: Cloud) -> Iterator[Page]:
    """A page of a fresh browser profile whose base URL is the site; it fails on console errors."""
    context = browser.new_context(base_url=cloud.site, viewport={"width": 1100, "height": 800})
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    yield opened
    context.close()
    assert problems == []


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder where the pages that were tested can be looked at afterwards."""
    folder = Path(__file__).resolve().parents[2] / ".local" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
