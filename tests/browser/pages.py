"""Steps in a browser that the product's tests and the sample's share."""

from playwright.sync_api import Locator, Page

from tests.cloud.local import Cloud


def log_in(page: Page, cloud: Cloud, next_page: str) -> None:
    """Log the superuser in and wait for the page that follows."""
    page.goto("accounts/login/")
    page.get_by_label("Username").fill(cloud.variables["DJANGO_SUPERUSER_USERNAME"])
    page.get_by_label("Password").fill(cloud.variables["DJANGO_SUPERUSER_PASSWORD"])
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**/{next_page}")


def has_background(element: Locator) -> bool:
    """Return whether a stylesheet gives the element a background color."""
    color = element.evaluate("element => getComputedStyle(element).backgroundColor")
    return bool(color != "rgba(0, 0, 0, 0)")


def is_loaded(image: Locator) -> bool:
    """Return whether an image is shown."""
    return bool(image.evaluate("element => element.complete && element.naturalWidth > 0"))
