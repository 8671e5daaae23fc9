"""Which of the things that a bridge between Lambda and WSGI has to do each adapter does.

Every check is an event that goes in and what must come out of it, seen from outside: what an
application finds in its request, or what the client gets after API Gateway or the balancer has
read the answer. They follow PEP 3333, RFC 9110 and AWS's pages on the four formats. An adapter
that raises has failed the check. What only makes sense in WSGI is not asked of an ASGI adapter.
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
from bench.peers import CONTESTANTS, OURS, Contestant
from bench.report import Table

type Results = dict[str, dict[str, bool | None]]
"""Adapter -> "group: check" -> passed; None where it does not apply."""

type Expected = dict[str, Any]

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"


@dataclass
class Seen:
    """A request as an application finds it, in WSGI and in ASGI."""

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
        """The query as a form is read."""
        return parse_qsl(self.query, keep_blank_values=True)


@dataclass
class Received:
    """An answer as the client gets it."""

    status: int
    headers: dict[str, list[str]]
    body: bytes


@dataclass(frozen=True)
class Answered:
    """What an application answers with."""

    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/plain; charset=utf-8"),)
    status: str = "200 OK"


def without(event: Event, *fields: str) -> Event:
    """The event without these fields."""
    return {name: value for name, value in event.items() if name not in fields}


# What an application must find

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


def finds(name: str, event: Event, **expected: Any) -> tuple[str, Event, Expected]:
    """A check: "group: name", the event, fields of `Seen`; of its headers, those that are named."""
    return name, event, expected


REQUESTS = [
    finds("path: REST: percent-encoding", rest(path="/caf%C3%A9"), path="/café"),
    finds("path: REST: an encoded slash", rest(path="/a%2Fb"), path="/a/b"),
    finds("path: REST: a plus is no blank", rest(path="/a+b"), path="/a+b"),
    finds("path: Function URL: percent-encoding", function_url(path="/caf%C3%A9"), path="/café"),
    finds("path: ALB: percent-encoding", balancer(path="/caf%C3%A9"), path="/café"),
    finds(
        "path: REST: the stage is the prefix on the API's host",
        rest(path="/notes/"),
        script_name="/prod",
        path="/notes/",
    ),
    finds(
        "path: REST: a page named like the stage",
        rest(path="/prod/notes/"),
        script_name="/prod",
        path="/prod/notes/",
    ),
    finds(
        "path: REST: no prefix on a custom domain",
        rest(path="/notes/", base_path=""),
        script_name="",
        path="/notes/",
    ),
    finds("path: REST: a custom domain's base path", AT_SHOP, script_name="/shop", path="/notes/"),
    finds(
        "path: HTTP API: the stage is the prefix",
        http_api(path="/prod/notes/", stage="prod"),
        script_name="/prod",
        path="/notes/",
    ),
    finds(
        "path: HTTP API: the stage alone",
        http_api(path="/prod", stage="prod"),
        script_name="/prod",
        path="/",
    ),
    finds(
        "path: HTTP API: /prod is no prefix of /products",
        http_api(path="/products", stage="prod", host=OWN_DOMAIN),
        script_name="",
        path="/products",
    ),
    finds("path: HTTP API: no prefix at $default", http_api(path="/a"), script_name="", path="/a"),
    finds("path: Function URL: no prefix", function_url(path="/a"), script_name="", path="/a"),
    finds("path: ALB: no prefix on its own host", balancer(path="/a"), script_name="", path="/a"),
    finds("query: REST: a name twice", rest(query=TWICE), parameters=TWICE),
    finds("query: REST: reserved characters, accents, no value", rest(query=FORM), parameters=FORM),
    finds("query: REST: none", rest(), query=""),
    finds(
        "query: REST: single values only",
        without(rest(query=[("a", "1")]), "multiValueQueryStringParameters"),
        parameters=[("a", "1")],
    ),
    finds("query: HTTP API: as it came", http_api(query=RAW), query=RAW),
    finds(
        "query: ALB: not encoded twice",
        balancer(query=[("q", "caf%C3%A9%20a%2Bb%26")]),
        parameters=[("q", "café a+b&")],
    ),
    finds(
        "query: ALB: a plus is a blank", balancer(query=[("q", "a+b")]), parameters=[("q", "a b")]
    ),
    finds("query: ALB: a name twice", balancer(query=TWICE, multi_value=True), parameters=TWICE),
    finds("query: ALB: bytes that are no UTF-8", balancer(query=[("q", "%E9")]), query="q=%E9"),
    finds("headers: REST: any header", rest(headers=SOME), headers={"x-some": "thing"}),
    finds("headers: REST: a header twice", rest(headers=TWO), headers={"x-some": "a,b"}),
    finds(
        "headers: REST: cookies in two headers",
        rest(headers=TWO_COOKIE_HEADERS),
        headers={"cookie": "a=1;b=2"},
    ),
    finds(
        "headers: REST: single values only",
        without(rest(headers=SOME), "multiValueHeaders"),
        headers={"x-some": "thing"},
    ),
    finds(
        "headers: REST: an underscore is no dash",
        rest(headers=UNDERSCORE),
        headers={"x-real-ip": "1.2.3.4"},
    ),
    finds(
        "headers: HTTP API: cookies",
        http_api(cookies=["a=1", "b=2"]),
        headers={"cookie": "a=1;b=2"},
    ),
    finds("headers: ALB: any header", balancer(headers=SOME), headers={"x-some": "thing"}),
    finds(
        "headers: ALB: cookies in two headers",
        balancer(headers=TWO_COOKIE_HEADERS, multi_value=True),
        headers={"cookie": "a=1;b=2"},
    ),
    finds("client: REST: a forged X-Forwarded-For", rest(), address=CLIENT),
    finds("client: HTTP API: a forged X-Forwarded-For", http_api(), address=CLIENT),
    finds("client: Function URL: a forged X-Forwarded-For", function_url(), address=CLIENT),
    finds("client: ALB: a forged X-Forwarded-For", balancer(), address=CLIENT),
    finds(
        "client: ALB, multi-value: a forged X-Forwarded-For",
        balancer(multi_value=True),
        address=CLIENT,
    ),
    finds("client: REST: scheme and host", rest(), scheme="https", headers={"host": REST_HOST}),
    finds(
        "client: HTTP API: scheme and host",
        http_api(),
        scheme="https",
        headers={"host": HTTP_API_HOST},
    ),
    finds("client: ALB: plain HTTP", balancer() | {"headers": PLAIN_HTTP}, scheme="http"),
    finds("client: REST: server and port", rest(), server=(REST_HOST, "443")),
    finds("client: HTTP API: server and port", http_api(), server=(HTTP_API_HOST, "443")),
    finds("body in: REST: none", rest(), body=b""),
    finds(
        "body in: REST: text",
        rest("POST", body=JSON_TEXT, headers=[JSON_TYPE]),
        body=JSON_TEXT.encode(),
        headers={"content-type": "application/json"},
    ),
    finds("body in: REST: base64", rest("POST", body=PNG), body=PNG),
    finds("body in: HTTP API: text", http_api("POST", body=JSON_TEXT), body=JSON_TEXT.encode()),
    finds("body in: HTTP API: base64", http_api("POST", body=PNG), body=PNG),
    finds("body in: ALB: base64", balancer("POST", body=PNG), body=PNG),
    finds(
        "body in: REST: the length is in bytes",
        rest("POST", body="é", headers=[("Content-Length", "2")]),
        body="é".encode(),
        headers={"content-length": "2"},
    ),
    finds("missing fields: REST: null in every field that may be", rest() | NULLS, **NOTHING),
    finds("missing fields: REST: the fields are not there", without(rest(), *NULLS), **NOTHING),
    finds(
        "missing fields: HTTP API: no headers, query, cookies, body",
        http_api() | {"headers": {}, "rawQueryString": ""},
        **NOTHING,
    ),
    finds(
        "missing fields: ALB: a health check",
        balancer() | {"headers": HEALTH},
        headers=HEALTH,
        **NOTHING,
    ),
]

# What the client must get

HTML = (("Content-Type", "text/html; charset=utf-8"),)
LATIN_1 = Answered("café".encode("latin-1"), (("Content-Type", "text/html; charset=iso-8859-1"),))
GZIPPED = gzip.compress(b"page" * 100, mtime=0)
COMPRESSED = Answered(GZIPPED, (*HTML, ("Content-Encoding", "gzip")))
IMAGE = Answered(PNG, (("Content-Type", "image/png"),))
WITHOUT_TYPE = Answered(PNG, ())
TEXT = Answered("café".encode(), HTML)
JSON = Answered(JSON_TEXT.encode(), (JSON_TYPE,))
VARY = Answered(b"x", (*HTML, ("Vary", "Cookie"), ("Vary", "Accept")))
COOKIES = ["csrftoken=a; expires=Wed, 24 Nov 2027 09:00:00 GMT", "sessionid=b; HttpOnly"]
SET = Answered(b"x", (*HTML, *(("Set-Cookie", value) for value in COOKIES)))
SET_MIXED = Answered(b"x", (*HTML, ("Set-Cookie", COOKIES[0]), ("set-cookie", COOKIES[1])))
PAGE = Answered(b"page", (*HTML, ("Content-Length", "4")))
NOT_FOUND = Answered(b"x", status="404 Not Found")

V1, V2, ALB, ALB_MULTI = rest(), http_api(), balancer(), balancer(multi_value=True)


def gets(
    name: str, event: Event, answered: Answered, **expected: Any
) -> tuple[str, Event, Answered, Expected]:
    """A check: "group: name", the event, what the application answers, fields of `Received`."""
    return name, event, answered, expected


ANSWERS = [
    gets("cookies out: REST: two", V1, SET, cookies=COOKIES),
    gets("cookies out: REST: two, differently written", V1, SET_MIXED, cookies=COOKIES),
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
    gets("status: ALB: one of one's own", ALB, Answered(b"x", status="299 Fine"), status=299),
    gets("status: REST: HEAD has no body", rest("HEAD"), PAGE, body=b""),
    gets("status: REST: 204 has no body", V1, Answered(b"x", (), "204 No Content"), body=b""),
    gets("status: REST: 304 has no body", V1, Answered(b"x", (), "304 Not Modified"), body=b""),
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
    gets("body out: REST: more than Lambda returns", V1, Answered(b"x" * 6_400_000), fits=True),
]


# What PEP 3333 asks of a server: each check takes an adapter's handler-maker

type Make = Callable[[WSGIApplication], Callable[[Event], dict[str, Any]]]


def closes(make: Make) -> bool:
    chunks = Chunks([b"a", b"b"])
    return make(answering(chunks))(rest())["body"] == "ab" and chunks.closed == 1


def closes_after_an_error(make: Make) -> bool:
    def failing() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("half way")

    chunks = Chunks(failing())
    with suppress(LookupError):
        make(answering(chunks))(rest())
    return chunks.closed == 1


def takes_what_is_written(make: Make) -> bool:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", list(HTML))
        write(b"a")
        write(b"b")
        return [b"c"]

    return bool(make(application)(rest())["body"] == "abc")


def takes_a_late_start(make: Make) -> bool:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("201 Created", list(HTML))
        yield b"a"
        yield b""
        yield b"b"

    answer = make(application)(rest())
    return int(answer["statusCode"]) == 201 and answer["body"] == "ab"  # noqa: PLR2004


def replaces_the_answer(make: Make) -> bool:
    """With exc_info and before any body, the second call replaces status and headers."""

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*HTML, ("X-First", "yes")])
        try:
            int("no number")
        except ValueError:
            start_response("500 Internal Server Error", list(HTML), sys.exc_info())
        return [b"sorry"]

    event = rest()
    got = received(event, make(application)(event))
    return (got.status, got.body, "x-first" in got.headers) == (500, b"sorry", False)


def raises_what_comes_too_late(make: Make) -> bool:
    """With exc_info after the first of the body, start_response raises that exception."""
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
    """Without exc_info it is a fatal error."""
    refused = []

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(HTML))
        try:
            start_response("200 OK", list(HTML))
        except Exception:  # noqa: BLE001 (any will do)
            refused.append(True)
        return [b""]

    make(application)(rest())
    return bool(refused)


def is_valid_wsgi(make: Make) -> bool:
    event = rest("POST", "/notes/", body="a=1", headers=[("Content-Type", "text/plain")])
    return bool(make(validator(answering([b"fine"])))(event)["body"] == "fine")


def is_valid_wsgi_from_the_console(make: Make) -> bool:
    event = rest() | NULLS
    return bool(make(validator(answering([b"fine"])))(event)["body"] == "fine")


def keeps_bytes_in_the_path(make: Make) -> bool:
    return bool(environ_of(make, rest(path="/caf%E9"))["PATH_INFO"] == "/caf\xe9")


def keeps_bytes_in_a_header(make: Make) -> bool:
    name: str = environ_of(make, rest(headers=[("X-Name", "Łódź")]))["HTTP_X_NAME"]
    return name.encode("latin-1") == "Łódź".encode()


WSGI: list[tuple[str, Callable[[Make], bool]]] = [
    ("close() is called", closes),
    ("close() is called after an error", closes_after_an_error),
    ("the write callable", takes_what_is_written),
    ("start_response at the first chunk", takes_a_late_start),
    ("exc_info before the body", replaces_the_answer),
    ("exc_info after the body has begun", raises_what_comes_too_late),
    ("start_response twice is an error", refuses_a_second_start),
    ("wsgiref's validator: a form", is_valid_wsgi),
    ("wsgiref's validator: a console's test event", is_valid_wsgi_from_the_console),
    ("a path that is not UTF-8", keeps_bytes_in_the_path),
    ("a header that is not ASCII", keeps_bytes_in_a_header),
]


class Chunks:
    """An answer's body that counts how often it is closed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


