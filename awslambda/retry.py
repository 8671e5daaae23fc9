"""Calls to AWS that are retried because repeating them is safe.

The custom resources make them: reads, and writes that AWS refuses the second time. A deploy should
not fail because AWS was busy for a second. Invoking Django is not among them, see `invocation.py`.
"""

import http.client
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from djambda_common.aws_api import NotSent, OutcomeUnknown, call, error_of

PAUSES = (0.5, 1.0, 2.0)
TIMEOUT = 10.0
IAM_PAUSES = (2.0, 4.0, 8.0, 8.0, 8.0, 10.0, 10.0, 10.0)
"""A minute in all: a new policy may not be in effect yet.
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency"""
ACCESS_DENIED = {"AccessDenied", "AccessDeniedException"}
BUSY = {"RequestLimitExceeded", "ThrottlingException", "TooManyRequestsException", "TooManyUpdates"}


class ApiError(Exception):
    """AWS rejected the request. `error_type` is AWS's code, such as AccessDeniedException."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type = error_type


class BusyError(ApiError):
    """AWS throttled the request or failed internally."""


class AccessDeniedError(ApiError):
    """The function's role lacks the permission, or its policy is not in effect yet."""


def request_json(
    service: str,
    *,
    method: str = "POST",
    path: str = "/",
    headers: Mapping[str, str] = {},
    body: bytes = b"",
) -> Any:
    """Return the decoded JSON response of an AWS API.

    Retry if AWS is busy or unreachable, and for a minute if access is denied.

    Raises `ApiError`, `NotSent` or `OutcomeUnknown`.
    """

    def attempt() -> Any:
        response = call(
            service, method=method, path=path, headers=headers, body=body, timeout=TIMEOUT
        )
        if response.status < http.client.BAD_REQUEST:
            return json.loads(response.body)
        error_type, message = error_of(response)
        if error_type in ACCESS_DENIED:
            raise AccessDeniedError(error_type, message)
        busy = response.status >= http.client.INTERNAL_SERVER_ERROR or error_type in BUSY
        raise (BusyError if busy else ApiError)(error_type, message)

    def attempt_when_busy() -> Any:
        return call_with_retries(attempt, on=(NotSent, OutcomeUnknown, BusyError), pauses=PAUSES)

    return call_with_retries(attempt_when_busy, on=(AccessDeniedError,), pauses=IAM_PAUSES)


def call_with_retries[T](
    attempt: Callable[[], T], *, on: tuple[type[Exception], ...], pauses: Sequence[float]
) -> T:
    """Return the result of `attempt()`; after an error of `on`, pause (seconds) and try again."""
    for pause in pauses:
        try:
            return attempt()
        except on:
            time.sleep(pause)
    return attempt()
