"""Checks of the adapters: an event as input, and the expected request or response as output.

A check sees an adapter from outside: the request that an application gets, or the response that a
client gets from API Gateway or the load balancer. The checks follow PEP 3333, RFC 9110 and AWS's
documentation of the four event formats. An adapter that raises fails the check. Checks that only
make sense for WSGI do not apply to an ASGI adapter.
"""

import base64
import gzip
import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.validate import validator

from bench import in_environment
from bench.events import (
    BALANCER_HOST,
    CLIENT,
    CONTEXT,
    HTTP_API_HOST,
    OWN_DOMAIN,
    REST_HOST,
    Event,
    Pairs,
    balancer,
    function_url,
    http_api,
    rest,
)
from bench.peers import ADAPTERS, OURS, Adapter
from bench.report import Table

type Results = dict[str, dict[str, bool | None]]
"""Adapter -> "group: check" -> passed; None where it does not apply."""

type Expected = dict[str, Any]

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"


@dataclass
class SeenRequest:
    """A request as an application sees it, in WSGI or ASGI."""

    method: str
    script_name: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    address: str
    scheme: str
    server: tuple[str, str]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query string, parsed as form data."""
        return parse_qsl(self.query, keep_blank_values=True)


@dataclass
class ReceivedResponse:
    """A response as the client receives it."""

    status: int
    headers: dict[str, list[str]]
    body: bytes


@dataclass(frozen=True)
class Response:
    """The response of an application."""

    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/plain; charset=utf-8"),)
    status: str = "200 OK"


def without(event: Event, *fields: str) -> Event:
    """Return the event without these fields."""
    return {name: value for name, value in event.items() if name not in fields}


# Expected requests

AT_SHOP = rest(path="/notes/", base_path="/shop")
NULLS = {
    "headers": None,
    "multiValueHeaders": None,
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "pathParameters": None,
    "body": None,
}
FORM = [("q", "a+b & c=d%"), ("q", "é"), ("empty", "")]
TWICE = [("a", "1"), ("a", "2")]
TWO = [("X-Some", "a"), ("X-Some", "b")]
TWO_COOKIE_HEADERS = [("Cookie", "a=1"), ("Cookie", "b=2")]
UNDERSCORE = [("X-Real-Ip", "1.2.3.4"), ("X_Real_Ip", "6.6.6.6")]
SOME = [("X-Some", "thing")]
JSON_TEXT = '{"name": "café"}'
JSON_TYPE = ("Content-Type", "application/json")
RAW = "a=1&a=2&b=%C3%A9+x&c"
NOTHING: Expected = {"method": "GET", "path": "/", "query": "", "body": b""}
HEALTH = {"user-agent": "ELB-HealthChecker/2.0"}
PLAIN_HTTP = {"host": BALANCER_HOST, "x-forwarded-proto": "http", "x-forwarded-port": "80"}


def sees(name: str, event: Event, **expected: Any) -> tuple[str, Event, Expected]:
    """Return a check: "group: name", the event, and fields of `SeenRequest`.

    `headers` needs to contain only the headers to check.
    """
    return name, event, expected


REQUESTS = [
    sees("path: REST: percent-encoding", rest(path="/caf%C3%A9"), path="/café"),
    sees("path: REST: an encoded slash", rest(path="/a%2Fb"), path="/a/b"),
    sees("path: REST: a plus is not a space", rest(path="/a+b"), path="/a+b"),
    sees("path: Function URL: percent-encoding", function_url(path="/caf%C3%A9"), path="/café"),
    sees("path: ALB: percent-encoding", balancer(path="/caf%C3%A9"), path="/café"),
    sees(
        "path: REST: the stage is the prefix on the API's host",
        rest(path="/notes/"),
        script_name="/prod",
        path="/notes/",
    ),
    sees(
        "path: REST: a page named like the stage",
        rest(path="/prod/notes/"),
        script_name="/prod",
        path="/prod/notes/",
    ),
    sees(
        "path: REST: no prefix on a custom domain",
        rest(path="/notes/", base_path=""),
        script_name="",
        path="/notes/",
    ),
    sees("path: REST: a custom domain's base path", AT_SHOP, script_name="/shop", path="/notes/"),
    sees(
        "path: HTTP API: the stage is the prefix",
        http_api(path="/prod/notes/", stage="prod"),
        script_name="/prod",
        path="/notes/",
    ),
    sees(
        "path: HTTP API: the stage alone",
        http_api(path="/prod", stage="prod"),
        script_name="/prod",
        path="/",
    ),
    sees(
        "path: HTTP API: /prod is not a prefix of /products",
        http_api(path="/products", stage="prod", host=OWN_DOMAIN),
        script_name="",
        path="/products",
    ),
    sees("path: HTTP API: no prefix at $default", http_api(path="/a"), script_name="", path="/a"),
    sees("path: Function URL: no prefix", function_url(path="/a"), script_name="", path="/a"),
    sees("path: ALB: no prefix on its own host", balancer(path="/a"), script_name="", path="/a"),
    sees("query: REST: a name twice", rest(query=TWICE), parameters=TWICE),
    sees("query: REST: reserved characters, accents, no value", rest(query=FORM), parameters=FORM),
    sees("query: REST: none", rest(), query=""),
    sees(
        "query: REST: single values only",
        without(rest(query=[("a", "1")]), "multiValueQueryStringParameters"),
        parameters=[("a", "1")],
    ),
    sees("query: HTTP API: unchanged", http_api(query=RAW), query=RAW),
    sees(
        "query: ALB: not encoded twice",
        balancer(query=[("q", "caf%C3%A9%20a%2Bb%26")]),
        parameters=[("q", "café a+b&")],
    ),
    sees(
        "query: ALB: a plus is a space", balancer(query=[("q", "a+b")]), parameters=[("q", "a b")]
    ),
    sees("query: ALB: a name twice", balancer(query=TWICE, multi_value=True), parameters=TWICE),
    sees("query: ALB: bytes that are not UTF-8", balancer(query=[("q", "%E9")]), query="q=%E9"),
    sees("headers: REST: any header", rest(headers=SOME), headers={"x-some": "thing"}),
    sees("headers: REST: a header twice", rest(headers=TWO), headers={"x-some": "a,b"}),
    sees(
        "headers: REST: cookies in two headers",
        rest(headers=TWO_COOKIE_HEADERS),
        headers={"cookie": "a=1;b=2"},
    ),
    sees(
        "headers: REST: single values only",
        without(rest(headers=SOME), "multiValueHeaders"),
        headers={"x-some": "thing"},
    ),
    sees(
        "headers: REST: an underscore is not a hyphen",
        rest(headers=UNDERSCORE),
        headers={"x-real-ip": "1.2.3.4"},
    ),
    sees(
        "headers: HTTP API: cookies",
        http_api(cookies=["a=1", "b=2"]),
        headers={"cookie": "a=1;b=2"},
    ),
    sees("headers: ALB: any header", balancer(headers=SOME), headers={"x-some": "thing"}),
    sees(
        "headers: ALB: cookies in two headers",
        balancer(headers=TWO_COOKIE_HEADERS, multi_value=True),
        headers={"cookie": "a=1;b=2"},
    ),
    sees("client: REST: a forged X-Forwarded-For", rest(), address=CLIENT),
    sees("client: HTTP API: a forged X-Forwarded-For", http_api(), address=CLIENT),
    sees("client: Function URL: a forged X-Forwarded-For", function_url(), address=CLIENT),
    sees("client: ALB: a forged X-Forwarded-For", balancer(), address=CLIENT),
    sees(
        "client: ALB, multi-value: a forged X-Forwarded-For",
        balancer(multi_value=True),
        address=CLIENT,
    ),
    sees("client: REST: scheme and host", rest(), scheme="https", headers={"host": REST_HOST}),
    sees(
        "client: HTTP API: scheme and host",
        http_api(),
        scheme="https",
        headers={"host": HTTP_API_HOST},
    ),
    sees("client: ALB: plain HTTP", balancer() | {"headers": PLAIN_HTTP}, scheme="http"),
    sees("client: REST: server and port", rest(), server=(REST_HOST, "443")),
    sees("client: HTTP API: server and port", http_api(), server=(HTTP_API_HOST, "443")),
    sees("body in: REST: none", rest(), body=b""),
    sees(
        "body in: REST: text",
        rest("POST", body=JSON_TEXT, headers=[JSON_TYPE]),
        body=JSON_TEXT.encode(),
        headers={"content-type": "application/json"},
    ),
    sees("body in: REST: base64", rest("POST", body=PNG), body=PNG),
    sees("body in: HTTP API: text", http_api("POST", body=JSON_TEXT), body=JSON_TEXT.encode()),
    sees("body in: HTTP API: base64", http_api("POST", body=PNG), body=PNG),
    sees("body in: ALB: base64", balancer("POST", body=PNG), body=PNG),
    sees(
        "body in: REST: the length is in bytes",
        rest("POST", body="é", headers=[("Content-Length", "2")]),
        body="é".encode(),
        headers={"content-length": "2"},
    ),
    sees("missing fields: REST: null in every optional field", rest() | NULLS, **NOTHING),
    sees("missing fields: REST: absent fields", without(rest(), *NULLS), **NOTHING),
    sees(
        "missing fields: HTTP API: no headers, query, cookies, body",
        http_api() | {"headers": {}, "rawQueryString": ""},
        **NOTHING,
    ),
    sees(
        "missing fields: ALB: a health check",
        balancer() | {"headers": HEALTH},
        headers=HEALTH,
        **NOTHING,
    ),
]

# Expected responses

HTML = (("Content-Type", "text/html; charset=utf-8"),)
LATIN_1 = Response("café".encode("latin-1"), (("Content-Type", "text/html; charset=iso-8859-1"),))
GZIPPED = gzip.compress(b"page" * 100, mtime=0)
COMPRESSED = Response(GZIPPED, (*HTML, ("Content-Encoding", "gzip")))
IMAGE = Response(PNG, (("Content-Type", "image/png"),))
WITHOUT_TYPE = Response(PNG, ())
TEXT = Response("café".encode(), HTML)
JSON = Response(JSON_TEXT.encode(), (JSON_TYPE,))
VARY = Response(b"x", (*HTML, ("Vary", "Cookie"), ("Vary", "Accept")))
COOKIES = ["csrftoken=a; expires=Wed, 24 Nov 2027 09:00:00 GMT", "sessionid=b; HttpOnly"]
SET = Response(b"x", (*HTML, *(("Set-Cookie", value) for value in COOKIES)))
SET_MIXED = Response(b"x", (*HTML, ("Set-Cookie", COOKIES[0]), ("set-cookie", COOKIES[1])))
PAGE = Response(b"page", (*HTML, ("Content-Length", "4")))
NOT_FOUND = Response(b"x", status="404 Not Found")

V1, V2, ALB, ALB_MULTI = rest(), http_api(), balancer(), balancer(multi_value=True)


def gets(
    name: str, event: Event, app_response: Response, **expected: Any
) -> tuple[str, Event, Response, Expected]:
    """Return a check: "group: name", the event, the application's response, expected fields."""
    return name, event, app_response, expected


