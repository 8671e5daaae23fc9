"""Turns the HTTP events of AWS into calls of a WSGI application, and its answers into theirs.

The Django Lambda hands every request to `response`, which has the signature that code written for
the `awsgi` package expects. It takes the events of

- REST APIs, and HTTP APIs with payload 1.0 ("v1"):
  https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
- HTTP APIs and Function URLs with payload 2.0 ("v2"):
  https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
- Application Load Balancers, with and without multi-value headers:
  https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html

Nothing here knows Django or AWS's SDK. No body, cookie or authorization is ever logged.
"""

from __future__ import annotations  # Those of `start_response` would be evaluated at each request.

import itertools
import json
import logging
import re
import sys
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote_plus, unquote_to_bytes

from pybase64 import b64decode, b64encode_as_string

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from wsgiref.types import WSGIApplication, WSGIEnvironment

type Event = dict[str, Any]
type Answer = dict[str, Any]
type Headers = list[tuple[str, str]]
type ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

ACCEPTED = (
    "requests of an API Gateway REST or HTTP API, a Lambda Function URL or an Application Load "
    "Balancer (with httpMethod or requestContext.http)"
)

LAMBDA_LIMIT = 6_291_556
"""Bytes of JSON that a function may return; Lambda names this number in its error message."""

