"""Turns the events of API Gateway into calls of a WSGI application, and its answers into theirs.

The Django Lambda hands every request to `response`, which has the signature that code written for
the `awsgi` package expects. Events are those of REST APIs (proxy integration, payload version 1.0):
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html

Nothing here knows Django or AWS's SDK. No body, cookie or authorization is ever logged.
"""

import binascii
import io
import json
import logging
import re
import sys
from collections.abc import Callable, Collection, Iterable
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode
from wsgiref.types import WSGIApplication, WSGIEnvironment

type Event = dict[str, Any]
type Headers = list[tuple[str, str]]
type ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

PAYLOAD_LIMIT = 6_291_556
"""Bytes of JSON that a function may return; Lambda names this number in its error message."""

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
"""`{name}` or `{name+}` in the path of an API's resource."""

logger = logging.getLogger(__name__)


def is_request(event: object) -> bool:
    """Whether `event` is a request that `response` can answer."""
    return (
        isinstance(event, dict)
        and isinstance(event.get("httpMethod"), str)
        and isinstance(event.get("requestContext"), dict)
        and "elb" not in event["requestContext"]
    )


def response(
    application: WSGIApplication,
    event: Event,
    context: object,
    base64_content_types: Collection[str] | None = None,
) -> dict[str, Any]:
    """The application's answer to the request, as API Gateway expects it.

    `base64_content_types` are content types to send as base64 although they are text. The event and
    the context are in the environ, as `awsgi.event` and `awsgi.context`.

    A request that makes no sense is answered with 400, an answer that Lambda could not carry is
    replaced by a 502. Raises what the application raises, and `ValueError` for an event that
    is no request of a REST API.
    """
    if not is_request(event):
        raise ValueError("The event is no request of an API Gateway REST API (payload version 1.0)")
    try:
        environ = environ_v1(event, context)
    except (AttributeError, TypeError, ValueError) as error:
        return _plain(HTTPStatus.BAD_REQUEST, f"The request cannot be understood: {error}\n")
    status, headers, body = call(application, environ)
    answer = answer_v1(status, headers, body, environ["REQUEST_METHOD"], base64_content_types or ())
    if answer is None:
        return _too_large(environ, len(body))
    return answer


def environ_v1(event: Event, context: object) -> WSGIEnvironment:
    """The WSGI environ (PEP 3333) of a REST API's event.

    Raises `AttributeError`, `TypeError` or `ValueError` where a field is not what it should be.
    """
    gateway = event["requestContext"]
    body = _body(event)
    script_name, path_info = _split_path(event)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": event["httpMethod"].upper(),
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "QUERY_STRING": _query_string(event),
        "SERVER_PROTOCOL": gateway.get("protocol") or "HTTP/1.1",
        # The gateway's own word. X-Forwarded-For starts with whatever the client wrote there.
        "REMOTE_ADDR": (gateway.get("identity") or {}).get("sourceIp") or "",
        "wsgi.version": (1, 0),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "awsgi.event": event,
        "awsgi.context": context,
    }
    _add_headers(environ, event)
    environ["CONTENT_LENGTH"] = str(len(body))
    _add_server(environ, gateway)
    return environ


