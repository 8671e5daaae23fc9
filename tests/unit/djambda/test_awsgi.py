"""`djambda.awsgi`: the environ, the call (PEP 3333) and the response, for each kind of events."""

import copy
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.validate import validator

import pytest
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

from djambda import awsgi, gateway_headers, wsgi_environ
from tests.support.lambda_events import (
    ALB,
    ALB_MULTI_VALUE,
    API_HOST,
    CLIENT,
    CONTEXT,
    FORGED,
    FUNCTION_URL,
    HTTP_API,
    KINDS,
    REST_API,
    TRACE,
    Event,
    Kind,
    Pairs,
    field_paths,
    grouped,
    make_v1_event,
    make_v2_event,
    received,
)

type Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

PLAIN = [("Content-Type", "text/plain")]

each_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


def environ_of(event: Event) -> WSGIEnvironment:
    """Return the environ that the application gets; `validator` checks it against PEP 3333."""
    seen = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append({**environ})
        start_response("204 No Content", [])
        return []

    response = awsgi.response(validator(application), event, CONTEXT)
    assert response["statusCode"] == 204, response
    [environ] = seen
    return environ


def responding(
    body: bytes = b"", status: str = "200 OK", headers: Pairs | None = None
) -> Application:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, PLAIN if headers is None else headers)
        return [body]

    return application


def unreachable(_environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
    pytest.fail("The request reached the application")


def response_of(application: Application, kind: Kind = REST_API, **request: Any) -> dict[str, Any]:
    return awsgi.response(application, kind.make(**request), CONTEXT)


def headers_of(event: Event) -> dict[str, Any]:
    """Return the event's headers, in the field that is used."""
    headers: dict[str, Any] = event[
        "multiValueHeaders" if "multiValueHeaders" in event else "headers"
    ]
    return headers


def replace_headers(event: Event, headers: dict[str, str]) -> Event:
    """Replace all headers of an event, in its own format."""
    if "multiValueHeaders" in event:
        event["multiValueHeaders"] = grouped(list(headers.items()))
    if "headers" in event:
        event["headers"] = headers
    return event


# Request and response


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    headers = [("X-Two", "1"), ("X-Two", "2"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    start_response("201 Created", [*PLAIN, *headers])
    return [environ["REQUEST_METHOD"].encode(), b" ", body]


MULTI_VALUE = {
    "content-type": ["text/plain"],
    "x-two": ["1", "2"],
    "set-cookie": ["a=1", "b=2"],
}
JOINED = {"content-type": "text/plain", "x-two": "1, 2"}


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (REST_API, {"multiValueHeaders": MULTI_VALUE}),
        (HTTP_API, {"headers": JOINED, "cookies": ["a=1", "b=2"]}),
        (FUNCTION_URL, {"headers": JOINED, "cookies": ["a=1", "b=2"]}),
        (
            ALB,
            {
                "statusDescription": "201 Created",
                # Two spellings of the same name, because a header has only one value here.
                "headers": {**JOINED, "set-cookie": "a=1", "set-cookiE": "b=2"},
            },
        ),
        (
            ALB_MULTI_VALUE,
            {"statusDescription": "201 Created", "multiValueHeaders": MULTI_VALUE},
        ),
    ],
    ids=[kind.name for kind in KINDS],
)
def test_request_and_response(kind: Kind, form: dict[str, Any]) -> None:
    event = kind.make("POST", "/notes/", body="title=café")

    assert awsgi.response(validator(echo), event, CONTEXT) == {
        "statusCode": 201,
        **form,
        "body": "POST title=café",
        "isBase64Encoded": False,
    }


def test_environ_does_not_keep_the_event_after_the_request() -> None:
    kept = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        kept.append(environ)
        start_response("200 OK", PLAIN)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        response_of(application)
    assert not [name for name in kept[0] if name.startswith("awsgi.")]


@each_kind
def test_environ(kind: Kind) -> None:
    event = kind.make(
        "post",
        "/notes/",
        query=[("page", "2")],
        headers=[("Content-Type", "text/plain"), ("Content-Length", "99"), ("X-Some", "thing")],
        body=b"\x00\xff",
    )
    environ = environ_of(event)

    assert environ.pop("wsgi.input").read(-1) == b"\x00\xff"
    assert environ.pop("wsgi.errors")
    assert environ == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": kind.prefix,
        "PATH_INFO": "/notes/",
        "QUERY_STRING": "page=2",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "2",
        "SERVER_NAME": kind.host,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": CLIENT,
        "HTTP_HOST": kind.host,
        "HTTP_X_AMZN_TRACE_ID": TRACE,
        "HTTP_X_FORWARDED_FOR": f"{FORGED}, {CLIENT}",
        "HTTP_X_FORWARDED_PORT": "443",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_SOME": "thing",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "awsgi.event": event,
        "awsgi.context": CONTEXT,
    }


