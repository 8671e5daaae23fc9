"""The state that web requests leave in their thread, where commands and tasks run after them."""

import contextlib
import os
from collections.abc import Iterator

from django.conf import settings
from django.urls import set_script_prefix
from django.utils import timezone, translation


@contextlib.contextmanager
def outside_requests() -> Iterator[None]:
    """Let the body have the project's language and time zone, not those of the last visitor.

    `reverse` returns the URLs that visitors use, with the API's stage.
    """
    own = settings.FORCE_SCRIPT_NAME
    # Also as a setting: `ManagementUtility` sets the script prefix from it.
    settings.FORCE_SCRIPT_NAME = own or os.environ.get("SITE_PREFIX") or None
    _reset(settings.FORCE_SCRIPT_NAME)
    try:
        yield
    finally:
        settings.FORCE_SCRIPT_NAME = own
        _reset(own)


def _reset(prefix: str | None) -> None:
    translation.deactivate()
    timezone.deactivate()
    set_script_prefix(prefix or "/")
