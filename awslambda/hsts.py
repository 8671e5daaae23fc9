"""Strict-Transport-Security on the proxy's own responses: the site's own policy, or none.

Each such header replaces what a browser knows about the host (RFC 6797, section 8.1), so any other
policy would shorten, prolong or narrow the site's. The proxy therefore repeats the header of the
last response of Django that had one.
"""

from gateway_event import is_https

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayEvent, GatewayResponse

HEADER = "strict-transport-security"

_values: list[str] = []
"""The header's values in Django's last response with it."""


def remember_policy(response: "GatewayResponse") -> None:
    """Keep the policy that Django's response has."""
    headers = response.get("multiValueHeaders")
    if isinstance(headers, dict) and HEADER in headers:
        _values[:] = headers[HEADER]


def hsts_headers(event: "GatewayEvent") -> dict[str, str]:
    """Return the header for a response to `event`. RFC 6797, section 7.2: none without HTTPS."""
    return {"Strict-Transport-Security": _values[0]} if _values and is_https(event) else {}