SMALLEST = {
    "REST": {"httpMethod": "GET"},
    "v2": {"requestContext": {"http": {"method": "GET"}}},
    "ALB": {"httpMethod": "GET", "requestContext": {"elb": {}}},
    "ALB multi-value": {
        "httpMethod": "GET",
        "requestContext": {"elb": {}},
        "multiValueHeaders": None,
    },
}


@pytest.mark.parametrize("event", SMALLEST.values(), ids=SMALLEST)
def test_smallest_event(event: Event) -> None:
    environ = environ_of(event)

    assert {name: environ[name] for name in environ if name.isupper()} == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "CONTENT_LENGTH": "0",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "",
    }
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.input"].read(-1) == b""


REQUIRED = {
    ("httpMethod",),
    ("requestContext", "http"),
    ("requestContext", "http", "method"),
}


@pytest.mark.parametrize("form", ["missing", "null", "empty"])
@each_kind
def test_every_other_field_is_optional(kind: Kind, form: str) -> None:
    whole = kind.make("POST", "/notes/", query=[("q", "1")], headers=[("Cookie", "a=1")], body=b"x")
    v2 = "http" in whole["requestContext"]

    for path in field_paths(whole):
        if path in REQUIRED or (v2 and path == ("requestContext",)):
            continue
        event = copy.deepcopy(whole)
        *parents, last = path
        holder = event
        for name in parents:
            holder = holder[name]
        if form == "missing":
            del holder[last]
        else:
            holder[last] = None if form == "null" else type(holder[last])()
        assert environ_of(event)["REQUEST_METHOD"] == "POST", path


# The path


@pytest.mark.parametrize(
    ("event", "script_name", "path_info"),
    [
        (make_v1_event(path="/"), "/prod", "/"),
        (make_v1_event(path="/admin/"), "/prod", "/admin/"),
        (make_v1_event(path="/prod/"), "/prod", "/prod/"),
        (make_v1_event(path="/admin/", stage=""), "", "/admin/"),
        (make_v1_event(path="/", stage=""), "", "/"),
        (make_v1_event(path="/admin/", stage="", base_path="/shop"), "/shop", "/admin/"),
        (make_v1_event(path="/", stage="", base_path="/shop"), "/shop", "/"),
        (make_v1_event(path="", stage="", base_path="/shop"), "/shop", "/"),
        (make_v1_event(path="/caf%C3%A9/", stage="", base_path="/shop"), "/shop", "/cafÃ©/"),
        (make_v1_event(path="/prod/a", stage="", host="www.example.com"), "", "/prod/a"),
        # The console's test event has a leading slash in the parameter; AWS omits a trailing one.
        (make_v1_event(path="/a/b", stage="", proxy="/a/b"), "", "/a/b"),
        (make_v1_event(path="/a/b/", stage="", proxy="a/b"), "", "/a/b/"),
        (make_v1_event(path="/v1/a", stage="", resource="/v1/{proxy+}", proxy="a"), "", "/v1/a"),
        (make_v1_event(path="/a/b/", stage="", proxy="elsewhere"), "", "/a/b/"),
    ],
)
def test_path_of_a_rest_api_is_split(event: Event, script_name: str, path_info: str) -> None:
    environ = environ_of(event)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


EVERY = "/{proxy+}"
OWN_DOMAIN = {"host": "www.example.com", "stage": ""}


@pytest.mark.parametrize(
    ("arguments", "script_name", "path_info"),
    [
        ({"path": "/"}, "/prod", "/"),
        ({"path": ""}, "/prod", "/"),
        ({"path": "/prod/"}, "/prod", "/prod/"),
        ({"path": "ucts/"}, "", "/products/"),
        ({"path": "/admin/", "resource": EVERY}, "/prod", "/admin/"),
        ({"path": "/caf%C3%A9/", "resource": EVERY}, "/prod", "/cafÃ©/"),
        ({"path": "/v1/a/", "resource": "/v1/{proxy+}", "proxy": "a"}, "/prod", "/v1/a/"),
        ({"path": "/admin/", "stage": ""}, "", "/admin/"),
        ({"path": "/$default/a/", "stage": ""}, "", "/$default/a/"),
        ({"path": "/admin/", "stage": "", "resource": EVERY}, "", "/admin/"),
        ({"path": "/prod/", **OWN_DOMAIN}, "", "/prod/"),
        ({"path": "/admin/", "resource": EVERY, **OWN_DOMAIN}, "", "/admin/"),
        (
            {"path": "/admin/", "resource": EVERY, "base_path": "/shop", **OWN_DOMAIN},
            "/shop",
            "/admin/",
        ),
        ({"path": "/admin/", "function_url": True}, "", "/admin/"),
        ({"path": "/$default/a/", "function_url": True}, "", "/$default/a/"),
    ],
    ids=str,
)
def test_path_of_a_v2_event_is_split(
    arguments: dict[str, Any], script_name: str, path_info: str
) -> None:
    environ = environ_of(make_v2_event(**arguments))

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


