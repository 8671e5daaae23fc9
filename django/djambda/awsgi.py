"""Call a WSGI application with the HTTP events of AWS, and convert its responses.

The Django Lambda passes every request to `response`, which has the signature of the `awsgi`
package's function. It accepts the events of

- REST APIs, and HTTP APIs with payload 1.0 ("v1"):
  https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
- HTTP APIs and Function URLs with payload 2.0 ("v2"):
  https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
- Application Load Balancers, with and without multi-value headers:
  https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html

Django and AWS's SDK are not needed. Bodies, cookies and authorizations are never logged.
"""

from __future__ import annotations  # Else each request evaluates those of `start_response`.

import itertools
import logging
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from pybase64 import b64encode_as_string

from djambda.gateway_headers import CHANGED, warn_about_changed
from djambda.response_body import LONGEST_ESCAPE, as_text, json_size
from djambda.wsgi_environ import environ_alb, environ_v1, environ_v2
from djambda_common import problem as problems
from djambda_common.names import ERROR_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from djambda.wsgi_environ import Event
    from djambda_common.problem import Problem

type Response = dict[str, Any]
type Headers = list[tuple[str, str]]
type ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

ACCEPTED = (
    "requests of an API Gateway REST or HTTP API, a Lambda Function URL or an Application Load "
    "Balancer (with httpMethod or requestContext.http)"
)

LAMBDA_LIMIT = 6_291_556
"""Bytes of JSON that a function may return, according to Lambda's error message."""

ALB_LIMIT = 1_048_576
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html"""

HEADERS_LIMIT = 20_000
"""More bytes than everything but the body usually takes: API Gateway accepts 10,240 of headers."""

SET_COOKIES = [
    "".join(letters)
    for letters in itertools.product("sS", "eE", "tT", "-", "cC", "oO", "oO", "kK", "iI", "eE")
]
"""Spellings of one header name: the only way to set several cookies if headers have one value."""

logger = logging.getLogger(__name__)


class _Format(NamedTuple):
    """A format of events, and that of their responses."""

    environ: Callable[[Event], WSGIEnvironment]
    convert_response: Callable[[str, dict[str, list[str]]], Response]
    limit: int


def is_request(event: object) -> bool:
    """Return whether `event` is an HTTP request, well-formed or not, that `response` accepts."""
    return _format_of(event) is not None


def response(
    application: WSGIApplication,
    event: Event,
    context: object,
    base64_content_types: Collection[str] | None = None,
) -> Response:
    """Return the application's response to the request, in the format that the event requires.

    `base64_content_types` are text types to send as base64. Until the response is closed, the
    environ has the event and the context as `awsgi.event` and `awsgi.context`.

    The response is a 400 if the request is malformed, and a 502 if the application's response is
    too large. Raises the application's exceptions, and `ValueError` if the event is not an HTTP
    request.
    """
    event_format = _format_of(event)
    if event_format is None:
        raise ValueError(f"The event is not an HTTP request. Accepted are {ACCEPTED}.")
    try:
        environ = event_format.environ(event)
    except ValueError as error:
        return _plain(event_format, HTTPStatus.BAD_REQUEST, f"Malformed request: {error}\n")
    except (AttributeError, LookupError, TypeError) as error:
        return _plain(
            event_format,
            HTTPStatus.BAD_REQUEST,
            f"Malformed request: a field has the wrong type ({error})\n",
        )
    environ["awsgi.event"] = event
    environ["awsgi.context"] = context
    limit = event_format.limit
    method, path = environ["REQUEST_METHOD"], environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    try:
        status, headers, body = _call(application, environ, limit)
    finally:
        # Frameworks keep the environ in reference cycles, which would also keep the event alive.
        environ.pop("awsgi.event", None)
        environ.pop("awsgi.context", None)
    values = _values_by_name(headers)
    if event_format is V1 and not CHANGED.isdisjoint(values):
        warn_about_changed(values)
    # RFC 9110, sections 9.3.2, 15.2, 15.3.5 and 15.4.5: the others have no content.
    code = int(status[:3])
    has_content = method != "HEAD" and code >= 200 and code not in {204, 304}  # noqa: PLR2004
    if has_content and "content-length" in values:
        values["content-length"] = [str(len(body))]  # A wrong one truncates the body.
    result = event_format.convert_response(status, values)
    if not body or not has_content:
        return result
    if len(body) * LONGEST_ESCAPE > limit - HEADERS_LIMIT:
        limit -= json_size(result)
    text = None if len(body) > limit else as_text(body, values, base64_content_types, limit)
    if text is None:
        result["isBase64Encoded"] = True
        # Base64 encodes 3 bytes as 4 characters.
        if (len(body) + 2) // 3 * 4 > limit:
            logger.error(
                "Response too large: %s %s (%d bytes or more, content type %s)",
                *(method, path, len(body), values.get("content-type", [""])[0]),
            )
            return _explain(event_format, problems.RESPONSE_TOO_LARGE, environ, values, context)
        text = b64encode_as_string(body)
    result["body"] = text
    return result


def problem_response(
    event: Event, problem: Problem, context: object, replaced: Response | None = None
) -> Response:
    """Return the response that explains why the application has none, or only `replaced`."""
    event_format = _format_of(event)
    if event_format is None:
        raise ValueError(f"The event is not an HTTP request. Accepted are {ACCEPTED}.")
    response = replaced or {}
    values = response.get("multiValueHeaders") or {
        name: [text] for name, text in response.get("headers", {}).items()
    }
    return _explain(event_format, problem, event_format.environ(event), values, context)


def _format_of(event: object) -> _Format | None:
    if not isinstance(event, dict):
        return None
    gateway = event.get("requestContext")
    context = gateway if isinstance(gateway, dict) else {}
    if "httpMethod" in event:
        if "elb" in context:
            return ALB_MULTI_VALUE if "multiValueHeaders" in event else ALB
        return V1
    return V2 if "http" in context else None


# The call (PEP 3333)


def _call(
    application: WSGIApplication, environ: WSGIEnvironment, limit: int
) -> tuple[str, Headers, bytes]:
    """Return status, headers and body of the application's response, and close it.

    A body that exceeds `limit` bytes is not read further: it may be endless.
    """
    started: tuple[str, Headers] | None = None
    body: list[bytes] = []

    def start_response(
        status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        nonlocal started
        # With exc_info, an application may restart the response until it has written some body.
        if exc_info is None:
            if started:
                raise RuntimeError("The application called start_response twice without exc_info")
        elif any(body) and exc_info[1] is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        started = status, headers
        return body.append

    chunks: Iterable[bytes] = application(environ, start_response)
    try:
        size = sum(map(len, body))
        for chunk in chunks:
            body.append(chunk)
            size += len(chunk)
            if size > limit:
                break
    finally:
        # Here Django sends request_finished, which releases the database connection.
        if hasattr(chunks, "close"):
            chunks.close()
    if started is None:
        raise RuntimeError("The application did not call start_response")
    return *started, body[0] if len(body) == 1 else b"".join(body)


# The response


def _values_by_name(headers: Headers) -> dict[str, list[str]]:
    """Group the headers by their names, which are case-insensitive (RFC 9110, section 5.1).

    HTTP/2 forbids the space before a cookie of Django 5.2 on Python 3.12 (RFC 9113, section 8.2.1).
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value.strip(" \t"))
    return values


