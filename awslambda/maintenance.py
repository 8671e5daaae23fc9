"""Maintenance: the proxy responds without invoking Django, so the database stays paused.

`djambda maintenance on` puts the hash of a bypass secret into the proxy's environment. Opening the
site with that secret in the query sets a cookie that lets the browser through.
"""

import hashlib
import hmac
import os

from djambda_common.names import MAINTENANCE_BYPASS, MAINTENANCE_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayEvent, GatewayResponse


def is_blocked(event: "GatewayEvent") -> bool:
    """Return whether the site is closed and the request has no bypass cookie."""
    digest = os.environ.get(MAINTENANCE_VARIABLE, "")
    return bool(digest) and not any(_matches(secret, digest) for secret in _cookies(event))


def bypass_response(event: "GatewayEvent") -> "GatewayResponse | None":
    """Return the response that sets the bypass cookie if the query has the secret, else None."""
    secret = (event.get("queryStringParameters") or {}).get(MAINTENANCE_BYPASS, "")
    if not secret or not _matches(secret, os.environ.get(MAINTENANCE_VARIABLE, "")):
        return None
    # The local cloud has no TLS, and browsers would not send a Secure cookie to it.
    secure = "; Secure" * (_header(event, "x-forwarded-proto") == "https")
    return {
        "statusCode": 303,
        "headers": {
            # Without the query, so that the next page's address does not contain the secret.
            "Location": event["requestContext"]["path"],
            "Set-Cookie": f"{MAINTENANCE_BYPASS}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
        "body": "",
        "isBase64Encoded": False,
    }


def _matches(secret: str, digest: str) -> bool:
    # JSON may contain half a surrogate pair, which has no UTF-8 encoding.
    encoded = secret.encode(errors="surrogatepass")
    return hmac.compare_digest(hashlib.sha256(encoded).hexdigest(), digest)


def _cookies(event: "GatewayEvent") -> list[str]:
    """Return the values of the bypass cookie (RFC 6265, section 4.2.1)."""
    pairs = (pair.strip().partition("=") for pair in _header(event, "cookie").split(";"))
    return [value for name, _, value in pairs if name == MAINTENANCE_BYPASS]


def _header(event: "GatewayEvent", name: str) -> str:
    headers = event.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name), "")