RESPONSES = [
    gets("cookies out: REST: two", V1, SET, cookies=COOKIES),
    gets("cookies out: REST: two, in different case", V1, SET_MIXED, cookies=COOKIES),
    gets("cookies out: HTTP API: two", V2, SET, cookies=COOKIES),
    gets("cookies out: Function URL: two", function_url(), SET, cookies=COOKIES),
    gets("cookies out: ALB: two", ALB, SET, cookies=COOKIES),
    gets("cookies out: ALB, multi-value: two", ALB_MULTI, SET, cookies=COOKIES),
    gets("headers out: REST: one twice", V1, VARY, vary=["Cookie", "Accept"]),
    gets("headers out: HTTP API: one twice", V2, VARY, vary=["Cookie", "Accept"]),
    gets("headers out: ALB: one twice", ALB, VARY, vary=["Cookie", "Accept"]),
    gets("headers out: ALB, multi-value: one twice", ALB_MULTI, VARY, vary=["Cookie", "Accept"]),
    gets("status: REST: a number", V1, NOT_FOUND, status=404, status_type=int),
    gets("status: HTTP API: a number", V2, NOT_FOUND, status=404, status_type=int),
    gets("status: ALB: a number", ALB, NOT_FOUND, status=404, status_type=int),
    gets("status: ALB: a description", ALB, NOT_FOUND, description="404 Not Found"),
    gets("status: ALB: a custom reason", ALB, Response(b"x", status="299 Fine"), status=299),
    gets("status: REST: HEAD has no body", rest("HEAD"), PAGE, body=b""),
    gets("status: REST: 204 has no body", V1, Response(b"x", (), "204 No Content"), body=b""),
    gets("status: REST: 304 has no body", V1, Response(b"x", (), "304 Not Modified"), body=b""),
    gets("body out: REST: text", V1, TEXT, body=TEXT.body, base64=False),
    gets("body out: REST: JSON", V1, JSON, body=JSON.body, base64=False),
    gets("body out: REST: an image", V1, IMAGE, body=PNG, base64=True),
    gets("body out: HTTP API: an image", V2, IMAGE, body=PNG, base64=True),
    gets("body out: ALB: an image", ALB, IMAGE, body=PNG, base64=True),
    gets("body out: REST: a compressed page", V1, COMPRESSED, body=GZIPPED, base64=True),
    gets("body out: HTTP API: a compressed page", V2, COMPRESSED, body=GZIPPED, base64=True),
    gets("body out: ALB: a compressed page", ALB, COMPRESSED, body=GZIPPED, base64=True),
    gets("body out: REST: a page that is not UTF-8", V1, LATIN_1, body=LATIN_1.body),
    gets("body out: REST: bytes without a type", V1, WITHOUT_TYPE, body=PNG),
    gets("body out: HTTP API: bytes without a type", V2, WITHOUT_TYPE, body=PNG),
    gets("body out: REST: more than Lambda's limit", V1, Response(b"x" * 6_400_000), fits=True),
]