@pytest.mark.parametrize(
    ("path", "script_name", "path_info"),
    [("/prod", "/prod", "/"), ("/prod/a/", "/prod", "/a/"), ("/products/", "", "/products/")],
)
def test_http_api_with_payload_1_0_has_the_stage_in_both_paths(
    path: str, script_name: str, path_info: str
) -> None:
    event = make_v1_event(path=path, stage="", resource="$default", proxy="")
    event["version"] = "1.0"

    environ = environ_of(event)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_two_slashes_on_a_custom_domain_are_no_prefix() -> None:
    event = make_v1_event(path="/admin/", stage="")
    event["requestContext"]["path"] = "//admin/"

    environ = environ_of(event)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/admin/")


def test_stage_without_a_slash() -> None:
    event = make_v1_event(path="/")
    event["requestContext"]["path"] = "/prod"

    assert environ_of(event)["SCRIPT_NAME"] == "/prod"


@pytest.mark.parametrize("whole", ["/products", "/prodnotes/", "/elsewhere/"])
def test_path_is_split_only_between_segments(whole: str) -> None:
    event = make_v1_event(path="/notes/")
    event["requestContext"]["path"] = whole

    environ = environ_of(event)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/notes/")


def test_proxy_resource_without_its_parameter_is_not_a_base_path() -> None:
    event = make_v1_event(path="/admin/", stage="")
    event["pathParameters"] = None

    assert environ_of(event)["PATH_INFO"] == "/admin/"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/caf%C3%A9", "/café"),
        ("/café", "/café"),
        ("/a%2Fb", "/a/b"),
        ("/%F0%9F%90%98/a%20b/", "/🐘/a b/"),
        ("/question%3F", "/question?"),
        ("/hash%23", "/hash#"),
        ("/100%25", "/100%"),
        ("/a+b", "/a+b"),
        ("//a//b", "//a//b"),
    ],
)
@each_kind
def test_path_is_decoded(kind: Kind, path: str, sent: str) -> None:
    environ = environ_of(kind.make(path=path))

    assert environ["PATH_INFO"].encode("latin-1").decode() == sent
    assert environ["SCRIPT_NAME"] == kind.prefix


# The query string


@each_kind
def test_query_equals_the_clients(kind: Kind) -> None:
    pairs = [("q", "a b&c=d"), ("q", "50%+é"), ("", "no name"), ("empty", ""), ("ü[]", "2")]

    query = parse_qsl(environ_of(kind.make(query=pairs))["QUERY_STRING"], keep_blank_values=True)

    assert query == (pairs[1:] if kind is ALB else pairs)  # An ALB sends only the last value.


def test_query_of_v2_is_unchanged() -> None:
    event = make_v2_event() | {"rawQueryString": "q=a%20b+c&q=&flag&%C3%BC=%2b"}

    assert environ_of(event)["QUERY_STRING"] == "q=a%20b+c&q=&flag&%C3%BC=%2b"


def test_query_of_a_load_balancer_is_not_decoded() -> None:
    single = {"queryStringParameters": {"q": "a%20b+c", "%C3%BC": "%2b", "empty": ""}}
    several = {"multiValueQueryStringParameters": {"q": ["a%20b+c", ""], "%C3%BC": ["%2b"]}}

    assert environ_of(ALB.make() | single)["QUERY_STRING"] == "q=a%20b+c&%C3%BC=%2b&empty="
    assert environ_of(ALB_MULTI_VALUE.make() | several)["QUERY_STRING"] == (
        "q=a%20b+c&q=&%C3%BC=%2b"
    )


