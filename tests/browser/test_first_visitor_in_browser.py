"""The first visitor of a site whose database is paused, in a browser without JavaScript."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.pages import log_in
from tests.cloud.local import Cloud

AWAKE_MS = 60_000


@pytest.fixture
def page(browser: Browser, cloud: Cloud) -> Iterator[Page]:
    context = browser.new_context(
        base_url=cloud.site, viewport={"width": 1100, "height": 800}, java_script_enabled=False
    )
    yield context.new_page()
    context.close()


def pause(cloud: Cloud, seconds: int) -> None:
    paused = cloud.djambda(f"sleep --seconds {seconds}")
    assert paused.returncode == 0, paused.stderr


def test_sees_a_page_until_the_site_is_awake(page: Page, cloud: Cloud, screenshots: Path) -> None:
    pause(cloud, 8)

    response = page.goto("products/?page=1#list")

    assert response is not None
    assert response.status == 503
    expect(page.get_by_role("heading", name="Waking up")).to_be_visible()
    page.screenshot(path=screenshots / "waking-up.png")
    expect(page.get_by_role("heading", name="Products")).to_be_visible(timeout=AWAKE_MS)
    assert page.url == f"{cloud.site}products/?page=1"


def test_sees_pages_without_a_query_at_once(page: Page, cloud: Cloud) -> None:
    pause(cloud, 300)

    response = page.goto("")

    assert response is not None
    assert response.status == 200
    pause(cloud, 0)


def test_submits_a_form_that_waits_for_the_database(page: Page, cloud: Cloud) -> None:
    log_in(page, cloud, "products/")
    page.goto("products/new/")
    page.get_by_label("Name").fill("Morning coffee")
    pause(cloud, 6)

    page.get_by_role("button", name="Save").click(timeout=AWAKE_MS)

    expect(page.get_by_role("listitem").filter(has_text="Morning coffee")).to_have_count(1)
