"""CORS for the proxy's own responses, so that pages of other origins can read its errors.

Django decides who may read its responses. For the proxy's own, the variable `CORS_VARIABLE` does:
`*` allows all origins, without cookies, and a list of origins allows those, with cookies. The
protocol is in https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

import os

from djambda_common.names import CORS_VARIABLE
from gateway_event import header, method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayEvent


def cors_headers(event: "GatewayEvent") -> dict[str, str]:
    """Return the headers that let the page that sent `event` read the response, if it may."""
    allowed = os.environ.get(CORS_VARIABLE, "")
    if not allowed:
        return {}
    if allowed == "*":
        headers = {"Access-Control-Allow-Origin": "*"}
    else:
        headers = {"Vary": "Origin"}
        origin = header(event, "origin")
        if not origin or origin not in allowed.split(","):
            return headers
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
    if _asks_for_permission(event):
        # Not cached: when Django is back, it decides which requests it permits.
        return headers | {
            "Access-Control-Allow-Methods": header(event, "access-control-request-method"),
            "Access-Control-Allow-Headers": header(event, "access-control-request-headers"),
            "Access-Control-Max-Age": "0",
        }
    return headers | {"Access-Control-Expose-Headers": "Retry-After"}


def is_permitted_preflight(event: "GatewayEvent") -> bool:
    """Return whether `event` asks for permission to send a request, and gets it.

    A preflight must succeed: else the browser does not send the request, whose error the page could
    read.
    """
    return _asks_for_permission(event) and "Access-Control-Allow-Origin" in cors_headers(event)


def _asks_for_permission(event: "GatewayEvent") -> bool:
    """https://fetch.spec.whatwg.org/#cors-preflight-request"""
    return method(event) == "OPTIONS" and all(
        header(event, name) for name in ("origin", "access-control-request-method")
    )