# Requirements of PEP 3333: each check takes a function that makes a handler of an application

type Make = Callable[[WSGIApplication], Callable[[Event], dict[str, Any]]]


def closes(make: Make) -> bool:
    chunks = Chunks([b"a", b"b"])
    return make(wsgi_application(chunks))(rest())["body"] == "ab" and chunks.closed == 1


def closes_after_an_error(make: Make) -> bool:
    def failing() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("half way")

    chunks = Chunks(failing())
    with suppress(LookupError):
        make(wsgi_application(chunks))(rest())
    return chunks.closed == 1


def supports_write(make: Make) -> bool:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", list(HTML))
        write(b"a")
        write(b"b")
        return [b"c"]

    return bool(make(application)(rest())["body"] == "abc")


def supports_a_late_start(make: Make) -> bool:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("201 Created", list(HTML))
        yield b"a"
        yield b""
        yield b"b"

    result = make(application)(rest())
    return int(result["statusCode"]) == 201 and result["body"] == "ab"  # noqa: PLR2004


def replaces_the_response(make: Make) -> bool:
    """With exc_info before any body, the second call replaces status and headers."""

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*HTML, ("X-First", "yes")])
        try:
            int("no number")
        except ValueError:
            start_response("500 Internal Server Error", list(HTML), sys.exc_info())
        return [b"sorry"]

    event = rest()
    result = received(event, make(application)(event))
    return (result.status, result.body, "x-first" in result.headers) == (500, b"sorry", False)


