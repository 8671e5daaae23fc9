"""Chromium on the deployed sample."""

from tests.browser.conftest import browser, page, screenshots

__all__ = ["browser", "page", "screenshots"]
