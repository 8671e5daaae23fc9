"""Convert the HTTP events of AWS to the environ of a WSGI application (PEP 3333).

`djambda.awsgi` names the kinds of events and cites AWS's descriptions of them.
"""

from __future__ import annotations

import re
import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, unquote_to_bytes

from pybase64 import b64decode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from wsgiref.types import WSGIEnvironment

type Event = dict[str, Any]

PLACEHOLDER = re.compile(r"\{([^}+]+)\+?\}")
"""`{name}` or `{name+}` in a route."""


def environ_v1(event: Event) -> WSGIEnvironment:
    gateway = event.get("requestContext") or {}
    path = _decoded(event.get("path"))
    whole = _decoded(gateway.get("path") or path)
    # On the API's own host, requestContext.path has the stage ("/prod/admin/") and path does not
    # ("/admin/"). On a custom domain and with an HTTP API, they are equal.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html
    if whole == path:
        script_name = _prefix(event.get("resource"), event, gateway, path)
        path = path[len(script_name) :]
    elif whole.endswith(path):  # At a segment boundary: the path starts with a slash.
        script_name = whole[: -len(path)].rstrip("/")  # "//admin/" has an empty prefix.
    else:  # "/prod": the stage without a slash.
        script_name = whole if path == "/" else ""
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters")
    return _build(
        event,
        method=event["httpMethod"],
        script_name=script_name,
        path=path,
        # The gateway has decoded the query.
        query="&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in _pairs(query or {})),
        headers=event.get("headers"),
        multi_value_headers=event.get("multiValueHeaders"),
        gateway=gateway,
        protocol=gateway.get("protocol"),
        # Not X-Forwarded-For, which starts with the value that the client sent.
        address=(gateway.get("identity") or {}).get("sourceIp"),
    )


def environ_v2(event: Event) -> WSGIEnvironment:
    gateway = event["requestContext"]
    http = gateway["http"]
    path = _decoded(event.get("rawPath") or http.get("path"))
    script_name = _prefix((event.get("routeKey") or "").partition(" ")[2], event, gateway, path)
    headers = event.get("headers")
    if cookies := event.get("cookies"):
        headers = {**(headers or {}), "cookie": "; ".join(cookies)}
    return _build(
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


def environ_alb(event: Event) -> WSGIEnvironment:
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters")
    environ = _build(
        event,
        method=event["httpMethod"],
        script_name="",
        path=_decoded(event.get("path")),
        # A load balancer does not decode the query.
        query="&".join(f"{name}={value}" for name, value in _pairs(query or {})),
        headers=event.get("headers"),
        multi_value_headers=event.get("multiValueHeaders"),
        gateway={},
        protocol=None,
        address=None,
    )
    # The balancer appends the address that it sees to the value that the client sent.
    environ["REMOTE_ADDR"] = _last(environ.get("HTTP_X_FORWARDED_FOR", ""))
    return environ


def _build(  # noqa: PLR0913 (one keyword for each difference between the formats)
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
        raise ValueError("no method")
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
        raise ValueError(f"the body is not valid base64 ({error})") from None


def _latin_1(text: str) -> str:
    """Return one character per byte of the UTF-8 encoding, as PEP 3333 requires."""
    return text if text.isascii() else text.encode().decode("latin-1")


def _decoded(path: str | None) -> str:
    """Return the path percent-decoded, one character per byte (PEP 3333), with a leading slash."""
    if not path or path[0] != "/":
        path = f"/{path or ''}"
    if path.isascii() and "%" not in path:
        return path
    return unquote_to_bytes(path).decode("latin-1")


def _prefix(route: str | None, event: Event, gateway: dict[str, Any], path: str) -> str:
    """Return SCRIPT_NAME: the part of `path` that is not the application's own.

    It is the part before the matched route, such as the base path of the API on a custom domain, or
    the stage on the API's own host if the route is a catch-all.
    """
    values = event.get("pathParameters") or {}
    if route and route[0] == "/" and all(values.get(name) for name in PLACEHOLDER.findall(route)):
        # The gateway omits the trailing slash of a path parameter.
        matched = PLACEHOLDER.sub(lambda match: values[match[1]].strip("/"), route)
        matched = _decoded(matched).rstrip("/")
        path = path.rstrip("/")
        return path.removesuffix(matched) if path.endswith(matched) else ""
    stage = f"/{gateway.get('stage') or '$default'}"
    own_host = ".execute-api." in (gateway.get("domainName") or "")
    in_path = own_host and stage != "/$default" and f"{path}/".startswith(f"{stage}/")
    return stage if in_path else ""


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each name with each of its values, of single-value or multi-value parameters."""
    return [
        (name, value or "")
        for name, values in query.items()
        for value in (values or ("",) if isinstance(values, list) else (values,))
    ]


def _quoted(text: str) -> str:
    return text if text.isascii() and text.isalnum() else quote_plus(text)


class _Keys(dict[str, str]):
    """The key of each header in the environ; "" for headers to ignore.

    A cache for common names. It is bounded, because clients can send any name.
    """

    def __missing__(self, name: str) -> str:
        key = name.upper().replace("-", "_")
        if "_" in name:
            key = ""  # X_Forwarded_For would become X-Forwarded-For, as in CVE-2015-0219.
        elif key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        if len(self) < 1024:  # noqa: PLR2004
            self[name] = key
        return key


_keys = _Keys()


def _add_headers(
    environ: WSGIEnvironment,
    single: Mapping[str, Any] | None,
    multiple: Mapping[str, Any] | None,
) -> None:
    """Add headers with one value each, or with a list of values each."""
    headers = multiple or single
    if not headers:
        return
    expected = len(environ) + len(headers)
    try:
        if multiple:
            for name, (value,) in multiple.items():
                environ[_keys[name]] = value if value.isascii() else _latin_1(value)
        else:
            for name, value in headers.items():
                environ[_keys[name]] = value if value.isascii() else _latin_1(value)
    except (AttributeError, TypeError, ValueError):
        expected = -1  # A value is null, or a header has several values or none.
    if len(environ) != expected:
        _add_repeated_headers(environ, headers)
    environ.pop("", None)


def _add_repeated_headers(environ: WSGIEnvironment, headers: Mapping[str, Any]) -> None:
    """Add headers of which some are null or repeated, such as "Cookie" and "cookie"."""
    combined: dict[str, list[str]] = {}
    for name, values in headers.items():
        for value in values or () if isinstance(values, list) else (values,):
            if value is not None:
                combined.setdefault(_keys[name], []).append(value)
    for key, texts in combined.items():
        # RFC 9110, section 5.3; for cookies RFC 6265, section 4.2.1.
        environ[key] = _latin_1(("; " if key == "HTTP_COOKIE" else ",").join(texts))


def _add_server(environ: WSGIEnvironment, gateway: dict[str, Any]) -> None:
    """Add the client's view of scheme, host and port. A header's last value is the gateway's."""
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
