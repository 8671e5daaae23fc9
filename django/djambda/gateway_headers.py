"""Warn about response headers that API Gateway renames or drops, so that clients never get them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html#api-gateway-known-issues-rest-apis
"""

import logging
from collections.abc import Iterable

RENAMED = frozenset(
    {
        *("authorization", "connection", "content-md5", "date", "max-forwards", "server"),
        *("user-agent", "www-authenticate"),
    }
)
"""Clients get them as `x-amzn-Remapped-...`; `date` and `server` get the gateway's own values."""

DROPPED = frozenset(
    {
        *("expect", "host", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"),
        "via",
    }
)

CHANGED = RENAMED | DROPPED

logger = logging.getLogger(__name__)

_reported: set[str] = set()


def warn_about_changed(names: Iterable[str]) -> None:
    """Log a warning for each header that clients do not get, once per process."""
    for name in sorted(CHANGED.intersection(names) - _reported):
        _reported.add(name)
        change = f"renames it to x-amzn-Remapped-{name}" if name in RENAMED else "drops it"
        logger.warning(
            "Clients do not get the response header %s: API Gateway %s. "
            "See docs/reference/http.md#response-headers",
            name,
            change,
        )