@pytest.mark.parametrize(
    "event",
    [
        make_v2_event() | {"rawQueryString": "q=é"},
        ALB.make() | {"queryStringParameters": {"q": "é"}},
        ALB_MULTI_VALUE.make() | {"multiValueQueryStringParameters": {"q": ["é"]}},
    ],
    ids=["v2", "ALB", "ALB multi-value"],
)
def test_unencoded_query_is_bytes_as_latin_1(event: Event) -> None:
    assert environ_of(event)["QUERY_STRING"].encode("latin-1").decode() == "q=é"


@pytest.mark.parametrize("kind", [REST_API, ALB_MULTI_VALUE], ids=["REST API", "ALB"])
def test_query_with_single_values_and_nulls(kind: Kind) -> None:
    event = kind.make()
    event["queryStringParameters"] = {"q": "1", "empty": None}
    assert environ_of(event)["QUERY_STRING"] == "q=1&empty="

    event["multiValueQueryStringParameters"] = {"q": ["1", "2"], "empty": [], "null": [None]}
    assert environ_of(event)["QUERY_STRING"] == "q=1&q=2&empty=&null="


# Headers


@each_kind
def test_repeated_headers_are_joined(kind: Kind) -> None:
    environ = environ_of(
        kind.make(
            headers=[
                ("Cookie", "a=1"),
                ("Cookie", "b=2; c=3"),
                ("Accept", "text/html"),
                ("accept", "text/plain"),
            ]
        )
    )

    only_last = kind is ALB
    assert environ["HTTP_COOKIE"] == ("b=2; c=3" if only_last else "a=1; b=2; c=3")
    assert environ["HTTP_ACCEPT"] == ("text/plain" if only_last else "text/html,text/plain")


def test_single_value_headers_without_multi_value_headers() -> None:
    event = make_v1_event()
    event["multiValueHeaders"] = None
    event["headers"] = {"Host": "example.com:8443", "Cookie": "a=1", "cookie": "b=2"}
    environ = environ_of(event)

    assert (environ["HTTP_HOST"], environ["SERVER_NAME"]) == ("example.com:8443", "example.com")
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


@each_kind
def test_headers_without_a_value(kind: Kind) -> None:
    event = kind.make()
    headers_of(event)["X-Null"] = None
    if "multiValueHeaders" in event:
        headers_of(event).update({"X-None": [], "X-Nulls": [None], "X-Some": [None, "1"]})
    headers_of(event)["X-Empty"] = ""
    environ = environ_of(event)

    assert environ["HTTP_X_EMPTY"] == ""
    assert not {"HTTP_X_NULL", "HTTP_X_NONE", "HTTP_X_NULLS"} & set(environ)
    if "multiValueHeaders" in event:
        assert environ["HTTP_X_SOME"] == "1"


@each_kind
def test_header_with_an_underscore_is_ignored(kind: Kind) -> None:
    forged = [("X_Forwarded_Proto", "forged"), ("X-Forwarded_For", "forged")]

    environ = environ_of(kind.make(headers=forged))

    assert environ["HTTP_X_FORWARDED_PROTO"] == "https"
    assert environ["HTTP_X_FORWARDED_FOR"] == f"{FORGED}, {CLIENT}"


@each_kind
def test_header_is_bytes_as_latin_1(kind: Kind) -> None:
    environ = environ_of(kind.make(headers=[("X-Name", "café 🐘"), ("Cookie", "name=café")]))

    assert environ["HTTP_X_NAME"].encode("latin-1").decode() == "café 🐘"
    assert environ["HTTP_COOKIE"].encode("latin-1").decode() == "name=café"


@pytest.mark.parametrize(
    ("headers", "scheme", "name", "port"),
    [
        ({"Host": "example.com"}, "http", "example.com", "80"),
        ({"Host": "x.localhost:4566"}, "http", "x.localhost", "4566"),
        ({"Host": "example.com", "X-Forwarded-Proto": "https"}, "https", "example.com", "443"),
        ({"Host": "example.com", "X-Forwarded-Proto": "HTTPS"}, "https", "example.com", "443"),
        ({"Host": "[::1]:8000"}, "http", "[::1]", "8000"),
        ({"Host": "[::1]"}, "http", "[::1]", "80"),
        # The gateway's value is the last.
        ({"Host": "a.b", "X-Forwarded-Proto": "http, https"}, "https", "a.b", "443"),
        ({"Host": "a.b", "X-Forwarded-Proto": "https, http"}, "http", "a.b", "80"),
        ({"Host": "a.b", "X-Forwarded-Port": "1, 8443"}, "http", "a.b", "8443"),
    ],
)
@each_kind
def test_server_variables(
    kind: Kind, headers: dict[str, str], scheme: str, name: str, port: str
) -> None:
    environ = environ_of(replace_headers(kind.make(), headers))

    assert environ["wsgi.url_scheme"] == scheme
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)


