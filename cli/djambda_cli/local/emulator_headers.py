"""Rename and drop the headers that API Gateway's REST APIs do, which the emulator passes on.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html#api-gateway-known-issues-rest-apis

It runs with the emulator's interpreter and imports nothing of djambda: a test compares the lists
with those of the runtime.
"""

from typing import Any

DROPPED_FROM_REQUESTS = {
    *("connection", "content-md5", "expect", "max-forwards", "proxy-authenticate", "server", "te"),
    *("trailer", "transfer-encoding", "upgrade", "www-authenticate"),
}
RENAMED_IN_RESPONSES = {
    *("authorization", "connection", "content-md5", "date", "max-forwards", "server", "user-agent"),
    "www-authenticate",
}
DROPPED_FROM_RESPONSES = {
    *("expect", "host", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"),
    "via",
}
PREFIX = "x-amzn-Remapped-"
SIGNATURE = "AWS4-HMAC-SHA256"

type Fields = dict[str, Any]


def request_headers(headers: Fields) -> Fields:
    """Return the headers that reach the function."""
    return {
        name: value
        for name, value in headers.items()
        if name.lower() not in DROPPED_FROM_REQUESTS
        and not (name.lower() == "authorization" and SIGNATURE in str(value))
    }


def response_headers(headers: Fields) -> Fields:
    """Return the headers that reach the client."""
    return {
        (f"{PREFIX}{name}" if name.lower() in RENAMED_IN_RESPONSES else name): value
        for name, value in headers.items()
        if name.lower() not in DROPPED_FROM_RESPONSES
    }
