"""Invoke the Django Lambda synchronously, and classify every failure.

The proxy and the release both invoke Django, and both must know whether a failed invocation may
have run. The errors below tell them; `NotSent` and `OutcomeUnknown` of `djambda_common.aws_api`
pass through.
"""
# ruff: noqa: N818 (each name describes an outcome)

import json
import time

from djambda_common.aws_api import NotSent, OutcomeUnknown, call, error_of
from djambda_common.aws_signature import encoded
from djambda_common.http_connection import Response
from djambda_common.names import DATABASE_ASLEEP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# HTTP statuses; importing `http` takes longer than they are worth.
BAD_REQUEST = 400
REQUEST_ENTITY_TOO_LARGE = 413
TOO_MANY_REQUESTS = 429
INTERNAL_SERVER_ERROR = 500

MAX_PAYLOAD = 6 * 1024 * 1024
"""Bytes of a synchronous request or response: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

TRIES_TO_SEND = 3
PAUSE_TO_SEND = 0.1
PAUSE_WHEN_NOT_READY = 1.0
LEAST_SECONDS = 1.0
"""With less time than this, another attempt would most likely be cut off."""

# Of the errors in https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
NOT_READY = {
    "CodeArtifactUserPendingException",
    "ENINotReadyException",
    "ResourceConflictException",  # Pending: being created, updated or reactivated.
    "ResourceNotReadyException",  # Inactive: the first invocation fails, and reactivates it.
    "SnapStartNotReadyException",
}
THROTTLED = {"EC2ThrottledException", "TooManyRequestsException"}
REFUSED_WITH_5XX = {
    "EC2AccessDeniedException",
    "EC2UnexpectedException",
    "ENILimitReachedException",
    "InvalidRuntimeException",
    "InvalidSecurityGroupIDException",
    "InvalidSubnetIDException",
    "InvalidZipFileException",
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
    "SubnetIPAddressLimitReachedException",
}


class InvocationError(Exception):
    """A failed invocation. `error_type` is AWS's or Python's name for the failure."""

    def __init__(self, error_type: str, message: str, request_id: str = "") -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type = error_type
        self.message = message
        self.request_id = request_id


class NotReady(InvocationError):
    """Nothing ran: the function is being set up, and will be ready soon."""


class Throttled(InvocationError):
    """Nothing ran: the function has no capacity at the moment."""


class TooLarge(InvocationError):
    """Nothing ran: the request exceeds Lambda's limit."""


class Refused(InvocationError):
    """Nothing ran, and nothing will until the setup is fixed."""


class FunctionFailed(InvocationError):
    """The function ran and failed; it may have done part of its work."""


class FunctionTimedOut(FunctionFailed):
    """The function was stopped at its timeout."""


class ResponseTooLarge(FunctionFailed):
    """The function did its work, but its response exceeds Lambda's limit."""


def invoke(
    function: str,
    payload: bytes,
    *,
    seconds: float,
    wait_for: tuple[type[InvocationError], ...] = (NotReady,),
) -> "Any":
    """Invoke `function` (a name or ARN, with version or alias) and return its decoded response.

    `seconds` is the limit for everything, waiting and retrying included. Only a request that cannot
    have run is sent again: a few times if it was `NotSent`, and until the limit after an error in
    `wait_for`.
    """
    if len(payload) > MAX_PAYLOAD:
        raise TooLarge("RequestTooLarge", f"{len(payload)} bytes, over the limit of {MAX_PAYLOAD}")
    deadline = time.monotonic() + seconds
    retryable: tuple[type[Exception], ...] = (NotSent, *wait_for)
    unsent = 0
    while True:
        try:
            return _decode(_send(function, payload, timeout=deadline - time.monotonic()))
        except retryable as error:
            unsent = unsent + 1 if isinstance(error, NotSent) else 0
            pause = PAUSE_TO_SEND if unsent else PAUSE_WHEN_NOT_READY
            if unsent == TRIES_TO_SEND or time.monotonic() + pause + LEAST_SECONDS > deadline:
                raise
        time.sleep(pause)


def _send(function: str, payload: bytes, *, timeout: float) -> Response:
    return call(
        "lambda",
        path=f"/2015-03-31/functions/{encoded(function)}/invocations",
        headers={
            "Content-Type": "application/json",
            "X-Amz-Invocation-Type": "RequestResponse",
        },
        body=payload,
        timeout=timeout,
    )


def _decode(response: Response) -> "Any":
    request_id = response.headers.get("x-amzn-requestid", "")
    if response.status >= BAD_REQUEST:
        raise _api_error(response, request_id)
    try:
        result = json.loads(response.body)
    except ValueError as error:
        raise OutcomeUnknown(f"lambda: HTTP {response.status}, but no JSON: {error}") from error
    if "x-amz-function-error" in response.headers:
        raise _function_error(result, request_id)
    return result


def _api_error(response: Response, request_id: str) -> Exception:
    """Return the error for an invocation that the Lambda API rejected, or failed to process."""
    error_type, message = error_of(response)
    if error_type in NOT_READY:
        return NotReady(error_type, message, request_id)
    if error_type in THROTTLED or response.status == TOO_MANY_REQUESTS:
        return Throttled(error_type, message, request_id)
    if response.status == REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(error_type, message, request_id)
    if response.status < INTERNAL_SERVER_ERROR or error_type in REFUSED_WITH_5XX:
        return Refused(error_type, message, request_id)
    return OutcomeUnknown(f"lambda: HTTP {response.status} {error_type}: {message}")


def _function_error(result: object, request_id: str) -> InvocationError:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html"""
    details = result if isinstance(result, dict) else {}
    error_type = str(details.get("errorType") or "")
    message = str(details.get("errorMessage") or "")
    if error_type == DATABASE_ASLEEP:
        return NotReady(error_type, message, request_id)
    kind = FunctionFailed
    if error_type == "Sandbox.Timedout" or (not error_type and "Task timed out" in message):
        kind = FunctionTimedOut
    elif error_type == "Function.ResponseSizeTooLarge":
        kind = ResponseTooLarge
    return kind(error_type or kind.__name__, message, request_id)