def _convert_v1(status: str, values: dict[str, list[str]]) -> Response:
    return {
        "statusCode": int(status[:3]),
        "multiValueHeaders": values,
        "body": "",
        "isBase64Encoded": False,
    }


def _convert_v2(status: str, values: dict[str, list[str]]) -> Response:
    return {
        "statusCode": int(status[:3]),
        "headers": {
            name: ", ".join(texts) for name, texts in values.items() if name != "set-cookie"
        },
        "cookies": values.get("set-cookie", []),
        "body": "",
        "isBase64Encoded": False,
    }


def _convert_alb(status: str, values: dict[str, list[str]]) -> Response:
    headers = {name: ", ".join(texts) for name, texts in values.items() if name != "set-cookie"}
    headers |= zip(SET_COOKIES, values.get("set-cookie", ()), strict=False)
    return {
        "statusCode": int(status[:3]),
        "statusDescription": status,
        "headers": headers,
        "body": "",
        "isBase64Encoded": False,
    }


def _convert_alb_multi_value(status: str, values: dict[str, list[str]]) -> Response:
    return {**_convert_v1(status, values), "statusDescription": status}


def _explain(
    event_format: _Format,
    problem: Problem,
    environ: WSGIEnvironment,
    values: dict[str, list[str]],
    context: object,
) -> Response:
    """Return the response of the proxy, which replaces this one, for APIs that have no proxy.

    It keeps those of the headers `values` that let pages of other origins read it.
    """
    request_id = str(getattr(context, "aws_request_id", ""))
    method = environ["REQUEST_METHOD"]
    is_page = environ.get("HTTP_SEC_FETCH_MODE") == "navigate" or "text/html" in environ.get(
        "HTTP_ACCEPT", ""
    )
    headers = {
        name: texts
        for name, texts in values.items()
        if name.startswith("access-control-") or name in {"strict-transport-security", "vary"}
    } | {
        "cache-control": ["no-store"],
        "content-security-policy": [problems.CONTENT_SECURITY_POLICY],
        "content-type": ["text/html; charset=utf-8" if is_page else "application/json"],
        "x-content-type-options": ["nosniff"],
        "x-frame-options": ["DENY"],
        ERROR_HEADER: [f"{problem.error} {request_id}"],
    }
    if problem.retry_after is not None:
        headers["retry-after"] = [str(problem.retry_after)]
    status = HTTPStatus(problem.status)
    safe = method in problems.SAFE_METHODS
    if is_page:
        path = quote((environ["SCRIPT_NAME"] + environ["PATH_INFO"]).encode("latin-1"))
        address = problems.relative_address(path, environ["QUERY_STRING"])
        body = problems.render_page(problem, request_id, safe=safe, address=address)
    else:
        body = problems.render_json(problem, request_id, safe=safe)
    return {
        **event_format.convert_response(f"{status} {status.phrase}", headers),
        "body": "" if method == "HEAD" else body,
    }


def _plain(event_format: _Format, status: HTTPStatus, text: str) -> Response:
    headers = {"content-type": ["text/plain; charset=utf-8"]}
    return {**event_format.convert_response(f"{status} {status.phrase}", headers), "body": text}


V1 = _Format(environ_v1, _convert_v1, LAMBDA_LIMIT)
V2 = _Format(environ_v2, _convert_v2, LAMBDA_LIMIT)
ALB = _Format(environ_alb, _convert_alb, ALB_LIMIT)
ALB_MULTI_VALUE = _Format(environ_alb, _convert_alb_multi_value, ALB_LIMIT)
