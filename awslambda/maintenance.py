"""Maintenance: the proxy responds without invoking Django, so the database stays paused.

`djambda maintenance on` puts the hash of a bypass secret into the proxy's environment. Opening the
site with that secret in the query sets a cookie that lets the browser through.
"""

import hashlib
import hmac
import os

from djambda_common.names import MAINTENANCE_BYPASS, MAINTENANCE_VARIABLE
from error_page import own_headers, own_response
from gateway_event import cookies, is_https, request_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayEvent, GatewayResponse


def is_blocked(event: "GatewayEvent") -> bool:
    """Return whether the site is closed and the request has no bypass cookie."""
    digest = os.environ.get(MAINTENANCE_VARIABLE, "")
    return bool(digest) and not any(
        _matches(secret, digest) for secret in cookies(event, MAINTENANCE_BYPASS)
    )


def bypass_response(event: "GatewayEvent") -> "GatewayResponse | None":
    """Return the response that sets the bypass cookie if the query has the secret, else None."""
    query = event.get("queryStringParameters")
    secret = query.get(MAINTENANCE_BYPASS) if isinstance(query, dict) else None
    if not secret or not _matches(secret, os.environ.get(MAINTENANCE_VARIABLE, "")):
        return None
    # The local cloud has no TLS, and browsers would not send a Secure cookie to it.
    secure = "; Secure" * is_https(event)
    # Without the query, so that the next page's address does not contain the secret. With one slash
    # and no backslash, because "//host" is another site's address.
    path = request_context(event).get("path")
    headers = {
        "Location": "/" + (path.lstrip("/\\") if isinstance(path, str) else ""),
        "Set-Cookie": f"{MAINTENANCE_BYPASS}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}",
        "Referrer-Policy": "no-referrer",
    }
    return own_response(303, own_headers(event) | headers)


def _matches(secret: object, digest: str) -> bool:
    if not isinstance(secret, str):
        return False
    # JSON may contain half a surrogate pair, which has no UTF-8 encoding.
    encoded = secret.encode(errors="surrogatepass")
    return hmac.compare_digest(hashlib.sha256(encoded).hexdigest(), digest)