def call(application: WSGIApplication, environ: WSGIEnvironment) -> tuple[int, Headers, bytes]:
    """Status, headers and whole body of the application's answer, which is closed by then."""
    started: list[tuple[str, Headers]] = []
    body: list[bytes] = []

    def start_response(
        status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        # PEP 3333: with exc_info an application may start anew as long as no body is on its way.
        if exc_info is None:
            if started:
                raise RuntimeError("The application called start_response twice without exc_info")
        elif body and exc_info[1] is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        started[:] = [(status, headers)]
        return body.append

    chunks: Iterable[bytes] = application(environ, start_response)
    try:
        body.extend(chunk for chunk in chunks if chunk)
    finally:
        # Django sends request_finished here, which lets go of the database connection.
        if hasattr(chunks, "close"):
            chunks.close()
    if not started:
        raise RuntimeError("The application did not call start_response")
    status, headers = started[0]
    return int(status[:3]), headers, b"".join(body)


def answer_v1(
    status: int, headers: Headers, body: bytes, method: str, base64_content_types: Collection[str]
) -> dict[str, Any] | None:
    """The answer in a REST API's terms, or None where it is too large for Lambda."""
    # Names in lower case, so that "Set-Cookie" and "set-cookie" are one (RFC 9110, section 5.1).
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    answer = {
        "statusCode": status,
        "multiValueHeaders": values,
        "body": "",
        "isBase64Encoded": False,
    }
    # RFC 9110, sections 9.3.2, 15.2, 15.3.5 and 15.4.5: these have no content.
    if method == "HEAD" or status < 200 or status in {204, 304}:  # noqa: PLR2004
        return answer
    content_type = values.get("content-type", [""])[0].partition(";")[0].strip().lower()
    encoding = values.get("content-encoding", ["identity"])[0].lower()
    if encoding == "identity" and content_type not in base64_content_types:
        text = _as_text(body, content_type)
        if text is not None:
            return {**answer, "body": text}
    encoded = binascii.b2a_base64(body, newline=False).decode("ascii")
    if len(encoded) > PAYLOAD_LIMIT - HEADERS_LIMIT:
        return None
    return {**answer, "body": encoded, "isBase64Encoded": True}


def _body(event: Event) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return bytes(body.encode())
    try:
        return binascii.a2b_base64(body, strict_mode=True)
    except ValueError as error:
        raise ValueError(f"its body is not the base64 it is said to be ({error})") from None


def _split_path(event: Event) -> tuple[str, str]:
    """SCRIPT_NAME and PATH_INFO: the application's own part of the path, and what precedes it.

    On the API's own host, requestContext.path has the stage ("/prod/admin/") and path has not
    ("/admin/"). On a custom domain both are alike; what precedes the path of the matched resource
    is the base path under which the domain maps this API.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html
    """
    path = _decoded(event.get("path") or "/")
    whole = _decoded(event["requestContext"].get("path") or path)
    if whole == path:
        base = _base_path(event, path)
        return base, path[len(base) :] or "/"
    if whole.endswith(path):  # At a segment boundary, since the path starts with a slash.
        return whole[: -len(path)], path
    return (whole, path) if path == "/" else ("", path)  # "/prod": the stage without a slash.


def _base_path(event: Event, path: str) -> str:
    resource = event.get("resource") or ""
    values = event.get("pathParameters") or {}
    names = PLACEHOLDER.findall(resource)
    if not resource.startswith("/") or any(not values.get(name) for name in names):
        return ""
    # The gateway leaves out the slash at the end of a path parameter.
    route = PLACEHOLDER.sub(lambda match: values[match[1]].strip("/"), resource)
    path = path.rstrip("/")
    route = _decoded(route).rstrip("/")
    return path.removesuffix(route) if path.endswith(route) else ""


def _decoded(path: str) -> str:
    """Percent-decoded, one character per byte as PEP 3333 has it, with a slash in front."""
    if not path.startswith("/"):
        path = f"/{path}"
    if path.isascii() and "%" not in path:
        return path
    return unquote_to_bytes(path).decode("latin-1")


def _query_string(event: Event) -> str:
    """The query, encoded again: the gateway has decoded names and values."""
    if several := event.get("multiValueQueryStringParameters"):
        pairs = [
            (name, value or "") for name, values in several.items() for value in values or ("",)
        ]
    elif single := event.get("queryStringParameters"):
        pairs = [(name, value or "") for name, value in single.items()]
    else:
        return ""
    return urlencode(pairs)


def _add_headers(environ: WSGIEnvironment, event: Event) -> None:
    several = event.get("multiValueHeaders")
    if not several:
        several = {name: (value,) for name, value in (event.get("headers") or {}).items()}
    for name, values in several.items():
        # X_Forwarded_For would pass for X-Forwarded-For, as CVE-2015-0219 was about.
        if "_" in name:
            continue
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        present = [value for value in values or () if value is not None]
        if key in environ:
            present.insert(0, environ[key])
        if present:
            # RFC 9110, section 5.3; for cookies RFC 6265, section 4.2.1.
            text = ("; " if key == "HTTP_COOKIE" else ",").join(present)
            environ[key] = text if text.isascii() else text.encode().decode("latin-1")


def _add_server(environ: WSGIEnvironment, gateway: dict[str, Any]) -> None:
    """Scheme, host and port that the client sees. The last value of a header is the gateway's."""
    scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
    environ["wsgi.url_scheme"] = scheme = "https" if scheme == "https" else "http"
    authority = environ.get("HTTP_HOST") or gateway.get("domainName") or "localhost"
    name, _, port = authority.rpartition(":")
    if not port.isdigit():  # No port, or the end of an IPv6 address: "[::1]".
        name, port = authority, "443" if scheme == "https" else "80"
    environ["SERVER_NAME"] = name
    forwarded = environ.get("HTTP_X_FORWARDED_PORT", "").rpartition(",")[2].strip()
    environ["SERVER_PORT"] = forwarded or port


def _as_text(body: bytes, content_type: str) -> str | None:
    """The body as text, or None where it is none, or gets too large as a JSON string."""
    if not (
        content_type in TEXT_TYPES
        or content_type.startswith("text/")
        or content_type.endswith(("+json", "+xml"))
    ):
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    limit = PAYLOAD_LIMIT - HEADERS_LIMIT
    if len(body) * LONGEST_ESCAPE > limit and len(json.dumps(text)) > limit:
        return None
    return text


def _too_large(environ: WSGIEnvironment, size: int) -> dict[str, Any]:
    place = f"{environ['REQUEST_METHOD']} {environ['SCRIPT_NAME']}{environ['PATH_INFO']}"
    logger.error("The answer to %s has %d bytes, more than Lambda can return", place, size)
    return _plain(
        HTTPStatus.BAD_GATEWAY,
        f"The answer to this request has {size} bytes, and AWS Lambda returns at most 6 MB (4.7 MB "
        "of anything but text). Large files belong in the site's storage: redirect to their URL.\n",
    )


def _plain(status: HTTPStatus, text: str) -> dict[str, Any]:
    return {
        "statusCode": int(status),
        "multiValueHeaders": {"content-type": ["text/plain; charset=utf-8"]},
        "body": text,
        "isBase64Encoded": False,
    }