# In the parent


def results() -> Results:
    """Run every check on every adapter, in the rivals' environment."""
    return in_environment("bench.correctness")  # type: ignore[no-any-return]


def score(checks: dict[str, bool | None]) -> str:
    """ "71/75": passed, of those that apply."""
    applying = [passed for passed in checks.values() if passed is not None]
    return f"{sum(applying)}/{len(applying)}"


def table(results: Results) -> Table:
    """How many checks of each group fail, and which."""
    groups = list(dict.fromkeys(name.partition(": ")[0] for name in results[OURS]))
    return Table(
        title="Correctness of the bridge",
        unit="failed checks",
        columns=tuple(groups),
        rows={
            adapter: tuple(_failures(checks, group) for group in groups)
            for adapter, checks in results.items()
        },
        ours=OURS,
        note=(
            f"{len(results[OURS])} checks of what goes in and what comes out, each adapter set up "
            "as its documentation says, and told its base path or stage where it can be told. What "
            "only WSGI has is not asked of Mangum."
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
    applying = [
        passed
        for name, passed in checks.items()
        if name.startswith(f"{group}: ") and passed is not None
    ]
    return applying.count(False) if applying else None


def _failed(checks: dict[str, bool | None], group: str) -> str:
    """ "path (REST: percent-encoding, ALB: percent-encoding)"; "" for none."""
    start = f"{group}: "
    names = [
        name.removeprefix(start)
        for name, passed in checks.items()
        if name.startswith(start) and passed is False
    ]
    return f"*{group}* ({', '.join(names)})" if names else ""


# In the worker


def check_all() -> Results:
    """Each check on each adapter."""
    return {name: dict(check(contestant)) for name, contestant in CONTESTANTS.items()}


def check(contestant: Contestant) -> Iterator[tuple[str, bool | None]]:
    """Each check on one adapter: its name, and whether it passed."""
    for name, event, expected in REQUESTS:
        yield name, _passes(_request_is, contestant, event, expected)
    for name, event, answered, wanted in ANSWERS:
        yield name, _passes(_answer_is, contestant, event, answered, wanted)
    for name, rule in WSGI:
        passed = None if contestant.asgi else _passes(_wsgi_holds, contestant, rule)
        yield f"PEP 3333: {name}", passed


def _passes(holds: Callable[..., bool], *arguments: Any) -> bool:
    try:
        return holds(*arguments)
    except Exception:  # noqa: BLE001 (whatever an adapter raises is a failed check)
        return False


def _request_is(contestant: Contestant, event: Event, expected: Expected) -> bool:
    seen: list[Seen] = []
    application = seeing_asgi(seen) if contestant.asgi else seeing_wsgi(seen)
    contestant.make(application, base_path(event))(_fresh(event), CONTEXT)
    (request,) = seen
    headers = {name: request.headers.get(name) for name in expected.get("headers", ())}
    fields = {name: getattr(request, name) for name in expected}
    if headers:
        fields["headers"] = headers
    return fields == expected


def _answer_is(
    contestant: Contestant, event: Event, answered: Answered, expected: Expected
) -> bool:
    application = (
        answering_asgi(answered)
        if contestant.asgi
        else answering([answered.body], answered.headers, answered.status)
    )
    answer = contestant.make(application, base_path(event))(_fresh(event), CONTEXT)
    got = received(event, answer)
    fields: dict[str, Any] = {
        **got.headers,
        "status": got.status,
        "status_type": type(answer["statusCode"]),
        "description": answer.get("statusDescription"),
        "cookies": got.headers.get("set-cookie"),
        "body": got.body,
        "base64": bool(answer.get("isBase64Encoded")),
        "fits": len(json.dumps(answer)) <= 6 * 1024 * 1024,
    }
    return {name: fields.get(name) for name in expected} == expected


def _wsgi_holds(contestant: Contestant, rule: Callable[[Make], bool]) -> bool:
    def make(application: WSGIApplication) -> Callable[[Event], dict[str, Any]]:
        handler = contestant.make(application, None)
        return lambda event: handler(event, CONTEXT)

    return rule(make)


def base_path(event: Event) -> str | None:
    """The base path that a deployer would tell an adapter: None, nothing, on a REST API's own host.

    There the adapters that know of stages need no setting.
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


def received(event: Event, answer: dict[str, Any]) -> Received:
    """What API Gateway or the balancer makes of an answer, by AWS's rules for the event's format.

    A REST API merges headers and multiValueHeaders; a balancer reads the one that it is set to.
    """
    single = _present(answer.get("headers"))
    multi = _present(answer.get("multiValueHeaders"))
    headers: dict[str, list[str]] = {}
    if "elb" in event["requestContext"]:
        single, multi = ({}, multi) if "multiValueHeaders" in event else (single, {})
    for name, values in multi.items():
        headers.setdefault(name.lower(), []).extend(values)
    for name, value in single.items():
        values = headers.setdefault(name.lower(), [])
        if value not in values:
            values.append(value)
    if cookies := answer.get("cookies"):
        headers.setdefault("set-cookie", []).extend(cookies)
    body = answer.get("body") or ""
    return Received(
        status=int(answer["statusCode"]),
        headers={name: _listed(name, values) for name, values in headers.items()},
        body=base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode(),
    )


def _present(headers: dict[str, Any] | None) -> dict[str, Any]:
    return headers or {}


def _listed(name: str, values: list[str]) -> list[str]:
    """RFC 9110, section 5.3: a list may come in one header or in several, cookies may not."""
    if name == "set-cookie":
        return list(dict.fromkeys(values))  # Twice the same one does no harm.
    return [part for value in values for part in re.split(r",\s*", value)]


def answering(
    chunks: Iterable[bytes], headers: Pairs = HTML, status: str = "200 OK"
) -> WSGIApplication:
    """An application with one answer."""

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, list(headers))
        return chunks

    return application


def answering_asgi(answered: Answered) -> Any:
    """The same in ASGI."""

    async def application(
        _scope: Any, _receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        headers = [(name.encode(), value.encode()) for name, value in answered.headers]
        status = int(answered.status[:3])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answered.body})

    return application


def environ_of(make: Make, event: Event) -> WSGIEnvironment:
    """The environ that an adapter makes of an event."""
    found: WSGIEnvironment = {}

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found.update(environ)
        start_response("200 OK", list(HTML))
        return [b""]

    make(application)(event)
    return found


def seeing_wsgi(seen: list[Seen]) -> WSGIApplication:
    """An application that notes its request, as Django reads it."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): _joined(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(name):
                headers[name.replace("_", "-").lower()] = environ[name]
        seen.append(
            Seen(
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


def seeing_asgi(seen: list[Seen]) -> Any:
    """The same in ASGI, where the path includes the prefix."""

    async def application(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        prefix = scope.get("root_path", "")
        body = (await receive())["body"]
        seen.append(
            Seen(
                method=scope["method"],
                script_name=prefix,
                path=scope["path"].removeprefix(prefix) or "/",
                query=scope["query_string"].decode(),
                headers={
                    name.decode().lower(): _joined(value.decode("latin-1"))
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


def _joined(value: str) -> str:
    """Without the blanks that a list of values or of cookies may have between its parts."""
    return re.sub(r"([,;])\s+", r"\1", value)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda _: None  # wsgiref's validator complains of what is never closed.
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        found = check_all()
    sys.stdout.write(json.dumps(found))