@pytest.mark.parametrize("kind", [REST_API, HTTP_API], ids=["REST API", "HTTP API"])
def test_server_name_without_headers(kind: Kind) -> None:
    assert environ_of(replace_headers(kind.make(), {}))["SERVER_NAME"] == API_HOST


@each_kind
def test_client_cannot_forge_its_address(kind: Kind) -> None:
    assert environ_of(kind.make())["REMOTE_ADDR"] == CLIENT


@pytest.mark.parametrize("forwarded", [[FORGED, CLIENT], [f"{FORGED},{CLIENT} "], [CLIENT]])
def test_load_balancers_address_is_the_last_forwarded(forwarded: list[str]) -> None:
    event = ALB_MULTI_VALUE.make()
    event["multiValueHeaders"]["x-forwarded-for"] = forwarded

    assert environ_of(event)["REMOTE_ADDR"] == CLIENT


# The request's body


@pytest.mark.parametrize(
    ("body", "sent"),
    [(None, b""), ("", b""), ("café 🐘", "café 🐘".encode()), (b"\x00\xff", b"\x00\xff")],
)
@each_kind
def test_request_body(kind: Kind, body: str | bytes | None, sent: bytes) -> None:
    event = kind.make("POST", body=body, headers=[("Content-Length", "1000")])
    environ = environ_of(event)

    assert environ["wsgi.input"].read(-1) == sent
    assert environ["CONTENT_LENGTH"] == str(len(sent))


# Malformed and other events


WRONG = [
    {"body": "no base64!", "isBase64Encoded": True},
    {"body": "YQ=", "isBase64Encoded": True},
    {"body": "é", "isBase64Encoded": True},
    {"body": "\ud800"},
    {"body": {"a": 1}},
    {"body": 1},
]
WRONG_V1 = [
    *WRONG,
    {"httpMethod": None},
    {"httpMethod": ""},
    {"httpMethod": ["GET"]},
    {"path": 1},
    {"path": "/\ud800"},
]
WRONG_QUERY = {"multiValueQueryStringParameters": [1]}
WRONG_LIST = {"multiValueHeaders": ["Host"]}
WRONG_VALUE = {"multiValueHeaders": {"Host": [1]}}
V2_CONTEXT = make_v2_event()["requestContext"]


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        *[(REST_API, wrong) for wrong in [*WRONG_V1, WRONG_QUERY, WRONG_LIST, WRONG_VALUE]],
        (REST_API, {"requestContext": "text"}),
        *[(ALB_MULTI_VALUE, wrong) for wrong in [*WRONG_V1, WRONG_QUERY, WRONG_LIST, WRONG_VALUE]],
        *[(ALB, wrong) for wrong in WRONG_V1],
        (ALB, {"queryStringParameters": [1]}),
        (ALB, {"headers": {"Host": 1}}),
        *[(HTTP_API, wrong) for wrong in WRONG],
        (HTTP_API, {"rawPath": 1}),
        (HTTP_API, {"rawQueryString": 1}),
        (HTTP_API, {"rawQueryString": ["q=1"]}),
        (HTTP_API, {"headers": ["host"]}),
        (HTTP_API, {"headers": {"host": 1}}),
        (HTTP_API, {"cookies": [1]}),
        (HTTP_API, {"requestContext": {**V2_CONTEXT, "http": None}}),
        (HTTP_API, {"requestContext": {**V2_CONTEXT, "http": "GET"}}),
        (HTTP_API, {"requestContext": {**V2_CONTEXT, "http": {}}}),
        (HTTP_API, {"requestContext": {**V2_CONTEXT, "http": {"method": 1}}}),
        (
            HTTP_API,
            {
                "requestContext": {
                    **V2_CONTEXT,
                    "http": {"method": "GET", "sourceIp": 1},
                }
            },
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else ascii(value)[:60],
)
def test_malformed_request_is_a_400(kind: Kind, wrong: dict[str, Any]) -> None:
    event = kind.make() | wrong

    response = awsgi.response(unreachable, event, CONTEXT)

    assert awsgi.is_request(event)
    assert set(response) == set(response_of(responding(), kind))
    status, headers, cookies, body = received(response)
    assert (status, cookies) == (400, [])
    assert headers == {"content-type": "text/plain; charset=utf-8"}
    assert body.startswith(b"Malformed request: ")
    assert response["isBase64Encoded"] is False
    assert response.get("statusDescription", "400 Bad Request") == "400 Bad Request"


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        None,
        "GET /",
        {"manage": "migrate"},
        {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
        {"version": "2.0", "rawPath": "/", "requestContext": None},
        {"path": "/", "requestContext": {"elb": {"targetGroupArn": "arn"}}},
        {"requestContext": {"connectionId": "a", "routeKey": "$connect"}},
    ],
    ids=str,
)
def test_other_event_is_an_error(event: Any) -> None:
    assert not awsgi.is_request(event)
    with pytest.raises(ValueError, match="REST or HTTP API"):
        awsgi.response(unreachable, event, CONTEXT)


