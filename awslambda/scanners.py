"""Respond to scanners without Django, so that they do not wake the database.

Every public site gets requests for `/wp-login.php`, `/.env` and the like, day and night. The
setting `BLOCKED_PATHS` has the patterns. Overlong and malformed paths are also rejected.
"""

import os

from djambda_common.names import BLOCKED_PATHS_VARIABLE
from error_page import own_headers, own_response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayEvent, GatewayResponse

LONGEST_PATH = 2000
"""Characters. Browsers and crawlers use no longer paths; queries may be longer."""

HEX_DIGITS = set("0123456789abcdefABCDEF")


def scanner_response(event: "GatewayEvent") -> "GatewayResponse | None":
    """Return the response to a request that no visitor of the site sends, else None."""
    path = event.get("path")
    if not isinstance(path, str):
        return None  # Django's handler says what is wrong with the event.
    if len(path) > LONGEST_PATH:
        return _plain(event, 414, "The path is too long.")
    decoded = _decoded(path)
    if decoded is None:
        return _plain(event, 400, "The path is malformed.")
    if any(_is_blocked(text.lower()) for text in {path, decoded}):
        return _plain(event, 404, "Not found.")
    return None


def _decoded(path: str) -> str | None:
    """Return the path as Django sees it.

    None if it has incomplete escapes or control characters.
    """
    escapes = path.split("%")[1:]
    if not all(len(part) > 1 and set(part[:2]) <= HEX_DIGITS for part in escapes):
        return None
    if escapes:
        from urllib.parse import unquote  # noqa: PLC0415 (its import takes a while)

        path = unquote(path)
    return path if min(path, default=" ") >= " " and "\x7f" not in path else None


def _is_blocked(path: str) -> bool:
    patterns = os.environ.get(BLOCKED_PATHS_VARIABLE, "")
    return any(_matches(path, pattern.lower()) for pattern in patterns.split(",") if pattern)


def _matches(path: str, pattern: str) -> bool:
    """Return whether the path matches a pattern, which may begin and end with `*`."""
    text = pattern.strip("*")
    if pattern.startswith("*"):
        return text in path if pattern.endswith("*") else path.endswith(text)
    return path.startswith(text) if pattern.endswith("*") else path == text


def _plain(event: "GatewayEvent", status: int, text: str) -> "GatewayResponse":
    headers = own_headers(event) | {"Content-Type": "text/plain; charset=utf-8"}
    return own_response(status, headers, "" if event["httpMethod"] == "HEAD" else f"{text}\n")