def raises_a_late_exception(make: Make) -> bool:
    """With exc_info after the body has begun, start_response raises the exception."""
    raised = []

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(HTML))(b"half a page")
        try:
            int("no number")
        except ValueError:
            try:
                start_response("500 Internal Server Error", list(HTML), sys.exc_info())
            except ValueError:
                raised.append(True)
        return []

    make(application)(rest())
    return bool(raised)


def refuses_a_second_start(make: Make) -> bool:
    """A second call without exc_info is a fatal error."""
    refused = []

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(HTML))
        try:
            start_response("200 OK", list(HTML))
        except Exception:  # noqa: BLE001 (any exception is right)
            refused.append(True)
        return [b""]

    make(application)(rest())
    return bool(refused)


def is_valid_wsgi(make: Make) -> bool:
    event = rest("POST", "/notes/", body="a=1", headers=[("Content-Type", "text/plain")])
    return bool(make(validator(wsgi_application([b"fine"])))(event)["body"] == "fine")


def is_valid_wsgi_from_the_console(make: Make) -> bool:
    event = rest() | NULLS
    return bool(make(validator(wsgi_application([b"fine"])))(event)["body"] == "fine")


def keeps_bytes_in_the_path(make: Make) -> bool:
    return bool(environ_of(make, rest(path="/caf%E9"))["PATH_INFO"] == "/caf\xe9")