# The call


class Chunks:
    """An iterable that counts the calls of `close`."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        self.closed += 1


def streaming(chunks: Chunks) -> Application:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return chunks

    return application


@each_kind
def test_stream_is_consumed_and_closed_once(kind: Kind) -> None:
    chunks = Chunks([b"one ", b"", b"two"])

    assert response_of(streaming(chunks), kind)["body"] == "one two"
    assert chunks.closed == 1


def test_failing_stream_is_closed() -> None:
    def broken() -> Iterator[bytes]:
        yield b"one"
        raise ZeroDivisionError

    chunks = Chunks(broken())

    with pytest.raises(ZeroDivisionError):
        response_of(streaming(chunks))
    assert chunks.closed == 1


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_response_that_is_not_returned_is_closed(method: str) -> None:
    chunks = Chunks([b"x" * 7_000_000])

    response_of(streaming(chunks), method=method)

    assert chunks.closed == 1


def test_application_error_is_raised() -> None:
    def application(_: WSGIEnvironment, _start: StartResponse) -> Iterable[bytes]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        response_of(application)


def test_generator_may_call_start_response_late() -> None:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        yield b""
        start_response("202 Accepted", PLAIN)
        yield b"late"

    response = response_of(application)

    assert (response["statusCode"], response["body"]) == (202, "late")


def test_written_and_yielded_chunks_keep_their_order() -> None:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"1")
        yield b"2"
        write(b"3")
        yield b"4"

    assert response_of(application)["body"] == "1234"


def test_application_may_change_the_environ() -> None:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.clear()
        start_response("200 OK", PLAIN)
        return [b"text"]

    assert response_of(application)["body"] == "text"


def failing_halfway(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield environ["wsgi.input"].read()
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        start_response("500 Sorry", [("Content-Type", "text/html")], sys.exc_info())
    yield b"sorry"


@each_kind
def test_error_before_the_body_replaces_the_headers(kind: Kind) -> None:
    response = response_of(failing_halfway, kind, body="")

    assert received(response) == (500, {"content-type": "text/html"}, [], b"sorry")
    assert response.get("statusDescription", "500 Sorry") == "500 Sorry"


def test_error_within_the_body_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        response_of(failing_halfway, body="half a page")


def test_application_that_does_not_call_start_response() -> None:
    with pytest.raises(RuntimeError, match="did not call start_response"):
        response_of(lambda _environ, _start: [b"x"])


def test_application_that_calls_start_response_twice() -> None:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        start_response("200 OK", PLAIN)
        return []

    with pytest.raises(RuntimeError, match="twice"):
        response_of(application)


# The response


@pytest.mark.parametrize("count", [0, 1, 40])
@each_kind
def test_every_cookie_is_kept(kind: Kind, count: int) -> None:
    cookies = [f"c{number}=1; Expires=Tue, 24 Nov 2026 09:00:00 GMT" for number in range(count)]
    names = ["Set-Cookie", "set-cookie"]
    headers = [(names[number % 2], cookie) for number, cookie in enumerate(cookies)]

    response = response_of(responding(headers=[*PLAIN, *headers]), kind)

    assert received(response) == (200, {"content-type": "text/plain"}, cookies, b"")
    assert ("cookies" in response) is (kind in {HTTP_API, FUNCTION_URL})


@each_kind
def test_space_around_a_value_is_removed(kind: Kind) -> None:
    headers = [("Set-Cookie", " a=1; Path=/"), ("Content-Type", "text/plain\t")]

    response = response_of(responding(headers=headers), kind)

    assert received(response) == (200, {"content-type": "text/plain"}, ["a=1; Path=/"], b"")


@pytest.mark.parametrize(
    ("content_type", "body", "as_base64"),
    [
        ("text/html; charset=utf-8", "café".encode(), False),
        ("TEXT/CSS", b"a{}", False),
        ("application/json", b"{}", False),
        ("application/problem+json", b"{}", False),
        ("image/svg+xml", b"<svg/>", False),
        ("application/javascript", b"1", False),
        ("text/plain; charset=latin-1", "café".encode("latin-1"), True),
        ("image/png", b"text by chance", True),
        ("application/octet-stream", b"\x00\xff", True),
        (None, b"text", False),
        (None, b"\xff", True),
    ],
)
@each_kind
def test_text_is_not_base64(
    kind: Kind, content_type: str | None, body: bytes, as_base64: bool
) -> None:
    headers = [("Content-Type", content_type)] if content_type else []

    response = response_of(responding(body, headers=headers), kind)

    assert response["isBase64Encoded"] is as_base64
    assert received(response).body == body


@pytest.mark.parametrize(
    ("encoding", "as_base64"), [("gzip", True), ("br", True), ("identity", False)]
)
def test_compressed_text_is_base64(encoding: str, as_base64: bool) -> None:
    headers = [*PLAIN, ("Content-Encoding", encoding)]

    response = response_of(responding(b"ascii, for once", headers=headers))

    assert response["isBase64Encoded"] is as_base64
    assert received(response).body == b"ascii, for once"


@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=utf-8"])
def test_chosen_text_types_are_base64(content_type: str) -> None:
    application = responding(b"x", headers=[("Content-Type", content_type)])

    response = awsgi.response(application, make_v1_event(), CONTEXT, {"text/plain"})

    assert response["isBase64Encoded"] is True
    assert received(response).body == b"x"


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", "200 OK"), ("head", "404 Not Found"), ("GET", "204 None"), ("GET", "304 Same")],
)
@pytest.mark.parametrize("body", [b"text", b"\xff"])
@each_kind
def test_responses_without_content(kind: Kind, body: bytes, method: str, status: str) -> None:
    headers = [*PLAIN, ("Content-Length", "4")]

    response = response_of(responding(body, status, headers), kind, method=method)

    assert received(response) == (
        int(status[:3]),
        {"content-type": "text/plain", "content-length": "4"},
        [],
        b"",
    )
    assert response["isBase64Encoded"] is False


@pytest.mark.parametrize("length", ["1", "99", "many"])
@each_kind
def test_wrong_content_length_is_corrected(kind: Kind, length: str) -> None:
    headers = [*PLAIN, ("Content-Length", length), ("content-length", "7")]

    response = received(response_of(responding(b"text", headers=headers), kind))

    assert (response.headers["content-length"], response.body) == ("4", b"text")


class TestHeadersThatTheGatewayChanges:
    @pytest.fixture(autouse=True)
    def fresh_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gateway_headers, "_reported", set())

    def test_are_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        application = responding(b"x", "401 No", [("WWW-Authenticate", "Basic"), ("Via", "1.1 x")])

        for _ in range(3):
            response = received(response_of(application))

        assert response.headers["www-authenticate"] == "Basic"
        dropped, renamed = caplog.messages
        assert "via" in dropped
        assert "x-amzn-Remapped-www-authenticate" in renamed

    def test_are_not_logged_for_other_gateways(self, caplog: pytest.LogCaptureFixture) -> None:
        headers = [("WWW-Authenticate", "Basic")]
        for kind in (HTTP_API, FUNCTION_URL, ALB, ALB_MULTI_VALUE):
            response_of(responding(b"x", "401 No", headers), kind)

        assert caplog.messages == []

    def test_others_are_not_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        response_of(responding(b"x", headers=[*PLAIN, ("Cache-Control", "no-store")]))

        assert caplog.messages == []


LAMBDA = 6_291_556  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
BALANCER = 1_048_576  # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html

LARGEST = [
    (kind, limit, factor, content_type)
    for kind, limit in [(REST_API, LAMBDA), (HTTP_API, LAMBDA), (ALB, BALANCER)]
    for factor, content_type in [(1, "text/plain"), (4 / 3, "image/png")]
]


def encoded_size(response: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the size of a response as Lambda's runtime sends it."""
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")
    encoded, _ = LambdaMarshaller().marshal_response(response)
    return len(encoded.encode())


