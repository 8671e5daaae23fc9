"""Rename and drop the headers that API Gateway's REST APIs do, which the emulator passes on.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html#api-gateway-known-issues-rest-apis

It runs with the emulator's interpreter and imports nothing of djambda: a test compares the lists
with those of the runtime.
"""

from collections.abc import Callable
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
FIELDS = ("headers", "multiValueHeaders")

type Fields = dict[str, Any]


def with_gateway_requests(build: Callable[..., Fields]) -> Callable[..., Fields]:
    """Return the emulator's function that builds an event, without the headers that AWS drops."""

    def build_event(*args: Any, **kwargs: Any) -> Fields:
        event = build(*args, **kwargs)
        return event | {field: request_headers(event.get(field) or {}) for field in FIELDS}

    return build_event


def with_gateway_responses(
    read: Callable[[Any], tuple[Fields | None, Any]],
) -> Callable[[Any], tuple[Fields | None, Any]]:
    """Return the emulator's function that reads a response, with the headers that AWS renames."""

    def read_response(result: Any) -> tuple[Fields | None, Any]:
        response, error = read(result)
        if response is not None:
            changed = {field: response_headers(response.get(field) or {}) for field in FIELDS}
            response = response | changed
        return response, error

    return read_response


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
