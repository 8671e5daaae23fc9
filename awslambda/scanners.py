"""Answer requests of scanners without Django, so that they do not wake the database.

Every public site gets requests for `/wp-login.php`, `/.env` and the like, day and night. The
setting `BLOCKED_PATHS` has the patterns. Over-long and malformed paths are rejected, too.
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
    if not _is_well_formed(path):
        return _plain(event, 400, "The path is malformed.")
    if _is_blocked(path.lower()):
        return _plain(event, 404, "Not found.")
    return None


def _is_well_formed(path: str) -> bool:
    """Return whether the path has only complete escapes, and no control characters."""
    escapes = path.split("%")[1:]
    if not all(len(part) > 1 and set(part[:2]) <= HEX_DIGITS for part in escapes):
        return False
    decoded = path.encode(errors="replace")
    if escapes:
        from urllib.parse import unquote_to_bytes  # noqa: PLC0415 (its import takes a while)

        decoded = unquote_to_bytes(decoded)
    return min(decoded, default=32) >= 32 and 127 not in decoded  # noqa: PLR2004 (ASCII)


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