def keeps_bytes_in_a_header(make: Make) -> bool:
    name: str = environ_of(make, rest(headers=[("X-Name", "Łódź")]))["HTTP_X_NAME"]
    return name.encode("latin-1") == "Łódź".encode()


WSGI: list[tuple[str, Callable[[Make], bool]]] = [
    ("close() is called", closes),
    ("close() is called after an error", closes_after_an_error),
    ("the write callable", supports_write),
    ("start_response at the first chunk", supports_a_late_start),
    ("exc_info before the body", replaces_the_response),
    ("exc_info after the body has begun", raises_a_late_exception),
    ("start_response twice is an error", refuses_a_second_start),
    ("wsgiref's validator: a form", is_valid_wsgi),
    ("wsgiref's validator: a console's test event", is_valid_wsgi_from_the_console),
    ("a path that is not UTF-8", keeps_bytes_in_the_path),
    ("a header that is not ASCII", keeps_bytes_in_a_header),
]


class Chunks:
    """A response body that counts the calls of `close()`."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


# In the parent


def results() -> Results:
    """Run every check on every adapter in the peers' environment."""
    return in_environment("bench.correctness")  # type: ignore[no-any-return]


def score(checks: dict[str, bool | None]) -> str:
    """Return the passed and the applicable checks, as in "71/75"."""
    applicable = [passed for passed in checks.values() if passed is not None]
    return f"{sum(applicable)}/{len(applicable)}"


def table(results: Results) -> Table:
    """Return a table of the failed checks of each group."""
    groups = list(dict.fromkeys(name.partition(": ")[0] for name in results[OURS]))
    return Table(
        title="Correctness of the adapter",
        unit="failed checks",
        columns=tuple(groups),
        rows={
            adapter: tuple(_failures(checks, group) for group in groups)
            for adapter, checks in results.items()
        },
        ours=OURS,
        note=(
            f"The failures of {len(results[OURS])} checks of requests and responses. Each adapter "
            "is configured as its documentation says, with the base path or stage if it has such a "
            "setting. Checks of WSGI do not apply to Mangum."
        ),
        extra={adapter: score(checks) for adapter, checks in results.items()},
        extra_title="correct",
        ratios=False,
        details={
            adapter: "; ".join(filter(None, (_failed(checks, group) for group in groups)))
            for adapter, checks in results.items()
        },
    )