@pytest.mark.parametrize(("kind", "limit", "factor", "content_type"), LARGEST)
def test_limit_is_exact(
    kind: Kind,
    limit: int,
    factor: float,
    content_type: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = [("Content-Type", content_type), ("X-Long", "x" * 30_000)]
    empty = encoded_size(response_of(responding(b"", headers=headers), kind), monkeypatch)
    largest = b"x" * int((limit - empty) // (4 * (factor > 1) or 1) * (3 if factor > 1 else 1))

    response = response_of(responding(largest, headers=headers), kind)

    assert response["statusCode"] == 200
    assert response["isBase64Encoded"] is (factor > 1)
    assert limit - 4 <= encoded_size(response, monkeypatch) <= limit
    assert received(response).body == largest
    assert response_of(responding(largest + b"x", headers=headers), kind)["statusCode"] == 502


@pytest.mark.parametrize(
    ("body", "is_base64"),
    [
        (b'"' * 4_000_000, True),  # 8 MB of JSON, 5.3 MB of base64.
        ("Ж".encode() * 3_000_000, False),  # 6.0 MB of JSON, 8.0 MB of base64.
    ],
    ids=["escapes", "letters"],
)
def test_large_text_is_sent_in_the_form_that_fits(
    body: bytes, is_base64: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = response_of(responding(body))

    assert response["isBase64Encoded"] is is_base64
    assert encoded_size(response, monkeypatch) <= LAMBDA
    assert received(response).body == body


@pytest.mark.parametrize(("kind", "limit", "factor", "content_type"), LARGEST)
def test_response_that_is_too_large(
    kind: Kind, limit: int, factor: float, content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = b"x" * int((limit + 1) / factor)
    cross_origin = ("Access-Control-Allow-Origin", "https://spa.example")
    application = responding(
        body, headers=[("Content-Type", content_type), ("Set-Cookie", "a=1"), cross_origin]
    )

    response = response_of(application, kind, path="/big", query=[("token", "secret")])

    status, headers, cookies, text = received(response)
    assert (status, cookies) == (502, [])
    assert headers["content-type"] == "application/json"
    assert headers["access-control-allow-origin"] == "https://spa.example"
    assert json.loads(text).keys() == {"error", "message", "requestId"}
    assert json.loads(text)["error"] == "response_too_large"
    assert json.loads(text)["requestId"] == CONTEXT.aws_request_id
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert f"GET {kind.prefix}/big" in record.getMessage()
    assert str(len(body)) in record.getMessage()
    assert "secret" not in caplog.text


@pytest.mark.parametrize("header", [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")])
@each_kind
def test_browser_gets_a_page_for_a_response_that_is_too_large(
    kind: Kind, header: tuple[str, str]
) -> None:
    response = response_of(responding(b"x" * 7_000_000), kind, headers=[header])

    status, headers, _, text = received(response)
    assert (status, headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert "too large" in text.decode()
    assert CONTEXT.aws_request_id in text.decode()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_endless_response_is_closed_at_the_limit(method: str) -> None:
    class Endless:
        sent = 0
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            while True:
                self.sent += 1
                yield b"x" * 1_000_000

        def close(self) -> None:
            self.closed += 1

    endless = Endless()

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return endless

    response = response_of(application, method=method)

    assert response["statusCode"] == (502 if method == "GET" else 200)
    assert (endless.sent, endless.closed) == (7, 1)


# Secrets and imports


@each_kind
def test_bodies_cookies_and_authorizations_are_not_logged(
    kind: Kind, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = [("Authorization", "Bearer secret"), ("Cookie", "sessionid=secret")]
    event = kind.make("POST", headers=secret, body="secret")
    cookie = [*PLAIN, ("Set-Cookie", "sessionid=secret")]

    awsgi.response(responding(b"secret", headers=cookie), event, CONTEXT)
    awsgi.response(responding(b"secret" * 2_000_000, headers=cookie), event, CONTEXT)
    with pytest.raises(RuntimeError) as error:
        awsgi.response(lambda _environ, _start: [b"secret"], event, CONTEXT)
    refused = awsgi.response(unreachable, event | {"isBase64Encoded": True}, CONTEXT)
    headers_of(event)["authorization"] = [{"secret": 1}]
    refused_too = awsgi.response(unreachable, event, CONTEXT)

    assert (refused["statusCode"], refused_too["statusCode"]) == (400, 400)
    outputs = [caplog.text, *capsys.readouterr(), str(error.value), str(refused), str(refused_too)]
    assert not [text for text in outputs if "secret" in text]


@pytest.mark.parametrize("module", [awsgi, wsgi_environ], ids=lambda module: module.__name__)
def test_neither_django_nor_the_sdk_is_imported(module: ModuleType) -> None:
    source = Path(module.__file__ or "").read_text().splitlines()
    imports = [line for line in source if line.startswith(("import ", "from "))]

    assert imports
    assert not [line for line in imports if re.search(r"django|boto", line)]