ALB_LIMIT = 1_048_576
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html"""

HEADERS_LIMIT = 20_000
"""Bytes kept free for what is not body: API Gateway takes 10,240 bytes of headers."""

LONGEST_ESCAPE = 6
"""Bytes that JSON may make of one byte of text ("\\u0000")."""

TEXT_TYPES = frozenset(
    {
        "",
        "application/javascript",
        "application/json",
        "application/x-www-form-urlencoded",
        "application/xml",
    }
)
"""Besides text/*, *+json and *+xml. A body without a type is text if it can be."""

PLACEHOLDER = re.compile(r"\{([^}+]+)\+?\}")
"""`{name}` or `{name+}` in a route."""

SET_COOKIES = [
    "".join(letters)
    for letters in itertools.product("sS", "eE", "tT", "-", "cC", "oO", "oO", "kK", "iI", "eE")
]
"""One name, differently written: the only way to several cookies where a header has one value."""

logger = logging.getLogger(__name__)


class _Format(NamedTuple):
    """One format of events and the one of their answers."""

    environ: Callable[[Event], WSGIEnvironment]
    answer: Callable[[str, dict[str, list[str]]], Answer]
    limit: int


def is_request(event: object) -> bool:
    """Whether `event` is an HTTP request, well-formed or not, which `response` can answer."""
    return _format_of(event) is not None


def response(
    application: WSGIApplication,
    event: Event,
    context: object,
    base64_content_types: Collection[str] | None = None,
) -> Answer:
    """The application's answer to the request, in the format that belongs to the event's.

    `base64_content_types` are content types to send as base64 although they are text. The event and
    the context are in the environ until the answer is closed, as `awsgi.event` and `awsgi.context`.

    A request that makes no sense is answered with 400, an answer that could not be carried is
    replaced by a 502. Raises what the application raises, and `ValueError` for an event that
    is no HTTP request.
    """
    form = _format_of(event)
    if form is None:
        raise ValueError(f"The event is no HTTP request. Accepted are {ACCEPTED}.")
    try:
        environ = form.environ(event)
    except ValueError as error:
        return _plain(form, HTTPStatus.BAD_REQUEST, f"The request cannot be understood: {error}\n")
    except (AttributeError, LookupError, TypeError) as error:
        return _plain(
            form,
            HTTPStatus.BAD_REQUEST,
            f"The request cannot be understood: a field is not of its type ({error})\n",
        )
    environ["awsgi.event"] = event
    environ["awsgi.context"] = context
    method, place = environ["REQUEST_METHOD"], environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    try:
        status, headers, body = _call(application, environ)
    finally:
        # Frameworks keep the environ in cycles: the event would wait for the garbage collector.
        environ.pop("awsgi.event", None)
        environ.pop("awsgi.context", None)
    # Names in lower case, so that "Set-Cookie" and "set-cookie" are one (RFC 9110, section 5.1).
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    answer = form.answer(status, values)
    # RFC 9110, sections 9.3.2, 15.2, 15.3.5 and 15.4.5: these have no content.
    code = answer["statusCode"]
    if not body or method == "HEAD" or code < 200 or code in {204, 304}:  # noqa: PLR2004
        return answer
    text = _as_text(body, values, base64_content_types, form.limit)
    if text is None:
        answer["isBase64Encoded"] = True
        text = b64encode_as_string(body)
        if len(text) > form.limit - HEADERS_LIMIT:
            return _too_large(form, f"{method} {place}", len(body))
    answer["body"] = text
    return answer


def _format_of(event: object) -> _Format | None:
    if not isinstance(event, dict):
        return None
    gateway = event.get("requestContext")
    known = gateway if isinstance(gateway, dict) else {}
    if "httpMethod" in event:
        if "elb" in known:
            return ALB_MULTI_VALUE if "multiValueHeaders" in event else ALB
        return V1
    return V2 if "http" in known else None


# The environ (PEP 3333)


def _environ_v1(event: Event) -> WSGIEnvironment:
    gateway = event.get("requestContext") or {}
    path = _decoded(event.get("path"))
    whole = _decoded(gateway.get("path") or path)
    # On the API's own host requestContext.path has the stage ("/prod/admin/") and path has not
    # ("/admin/"). On a custom domain both are alike, as they are with an HTTP API.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html
    if whole == path:
        script_name = _prefix(event.get("resource"), event, gateway, path)
        path = path[len(script_name) :]
    elif whole.endswith(path):  # At a segment boundary, since the path starts with a slash.
        script_name = whole[: -len(path)]
    else:  # "/prod": the stage without a slash.
        script_name = whole if path == "/" else ""
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters")
    return _environ(
        event,
        method=event["httpMethod"],
        script_name=script_name,
        path=path,
        # The gateway has decoded it.
        query="&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in _pairs(query or {})),
        headers=event.get("headers"),
        multi_value_headers=event.get("multiValueHeaders"),
        gateway=gateway,
        protocol=gateway.get("protocol"),
        # The gateway's own word. X-Forwarded-For starts with whatever the client wrote there.
        address=(gateway.get("identity") or {}).get("sourceIp"),
    )


def _environ_v2(event: Event) -> WSGIEnvironment:
    gateway = event["requestContext"]
    http = gateway["http"]
    path = _decoded(event.get("rawPath") or http.get("path"))
    script_name = _prefix((event.get("routeKey") or "").partition(" ")[2], event, gateway, path)
    headers = event.get("headers")
    if cookies := event.get("cookies"):
        headers = {**(headers or {}), "cookie": "; ".join(cookies)}
    return _environ(
        event,
        method=http.get("method"),
        script_name=script_name,
        path=path[len(script_name) :],
        query=event.get("rawQueryString"),
        headers=headers,
        multi_value_headers=None,
        gateway=gateway,
        protocol=http.get("protocol"),
        address=http.get("sourceIp"),
    )


def _environ_alb(event: Event) -> WSGIEnvironment:
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters")
    environ = _environ(
        event,
        method=event["httpMethod"],
        script_name="",
        path=_decoded(event.get("path")),
        # As the client encoded it: a load balancer does not decode it.
        query="&".join(f"{name}={value}" for name, value in _pairs(query or {})),
        headers=event.get("headers"),
        multi_value_headers=event.get("multiValueHeaders"),
        gateway={},
        protocol=None,
        address=None,
    )
    # The balancer appends the address that it sees; all before is the client's word.
    environ["REMOTE_ADDR"] = _last(environ.get("HTTP_X_FORWARDED_FOR", ""))
    return environ


def _environ(  # noqa: PLR0913 (a table of what differs between the formats)
    event: Event,
    *,
    method: str | None,
    script_name: str,
    path: str,
    query: str | None,
    headers: Mapping[str, Any] | None,
    multi_value_headers: Mapping[str, Any] | None,
    gateway: dict[str, Any],
    protocol: str | None,
    address: str | None,
) -> WSGIEnvironment:
    if not method:
        raise ValueError("it has no method")
    body = _body(event)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": _latin_1(method.upper()),
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path or "/",
        "QUERY_STRING": _latin_1(query or ""),
        "SERVER_PROTOCOL": _latin_1(protocol or "HTTP/1.1"),
        "REMOTE_ADDR": _latin_1(address or ""),
        "wsgi.version": (1, 0),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    _add_headers(environ, headers, multi_value_headers)
    environ["CONTENT_LENGTH"] = str(len(body))
    _add_server(environ, gateway)
    return environ


def _body(event: Event) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return bytes(body.encode())
    try:
        return b64decode(body, validate=True)
    except ValueError as error:
        raise ValueError(f"its body is not the base64 it is said to be ({error})") from None


def _latin_1(text: str) -> str:
    """One character per byte of its UTF-8, as PEP 3333 has strings."""
    return text if text.isascii() else text.encode().decode("latin-1")


def _decoded(path: str | None) -> str:
    """Percent-decoded, one character per byte as PEP 3333 has it, with a slash in front."""
    if not path or path[0] != "/":
        path = f"/{path or ''}"
    if path.isascii() and "%" not in path:
        return path
    return unquote_to_bytes(path).decode("latin-1")


def _prefix(route: str | None, event: Event, gateway: dict[str, Any], path: str) -> str:
    """What precedes the application's own part of `path`: SCRIPT_NAME.

    That is what stands before the matched route, such as the base path under which a custom domain
    maps this API, or the stage on the API's own host where the route is a catch-all.
    """
    values = event.get("pathParameters") or {}
    if route and route[0] == "/" and all(values.get(name) for name in PLACEHOLDER.findall(route)):
        # The gateway leaves out the slash at the end of a path parameter.
        matched = PLACEHOLDER.sub(lambda match: values[match[1]].strip("/"), route)
        matched = _decoded(matched).rstrip("/")
        path = path.rstrip("/")
        return path.removesuffix(matched) if path.endswith(matched) else ""
    stage = f"/{gateway.get('stage') or '$default'}"
    own_host = ".execute-api." in (gateway.get("domainName") or "")
    in_path = own_host and stage != "/$default" and f"{path}/".startswith(f"{stage}/")
    return stage if in_path else ""


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each name with each of its values, from single and from multi-value parameters."""
    return [
        (name, value or "")
        for name, values in query.items()
        for value in (values or ("",) if isinstance(values, list) else (values,))
    ]


def _quoted(text: str) -> str:
    return text if text.isascii() and text.isalnum() else quote_plus(text)


class _Keys(dict[str, str]):
    """The name of each header in the environ; "" for one that must not get there.

    A plain look-up for what browsers and gateways send again and again, bounded because anybody
    can make up names.
    """

    def __missing__(self, name: str) -> str:
        key = name.upper().replace("-", "_")
        if "_" in name:
            key = ""  # X_Forwarded_For would pass for X-Forwarded-For, as CVE-2015-0219 was about.
        elif key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        if len(self) < 1024:  # noqa: PLR2004
            self[name] = key
        return key


_keys = _Keys()


def _add_headers(
    environ: WSGIEnvironment,
    single: Mapping[str, Any] | None,
    several: Mapping[str, Any] | None,
) -> None:
    """Add headers that have a value each, or those that have a list of values each."""
    headers = several or single
    if not headers:
        return
    expected = len(environ) + len(headers)
    try:
        if several:
            for name, (value,) in several.items():
                environ[_keys[name]] = value if value.isascii() else _latin_1(value)
        else:
            for name, value in headers.items():
                environ[_keys[name]] = value if value.isascii() else _latin_1(value)
    except (AttributeError, TypeError, ValueError):
        expected = -1  # Something is null, there is more than one value, or none.
    if len(environ) != expected:
        _add_repeated_headers(environ, headers)
    environ.pop("", None)


def _add_repeated_headers(environ: WSGIEnvironment, headers: Mapping[str, Any]) -> None:
    """The same for whatever is null or comes more than once, as "Cookie" and "cookie" may."""
    found: dict[str, list[str]] = {}
    for name, values in headers.items():
        for value in values or () if isinstance(values, list) else (values,):
            if value is not None:
                found.setdefault(_keys[name], []).append(value)
    for key, each in found.items():
        # RFC 9110, section 5.3; for cookies RFC 6265, section 4.2.1.
        environ[key] = _latin_1(("; " if key == "HTTP_COOKIE" else ",").join(each))


def _add_server(environ: WSGIEnvironment, gateway: dict[str, Any]) -> None:
    """Scheme, host and port that the client sees. The last value of a header is the gateway's."""
    forwarded = environ.get("HTTP_X_FORWARDED_PROTO", "")
    scheme = "https" if forwarded == "https" or _last(forwarded).lower() == "https" else "http"
    environ["wsgi.url_scheme"] = scheme
    authority = environ.get("HTTP_HOST") or _latin_1(gateway.get("domainName") or "localhost")
    name, _, port = authority.rpartition(":")
    if not port.isdigit():  # No port, or the end of an IPv6 address: "[::1]".
        name, port = authority, "443" if scheme == "https" else "80"
    environ["SERVER_NAME"] = name
    environ["SERVER_PORT"] = _last(environ.get("HTTP_X_FORWARDED_PORT", "")) or port


def _last(header: str) -> str:
    return header.rpartition(",")[2].strip()


# The call (PEP 3333)


def _call(application: WSGIApplication, environ: WSGIEnvironment) -> tuple[str, Headers, bytes]:
    """Status, headers and whole body of the application's answer, which is closed by then."""
    started: tuple[str, Headers] | None = None
    body: list[bytes] = []

    def start_response(
        status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        nonlocal started
        # With exc_info an application may start anew as long as no body is on its way.
        if exc_info is None:
            if started:
                raise RuntimeError("The application called start_response twice without exc_info")
        elif any(body) and exc_info[1] is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        started = status, headers
        return body.append

    chunks: Iterable[bytes] = application(environ, start_response)
    try:
        body.extend(chunks)
    finally:
        # Django sends request_finished here, which lets go of the database connection.
        if hasattr(chunks, "close"):
            chunks.close()
    if started is None:
        raise RuntimeError("The application did not call start_response")
    return *started, body[0] if len(body) == 1 else b"".join(body)


# The answer


def _answer_v1(status: str, values: dict[str, list[str]]) -> Answer:
    return {
        "statusCode": int(status[:3]),
        "multiValueHeaders": values,
        "body": "",
        "isBase64Encoded": False,
    }


def _answer_v2(status: str, values: dict[str, list[str]]) -> Answer:
    return {
        "statusCode": int(status[:3]),
        "headers": {name: ", ".join(each) for name, each in values.items() if name != "set-cookie"},
        "cookies": values.get("set-cookie", []),
        "body": "",
        "isBase64Encoded": False,
    }


def _answer_alb(status: str, values: dict[str, list[str]]) -> Answer:
    headers = {name: ", ".join(each) for name, each in values.items() if name != "set-cookie"}
    headers |= zip(SET_COOKIES, values.get("set-cookie", ()), strict=False)
    return {
        "statusCode": int(status[:3]),
        "statusDescription": status,
        "headers": headers,
        "body": "",
        "isBase64Encoded": False,
    }


def _answer_alb_multi_value(status: str, values: dict[str, list[str]]) -> Answer:
    return {**_answer_v1(status, values), "statusDescription": status}


def _as_text(
    body: bytes,
    values: dict[str, list[str]],
    base64_content_types: Collection[str] | None,
    limit: int,
) -> str | None:
    """The body as text, or None where it is none, or gets too large as a JSON string."""
    if "content-encoding" in values and values["content-encoding"] != ["identity"]:
        return None
    content_type = values["content-type"][0] if "content-type" in values else ""
    if not _is_text(content_type):
        return None
    if base64_content_types and _media_type(content_type) in base64_content_types:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    limit -= HEADERS_LIMIT
    if len(body) * LONGEST_ESCAPE > limit and len(json.dumps(text)) > limit:
        return None
    return text


@lru_cache(maxsize=256)
def _is_text(content_type: str) -> bool:
    media_type = _media_type(content_type)
    return (
        media_type in TEXT_TYPES
        or media_type.startswith("text/")
        or media_type.endswith(("+json", "+xml"))
    )


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _too_large(form: _Format, request: str, size: int) -> Answer:
    logger.error("The answer to %s has %d bytes, more than can be returned", request, size)
    return _plain(
        form,
        HTTPStatus.BAD_GATEWAY,
        f"The answer to this request has {size} bytes. At most {form.limit / 1e6:.1f} MB can be "
        "returned, of anything but text three quarters of that. Large files belong in the site's "
        "storage: redirect to their URL.\n",
    )


def _plain(form: _Format, status: HTTPStatus, text: str) -> Answer:
    headers = {"content-type": ["text/plain; charset=utf-8"]}
    return {**form.answer(f"{status} {status.phrase}", headers), "body": text}


V1 = _Format(_environ_v1, _answer_v1, LAMBDA_LIMIT)
V2 = _Format(_environ_v2, _answer_v2, LAMBDA_LIMIT)
ALB = _Format(_environ_alb, _answer_alb, ALB_LIMIT)
ALB_MULTI_VALUE = _Format(_environ_alb, _answer_alb_multi_value, ALB_LIMIT)