def _failures(checks: dict[str, bool | None], group: str) -> float | None:
    applicable = [
        passed
        for name, passed in checks.items()
        if name.startswith(f"{group}: ") and passed is not None
    ]
    return applicable.count(False) if applicable else None


def _failed(checks: dict[str, bool | None], group: str) -> str:
    """Return the failed checks, as in "*path* (REST: percent-encoding)", or ""."""
    start = f"{group}: "
    names = [
        name.removeprefix(start)
        for name, passed in checks.items()
        if name.startswith(start) and passed is False
    ]
    return f"*{group}* ({', '.join(names)})" if names else ""


# In the worker


def check_all() -> Results:
    """Run each check on each adapter."""
    return {name: dict(check(adapter)) for name, adapter in ADAPTERS.items()}


def check(adapter: Adapter) -> Iterator[tuple[str, bool | None]]:
    """Yield the name of each check and whether the adapter passes it."""
    for name, event, expected in REQUESTS:
        yield name, _passes(_request_is, adapter, event, expected)
    for name, event, app_response, expected in RESPONSES:
        yield name, _passes(_response_is, adapter, event, app_response, expected)
    for name, rule in WSGI:
        passed = None if adapter.asgi else _passes(_satisfies, adapter, rule)
        yield f"PEP 3333: {name}", passed


def _passes(condition: Callable[..., bool], *arguments: Any) -> bool:
    try:
        return condition(*arguments)
    except Exception:  # noqa: BLE001 (an adapter that raises fails)
        return False


def _request_is(adapter: Adapter, event: Event, expected: Expected) -> bool:
    seen: list[SeenRequest] = []
    application = recording_asgi(seen) if adapter.asgi else recording_wsgi(seen)
    adapter.make(application, base_path(event))(_fresh(event), CONTEXT)
    (request,) = seen
    headers = {name: request.headers.get(name) for name in expected.get("headers", ())}
    fields = {name: getattr(request, name) for name in expected}
    if headers:
        fields["headers"] = headers
    return fields == expected


def _response_is(
    adapter: Adapter, event: Event, app_response: Response, expected: Expected
) -> bool:
    application = (
        asgi_application(app_response)
        if adapter.asgi
        else wsgi_application([app_response.body], app_response.headers, app_response.status)
    )
    result = adapter.make(application, base_path(event))(_fresh(event), CONTEXT)
    client_response = received(event, result)
    fields: dict[str, Any] = {
        **client_response.headers,
        "status": client_response.status,
        "status_type": type(result["statusCode"]),
        "description": result.get("statusDescription"),
        "cookies": client_response.headers.get("set-cookie"),
        "body": client_response.body,
        "base64": bool(result.get("isBase64Encoded")),
        "fits": len(json.dumps(result)) <= 6 * 1024 * 1024,
    }
    return {name: fields.get(name) for name in expected} == expected


def _satisfies(adapter: Adapter, rule: Callable[[Make], bool]) -> bool:
    def make(application: WSGIApplication) -> Callable[[Event], dict[str, Any]]:
        handler = adapter.make(application, None)
        return lambda event: handler(event, CONTEXT)

    return rule(make)


def base_path(event: Event) -> str | None:
    """Return the base path to configure, or None for a REST API's own host.

    There, adapters that support stages need no setting.
    """
    gateway = event["requestContext"]
    match gateway.get("domainName"), gateway.get("stage"):
        case (host, _) if host == REST_HOST:
            return None
        case (host, "prod") if host == HTTP_API_HOST:
            return "/prod"
    return "/shop" if event is AT_SHOP else ""


def _fresh(event: Event) -> Event:
    return json.loads(json.dumps(event))  # type: ignore[no-any-return]


