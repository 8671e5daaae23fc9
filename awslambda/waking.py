"""The page for a visitor who waits while the site wakes up, until it is replaced by the site's own.

A new visitor gets it after a few seconds. Its reloads wait longer, because the browser shows the
page meanwhile. A cookie has the time of the visitor's first attempt, so that the page can say when
the site takes longer than it should.
"""

import time

from djambda_common.problem import WAKING_UP, Problem, is_navigation
from error_page import error_response
from gateway_event import cookies, header, is_https, method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayEvent, GatewayResponse

PATIENCE = 3.5
"""The seconds after which a new visitor gets the page."""

AWAKE_SECONDS = 240.0
"""After a response of the site, it is awake for this time: the database pauses after 5 minutes of
inactivity at the earliest, and Lambda keeps idle functions for longer."""

COOKIE = "djambda-waking"
COOKIE_SECONDS = 90
"""Longer than any reload takes. The cookie expires after the last one."""

SLOW_AFTER = 120
STOP_AFTER = 900
FORGET_AFTER = 3600

SLOW = Problem(
    WAKING_UP.status,
    WAKING_UP.error,
    "Still waking up",
    "This site sleeps while nobody uses it, and is taking longer than usual to wake up. Leave this "
    "page open, or come back in a few minutes. Operators: djambda status shows the state of the "
    "database, and djambda logs --errors shows errors.",
    retry_after=60,
    refresh=30,
)
STOPPED = Problem(
    WAKING_UP.status,
    WAKING_UP.error,
    "The site did not wake up",
    "This page has tried for a quarter of an hour. Please come back later, or send the site's "
    "operator the request ID below. Operators: djambda status shows the state of the database, and "
    "djambda logs --errors shows errors.",
    retry_after=600,
)

_last_response = float("-inf")


def remember_response() -> None:
    """Keep the time at which the site has responded."""
    global _last_response  # noqa: PLW0603 (an instance serves one request at a time)
    _last_response = time.time()


def is_new_visit(event: "GatewayEvent") -> bool:
    """Return whether the visitor sees nothing yet, and may have to wait for the site to wake up.

    Also in a second tab: its request has the cookie, but is the visitor's own.
    """
    is_awake = 0 <= time.time() - _last_response < AWAKE_SECONDS
    is_own = header(event, "sec-fetch-user") == "?1" or not is_reload(event)
    return not is_awake and is_page_load(event) and is_own


def is_reload(event: "GatewayEvent") -> bool:
    """Return whether the page has reloaded itself."""
    return is_page_load(event) and _seconds_waited(event) is not None


def is_page_load(event: "GatewayEvent") -> bool:
    """Return whether a browser loads a page."""
    return is_navigation(
        method(event),
        header(event, "sec-fetch-mode"),
        header(event, "sec-fetch-dest"),
        header(event, "accept"),
    )


def waking_problem(event: "GatewayEvent") -> Problem:
    """Return the explanation that fits the time that the visitor has waited."""
    waited = _seconds_waited(event) or 0
    return WAKING_UP if waited < SLOW_AFTER else SLOW if waited < STOP_AFTER else STOPPED


def waking_response(
    problem: Problem, event: "GatewayEvent", request_id: str, permissions: dict[str, str]
) -> "GatewayResponse":
    """Return the page with the explanation."""
    waited = _seconds_waited(event) or 0
    response = error_response(problem, event, request_id, permissions)
    began = int(time.time()) - waited
    max_age = 0 if problem is STOPPED else COOKIE_SECONDS  # The next attempt is a new visit.
    # The local cloud has no TLS, and browsers would not send a Secure cookie to it.
    secure = "; Secure" * is_https(event)
    response["headers"]["Set-Cookie"] = (
        f"{COOKIE}={began}; Max-Age={max_age}; Path=/; HttpOnly; SameSite=Lax{secure}"
    )
    return response


def _seconds_waited(event: "GatewayEvent") -> int | None:
    """Return the seconds since the visitor's first attempt, or None if this is the first."""
    for value in cookies(event, COOKIE):
        if value.isascii() and value.isdigit() and len(value) < len(str(2**63)):
            waited = int(time.time()) - int(value)
            if 0 <= waited < FORGET_AFTER:
                return waited
    return None
