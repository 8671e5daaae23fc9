"""The front door: API Gateway calls it, and it invokes the Django Lambda and returns its answer.

It exists for the moments when Django gives none. API Gateway waits 29 s and then answers by
itself, with nothing a visitor could use; a Lambda in a VPC can be asleep, full or broken. The
front door is outside the VPC, always starts fast, and answers in time: with a page that says
what happened, and whether the request may have been carried out. It never sends a request
again that may have been.
"""

import json
import os
import time

from djambda_common.aws_api import NotSent, OutcomeUnknown, connect
from error_page import Problem, answer
from invocation import (
    LEAST_SECONDS,
    AnswerTooLarge,
    FunctionFailed,
    FunctionTimedOut,
    InvocationError,
    NotReady,
    Refused,
    Throttled,
    TooLarge,
    invoke,
)
from maintenance import invitation, is_closed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import Context, GatewayAnswer, GatewayEvent, RequestContext

GATEWAY_SECONDS = 28.0
"""API Gateway gives up 29 s after it got the request; our own answer needs a moment of that.

https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""
OWN_SECONDS = 0.5
"""The same before Lambda stops this function."""


class UnknownEventError(Exception):
    """Somebody invoked the front door with something that is no HTTP request."""


class InvalidAnswerError(InvocationError):
    """The Django Lambda returned something that is no HTTP answer."""


CLOSED = Problem(
    503,
    "maintenance",
    "Back soon",
    "The site is closed for maintenance, and will be back in a while.",
    retry_after=300,
)

PROBLEMS: dict[type[Exception], Problem] = {
    FunctionFailed: Problem(
        502,
        "django_failed",
        "Something went wrong",
        "The site could not answer this request. Its operators find the reason in the log, "
        "under the number below.",
        may_have_run=True,
    ),
    FunctionTimedOut: Problem(
        504,
        "django_timed_out",
        "This took too long",
        "The site did not finish within the time it has for one request, and was stopped.",
        may_have_run=True,
    ),
    OutcomeUnknown: Problem(
        504,
        "outcome_unknown",
        "No answer in time",
        "The site was asked, but no answer came back in time.",
        may_have_run=True,
    ),
    AnswerTooLarge: Problem(
        502,
        "answer_too_large",
        "The answer is too large",
        "The site answered with more than 6 MB, which is more than can be sent this way. "
        "Larger files have to be downloaded from the site's file storage.",
        may_have_run=True,
    ),
    InvalidAnswerError: Problem(
        502,
        "invalid_answer",
        "Something went wrong",
        "The site answered with something that is not a web page. Its operators find more in "
        "the log, under the number below.",
        may_have_run=True,
    ),
    Throttled: Problem(
        503,
        "throttled",
        "Very busy right now",
        "More people are using the site than it can serve at this moment.",
        retry_after=2,
    ),
    NotReady: Problem(
        503,
        "starting",
        "Just starting",
        "The site is being started and will be there in a moment.",
        retry_after=5,
    ),
    NotSent: Problem(
        503,
        "unreachable",
        "Not reachable right now",
        "The site could not be reached. This is usually over within seconds.",
        retry_after=5,
    ),
    TooLarge: Problem(
        413,
        "request_too_large",
        "This is too large",
        "A request can have up to 6 MB, and files grow by a third on their way: send files of "
        "up to 4.4 MB, one at a time.",
    ),
    Refused: Problem(
        502,
        "misconfigured",
        "The site is not set up correctly",
        "Operators: the front door may not invoke the Django function, or cannot find it. The "
        "reason is in the front door's log, under the number below.",
    ),
}


def lambda_handler(event: "GatewayEvent", context: "Context") -> "GatewayAnswer":
    """Pass a REST API's proxy event on to Django and return its answer, or one of `PROBLEMS`.

    While the site is closed, `CLOSED` is the answer to all who have no key (`maintenance.py`).

    Django's answer is decoded and encoded once more on the way, which the Python runtime
    leaves no way around; it is not changed.
    """
    if not isinstance(event, dict) or "httpMethod" not in event:
        raise UnknownEventError(_unknown(event))
    if is_closed(event):
        return invitation(event) or answer(CLOSED, event, _request_id(event, context))
    try:
        return _ask_django(event, _seconds_left(event, context))
    except tuple(PROBLEMS) as error:
        problem = next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)
        request_id = _request_id(event, context)
        _log(problem, error, event["httpMethod"], request_id)
        return answer(problem, event, request_id)


def _ask_django(event: "GatewayEvent", seconds: float) -> "GatewayAnswer":
    # Without escapes and blanks, so that it is no larger than what came in under the same limit.
    # Half a surrogate pair has no UTF-8; as a JSON escape it may pass.
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    payload = text.encode(errors="backslashreplace")
    result: GatewayAnswer = invoke(os.environ["FUNCTION_NAME"], payload, seconds=seconds)
    if not isinstance(result, dict) or not isinstance(result.get("statusCode"), int):
        raise InvalidAnswerError("InvalidAnswer", f"a {type(result).__name__} without statusCode")
    return result


def _seconds_left(event: "GatewayEvent", context: "Context") -> float:
    """How long Django may take. A cold start of this function counts for API Gateway."""
    now = time.time()
    waited = now - _request_context(event).get("requestTimeEpoch", now * 1000) / 1000
    if not 0 <= waited < GATEWAY_SECONDS:  # The clocks disagree.
        waited = 0
    own = context.get_remaining_time_in_millis() / 1000 - OWN_SECONDS
    return max(min(GATEWAY_SECONDS - waited, own), LEAST_SECONDS)


def _request_id(event: "GatewayEvent", context: "Context") -> str:
    return _request_context(event).get("requestId") or context.aws_request_id


def _request_context(event: "GatewayEvent") -> "RequestContext":
    return event.get("requestContext") or {}


def _log(problem: Problem, error: Exception, method: str, request_id: str) -> None:
    """One line for each failed request, without anything that the visitor sent.

    `invocationId` is the request id in Django's log. Lambda's log level filter reads `timestamp`
    and `level`:
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """
    line = {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "level": "WARN" if problem.error == "request_too_large" else "ERROR",
        "message": f"{method} answered with {problem.status} {problem.error}",
        "error": problem.error,
        "requestId": request_id,
    }
    if isinstance(error, InvocationError):
        line |= {"errorType": error.error_type, "invocationId": error.request_id}
    # What Django's own errors say may quote the visitor; Django's log has it.
    if not isinstance(error, FunctionFailed):
        line["detail"] = str(error)
    print(json.dumps(line), flush=True)  # noqa: T201 (importing logging takes a third of a start)


def _unknown(event: object) -> str:
    got = f"keys {sorted(event)}" if isinstance(event, dict) else type(event).__name__
    return (
        f"Not an HTTP request from a REST API: got {got}. The front door passes on nothing else. "
        'Management commands ({"manage": "migrate --no-input"}) go to the Django function, '
        f"{os.environ['FUNCTION_NAME']}"
    )


if "FUNCTION_NAME" in os.environ:  # In Lambda, during INIT; not where a test imports this.
    connect("lambda")