def received(event: Event, result: dict[str, Any]) -> ReceivedResponse:
    """Return the response that API Gateway or the balancer makes of a function's result.

    A REST API merges headers and multiValueHeaders; a balancer reads the one it is configured for.
    """
    single = result.get("headers") or {}
    multi = result.get("multiValueHeaders") or {}
    headers: dict[str, list[str]] = {}
    if "elb" in event["requestContext"]:
        single, multi = ({}, multi) if "multiValueHeaders" in event else (single, {})
    for name, values in multi.items():
        headers.setdefault(name.lower(), []).extend(values)
    for name, value in single.items():
        values = headers.setdefault(name.lower(), [])
        if value not in values:
            values.append(value)
    if cookies := result.get("cookies"):
        headers.setdefault("set-cookie", []).extend(cookies)
    body = result.get("body") or ""
    return ReceivedResponse(
        status=int(result["statusCode"]),
        headers={name: _split_list(name, values) for name, values in headers.items()},
        body=base64.b64decode(body) if result.get("isBase64Encoded") else body.encode(),
    )


def _split_list(name: str, values: list[str]) -> list[str]:
    """Split list values, which may share a header, unlike cookies (RFC 9110, section 5.3)."""
    if name == "set-cookie":
        return list(dict.fromkeys(values))  # A duplicate is harmless.
    return [part for value in values for part in re.split(r",\s*", value)]


def wsgi_application(
    chunks: Iterable[bytes], headers: Pairs = HTML, status: str = "200 OK"
) -> WSGIApplication:
    """Return an application with a constant response."""

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, list(headers))
        return chunks

    return application


def asgi_application(response: Response) -> Any:
    """Return the same as an ASGI application."""

    async def application(
        _scope: Any, _receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        headers = [(name.encode(), value.encode()) for name, value in response.headers]
        status = int(response.status[:3])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    return application


def environ_of(make: Make, event: Event) -> WSGIEnvironment:
    """Return the environ that an adapter makes of an event."""
    captured: WSGIEnvironment = {}

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        captured.update(environ)
        start_response("200 OK", list(HTML))
        return [b""]

    make(application)(event)
    return captured


def recording_wsgi(seen: list[SeenRequest]) -> WSGIApplication:
    """Return an application that records its request, read as Django reads it."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): _without_spaces(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(name):
                headers[name.replace("_", "-").lower()] = environ[name]
        seen.append(
            SeenRequest(
                method=environ["REQUEST_METHOD"],
                script_name=environ.get("SCRIPT_NAME", ""),
                path=environ.get("PATH_INFO", "").encode("latin-1").decode() or "/",
                query=environ.get("QUERY_STRING", ""),
                headers=headers,
                body=environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
                address=environ.get("REMOTE_ADDR", ""),
                scheme=environ["wsgi.url_scheme"],
                server=(environ["SERVER_NAME"], str(environ["SERVER_PORT"])),
            )
        )
        start_response("200 OK", list(HTML))
        return [b""]

    return application


def recording_asgi(seen: list[SeenRequest]) -> Any:
    """Return the same for ASGI, where the path includes the prefix."""

    async def application(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        prefix = scope.get("root_path", "")
        body = (await receive())["body"]
        seen.append(
            SeenRequest(
                method=scope["method"],
                script_name=prefix,
                path=scope["path"].removeprefix(prefix) or "/",
                query=scope["query_string"].decode(),
                headers={
                    name.decode().lower(): _without_spaces(value.decode("latin-1"))
                    for name, value in scope["headers"]
                },
                body=body,
                address=scope["client"][0],
                scheme=scope["scheme"],
                server=(scope["server"][0], str(scope["server"][1])),
            )
        )
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return application


def _without_spaces(value: str) -> str:
    """Remove the optional spaces between the parts of a list of values or cookies."""
    return re.sub(r"([,;])\s+", r"\1", value)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda _: None  # wsgiref's validator reports unclosed responses.
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        all_results = check_all()
    sys.stdout.write(json.dumps(all_results))
