"""The proxy Lambda: API Gateway calls it, and it passes requests on to the Django Lambda.

It exists for the requests that get no response from Django, because a Lambda in a VPC can be
inactive, at its limit or broken. API Gateway would wait for 29 s and then send an error of its own
that does not help a visitor. The proxy is outside the VPC, starts fast and responds in time, with a
page that explains the problem and states whether the request may have been processed. It never
repeats a request that may have been.
"""

import json
import os
import time

from djambda_common.aws_api import NotSent, OutcomeUnknown, connect
from djambda_common.gateway_time import GATEWAY_SECONDS, remaining_seconds, seconds_since
from djambda_common.names import ERROR_HEADER
from djambda_common.problem import (
    REPORT,
    RESPONSE_TOO_LARGE,
    TIMED_OUT,
    UNFINISHED,
    WAKING_UP,
    Problem,
)
from error_page import error_response
from gateway_event import method, request_context
from hsts import remember_policy
from invocation import (
    INTERNAL_SERVER_ERROR,
    LEAST_SECONDS,
    FunctionFailed,
    FunctionTimedOut,
    InvocationError,
    NotReady,
    Refused,
    ResponseTooLarge,
    Throttled,
    TooLarge,
    invoke,
)
from maintenance import bypass_response, is_blocked
from scanners import scanner_response
from waking import (
    PATIENCE,
    is_new_visit,
    is_page_load,
    is_reload,
    remember_response,
    waking_problem,
    waking_response,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import Context, GatewayEvent, GatewayResponse

OWN_SECONDS = 0.5
"""Time to respond before Lambda stops the proxy."""


class UnknownEventError(Exception):
    """The event is not an HTTP request."""


class ReportedError(InvocationError):
    """Django's handler reports `problem`; `permissions` are the response's CORS headers."""

    def __init__(self, problem: Problem, request_id: str, headers: dict[str, list[str]]) -> None:
        super().__init__(problem.error, "see the Django function's log", request_id)
        self.problem = problem
        self.permissions = {
            name: ",".join(values)
            for name, values in headers.items()
            if name.startswith("access-control-") or name == "vary"
        }


class InvalidResponseError(InvocationError):
    """The Django Lambda returned something other than an HTTP response."""


REPORTED = {
    problem.error: problem for problem in (RESPONSE_TOO_LARGE, TIMED_OUT, UNFINISHED, WAKING_UP)
}
"""The problems that the Django function's handler reports, by their codes."""

CLOSED = Problem(
    503,
    "maintenance",
    "Back soon",
    "This site is down for maintenance and will be back shortly.",
    retry_after=300,
)

PROBLEMS: dict[type[Exception], Problem] = {
    FunctionFailed: Problem(
        502,
        "django_failed",
        "Something went wrong",
        f"The site could not process this request. {REPORT}",
        may_have_run=True,
    ),
    FunctionTimedOut: Problem(
        504,
        "django_timed_out",
        "This took too long",
        "The site did not finish this request in time.",
        may_have_run=True,
    ),
    OutcomeUnknown: Problem(
        504,
        "outcome_unknown",
        "No response",
        "The site did not respond in time.",
        may_have_run=True,
    ),
    ResponseTooLarge: RESPONSE_TOO_LARGE,
    InvalidResponseError: Problem(
        502,
        "invalid_response",
        "Something went wrong",
        f"The site sent an invalid response. {REPORT}",
        may_have_run=True,
    ),
    Throttled: Problem(
        503,
        "throttled",
        "The site is busy",
        "Too many people are using the site right now.",
        retry_after=2,
    ),
    NotReady: Problem(
        503,
        "starting",
        "The site is starting",
        "It will be ready in a moment.",
        retry_after=5,
    ),
    NotSent: Problem(
        503,
        "unreachable",
        "The site cannot be reached",
        "This usually lasts only a few seconds.",
        retry_after=5,
    ),
    TooLarge: Problem(
        413,
        "request_too_large",
        "This is too large",
        # Lambda takes 6 MB, and base64 makes files a third larger.
        "Files can be up to 4.4 MB. Choose a smaller file, or send your files one at a time.",
    ),
    Refused: Problem(
        502,
        "misconfigured",
        "The site is not set up correctly",
        "Please send the site's operator the request ID below. Operators: the proxy's log has the "
        "reason.",
    ),
}


LOG_LEVELS = {WAKING_UP: "INFO", PROBLEMS[TooLarge]: "WARN"}
"""The levels of the problems that are not errors of the site."""

HANDLED: tuple[type[Exception], ...] = (ReportedError, *PROBLEMS)


def lambda_handler(event: "GatewayEvent", context: "Context") -> "GatewayResponse":
    """Pass a REST API's proxy event on to Django and return its response, or one of `PROBLEMS`.

    During maintenance, return `CLOSED` unless the request has the bypass cookie (`maintenance.py`).

    Python's Lambda runtime makes it necessary to decode and encode Django's response on the way; it
    is not changed.
    """
    if not isinstance(event, dict) or "httpMethod" not in event:
        raise UnknownEventError(_describe_unknown(event))
    if response := scanner_response(event):
        return response
    if is_blocked(event):
        return bypass_response(event) or error_response(CLOSED, event, _request_id(event, context))
    longest = _seconds_left(event, context)
    seconds = longest
    if is_new_visit(event):
        seconds = min(longest, max(PATIENCE - _seconds_waited(event), LEAST_SECONDS))
    try:
        response = _invoke_django(event, seconds)
    except HANDLED as error:
        return _explain(error, event, context, cut_short=seconds < longest)
    if response["statusCode"] < INTERNAL_SERVER_ERROR:
        remember_response()
    return response


def _explain(
    error: Exception, event: "GatewayEvent", context: "Context", *, cut_short: bool
) -> "GatewayResponse":
    """Return the page or the JSON that explains an error to the visitor, and log it."""
    if isinstance(error, ReportedError):
        problem, permissions = error.problem, error.permissions
    else:
        problem = next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)
        permissions = {}
    request_id = _request_id(event, context)
    if _is_waking_up(error, problem, event, cut_short=cut_short):
        problem = waking_problem(event)
        _log(problem, error, method(event), request_id)
        return waking_response(problem, event, request_id, permissions)
    _log(problem, error, method(event), request_id)
    return error_response(problem, event, request_id, permissions)


