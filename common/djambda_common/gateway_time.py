"""The time that a request has: the gateway's clock and Lambda's may have jumped."""

import time

GATEWAY_SECONDS = 28.0
"""API Gateway gives up 29 s after it received the request; the proxy needs a moment of that.

https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""

LATEST = 10**14
"""The largest time in milliseconds that a gateway sends; larger numbers may not fit a float."""


def seconds_since(received: object) -> float:
    """Return the seconds since the gateway received the request, 0 if the clocks disagree.

    `received` is the event's time in milliseconds since the epoch.
    """
    if not isinstance(received, int) or abs(received) > LATEST:
        return 0
    waited = time.time() - received / 1000
    return waited if 0 <= waited < GATEWAY_SECONDS else 0


def remaining_seconds(milliseconds: int) -> float:
    """Return the seconds until Lambda stops the function, which has time as long as it runs."""
    return milliseconds / 1000 or GATEWAY_SECONDS
