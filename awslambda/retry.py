"""Requests that may safely be made twice: questions, and what AWS refuses to do again.

The custom resources make only such requests beside invoking Django, and a deploy should not
fail because AWS was busy for a second.
"""

import http.client
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from djambda_common.aws_api import NotSent, OutcomeUnknown, call, error_of

PAUSES = (0.5, 1.0, 2.0)
TIMEOUT = 10.0
BUSY = {"RequestLimitExceeded", "ThrottlingException", "TooManyRequestsException", "TooManyUpdates"}


class ApiError(Exception):
    """AWS said no. `error_type` is its name for the reason, such as AccessDeniedException."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type = error_type


class BusyError(ApiError):
    """AWS said not now."""


def ask(
    service: str,
    *,
    method: str = "POST",
    path: str = "/",
    headers: Mapping[str, str] = {},
    body: bytes = b"",
) -> Any:
    """The decoded JSON answer of an AWS API. Raises `ApiError`, `NotSent` or `OutcomeUnknown`."""

    def attempt() -> Any:
        response = call(
            service, method=method, path=path, headers=headers, body=body, timeout=TIMEOUT
        )
        if response.status < http.client.BAD_REQUEST:
            return json.loads(response.body)
        error_type, message = error_of(response)
        busy = response.status >= http.client.INTERNAL_SERVER_ERROR or error_type in BUSY
        raise (BusyError if busy else ApiError)(error_type, message)

    return retrying(attempt, on=(NotSent, OutcomeUnknown, BusyError), pauses=PAUSES)


def retrying[T](
    attempt: Callable[[], T], *, on: tuple[type[Exception], ...], pauses: Sequence[float]
) -> T:
    """What `attempt()` returns. Where it raises one of `on`, the next try is a pause (s) later."""
    for pause in pauses:
        try:
            return attempt()
        except on:
            time.sleep(pause)
    return attempt()