def _is_waking_up(
    error: Exception, problem: Problem, event: "GatewayEvent", *, cut_short: bool
) -> bool:
    """Return whether a visitor waits for a page that will come when the site has woken up."""
    if not is_page_load(event):
        return False
    if isinstance(error, OutcomeUnknown):
        return cut_short and isinstance(error.__cause__, TimeoutError)
    if isinstance(error, Throttled):  # The function's instances are busy waiting for the database.
        return is_reload(event)
    return isinstance(error, NotReady) or problem is WAKING_UP


def _invoke_django(event: "GatewayEvent", seconds: float) -> "GatewayResponse":
    # Without escapes and spaces, so that the payload is not larger than the event, which has the
    # same limit. A lone surrogate cannot be encoded as UTF-8, but can be escaped in JSON.
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    payload = text.encode(errors="backslashreplace")
    result: GatewayResponse = invoke(os.environ["FUNCTION_NAME"], payload, seconds=seconds)
    if not isinstance(result, dict) or not isinstance(result.get("statusCode"), int):
        raise InvalidResponseError(
            "InvalidResponse", f"a {type(result).__name__} without statusCode"
        )
    _raise_reported(result)
    remember_policy(result)
    return result


def _raise_reported(result: "GatewayResponse") -> None:
    """Raise the error that the Django Lambda's handler, and not Django, has reported."""
    headers = result.get("multiValueHeaders")
    values = headers.get(ERROR_HEADER) if isinstance(headers, dict) else None
    if headers and isinstance(values, list) and values and isinstance(values[0], str):
        error, _, request_id = values[0].partition(" ")
        if problem := REPORTED.get(error):
            raise ReportedError(problem, request_id, headers)


def _seconds_left(event: "GatewayEvent", context: "Context") -> float:
    """Return the seconds that Django may take. API Gateway also counts the proxy's cold start."""
    own = remaining_seconds(context.get_remaining_time_in_millis()) - OWN_SECONDS
    return max(min(GATEWAY_SECONDS - _seconds_waited(event), own), LEAST_SECONDS)


def _seconds_waited(event: "GatewayEvent") -> float:
    return seconds_since(request_context(event).get("requestTimeEpoch"))


def _request_id(event: "GatewayEvent", context: "Context") -> str:
    request_id = request_context(event).get("requestId")
    return request_id if isinstance(request_id, str) and request_id else context.aws_request_id


def _log(problem: Problem, error: Exception, method: str, request_id: str) -> None:
    """Log one line for a failed request, without anything that the visitor sent.

    `invocationId` is the request ID in Django's log. Lambda's log level filter reads `timestamp`
    and `level`:
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """
    line = {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "level": LOG_LEVELS.get(problem, "ERROR"),
        "message": f"{method} request failed: {problem.status} {problem.error}",
        "error": problem.error,
        "requestId": request_id,
    }
    if isinstance(error, InvocationError):
        line |= {"errorType": error.error_type, "invocationId": error.request_id}
    # Messages of Django's own errors may quote the visitor; they are in Django's log.
    if not isinstance(error, FunctionFailed):
        line["detail"] = str(error)
    print(json.dumps(line), flush=True)  # noqa: T201 (importing logging takes a third of a cold start)


def _describe_unknown(event: object) -> str:
    description = f"keys {sorted(event)}" if isinstance(event, dict) else type(event).__name__
    return (
        f"Not an HTTP request from a REST API ({description}). "
        'Send management commands ({"manage": "migrate --no-input"}) to the Django function: '
        f"{os.environ['FUNCTION_NAME']}"
    )


if "FUNCTION_NAME" in os.environ:  # In Lambda, during INIT; not in tests.
    connect("lambda")
