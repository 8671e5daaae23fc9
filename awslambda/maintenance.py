"""Maintenance: the front door answers by itself, so that neither Django nor the database wakes up.

`djambda maintenance on` puts the hash of a secret into the front door's environment. Who opens the
site with that secret in the query gets a cookie, and is let through from then on.
"""

import hashlib
import hmac
import os

from djambda_common.names import MAINTENANCE_BYPASS, MAINTENANCE_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayAnswer, GatewayEvent


def is_closed(event: "GatewayEvent") -> bool:
    """Whether whoever sent `event` has to wait: the site is closed, and they have no cookie."""
    digest = os.environ.get(MAINTENANCE_VARIABLE, "")
    return bool(digest) and not any(_opens(secret, digest) for secret in _cookies(event))


def invitation(event: "GatewayEvent") -> "GatewayAnswer | None":
    """The answer that gives the cookie to whoever has the secret in the query; else None."""
    secret = (event.get("queryStringParameters") or {}).get(MAINTENANCE_BYPASS, "")
    if not secret or not _opens(secret, os.environ.get(MAINTENANCE_VARIABLE, "")):
        return None
    return {
        "statusCode": 303,
        "headers": {
            # Without the query, so that the secret is not in the next page's address.
            "Location": event["requestContext"]["path"],
            "Set-Cookie": f"{MAINTENANCE_BYPASS}={secret}; Path=/; HttpOnly; SameSite=Lax",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
        "body": "",
        "isBase64Encoded": False,
    }


def _opens(secret: str, digest: str) -> bool:
    return hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), digest)


def _cookies(event: "GatewayEvent") -> list[str]:
    """The values of the bypass cookie, RFC 6265, section 4.2.1."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    return [value for name, _, value in pairs if name == MAINTENANCE_BYPASS]
