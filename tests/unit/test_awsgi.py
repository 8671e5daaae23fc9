"""`djambda.awsgi` on REST API events: the environ, the call (PEP 3333) and the answer."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djambda import awsgi
from tests.unit.events import API_HOST, CONTEXT, body_of, make_v1_event

type Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

PLAIN = [("Content-Type", "text/plain")]


def environ_of(event: dict[str, Any]) -> WSGIEnvironment:
    return awsgi.environ_v1(event, CONTEXT)


def answering(
    body: bytes = b"", status: str = "200 OK", headers: list[tuple[str, str]] | None = None
) -> Application:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, PLAIN if headers is None else headers)
        return [body]

    return application


def answer_of(application: Application, **event: Any) -> dict[str, Any]:
    return awsgi.response(application, make_v1_event(**event), CONTEXT)


# The whole way


def test_a_request_and_its_answer() -> None:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("201 Created", [("Content-Type", "text/plain"), ("X-Path", "here")])
        return [environ["REQUEST_METHOD"].encode(), b" ", body]

    event = make_v1_event("POST", "/notes/", body="title=café")

    assert awsgi.response(validator(application), event, CONTEXT) == {
        "statusCode": 201,
        "multiValueHeaders": {"content-type": ["text/plain"], "x-path": ["here"]},
        "body": "POST title=café",
        "isBase64Encoded": False,
    }


def test_the_environ() -> None:
    event = make_v1_event(
        "post",
        "/notes/",
        query=[("page", "2")],
        headers=[("Content-Type", "text/plain"), ("Content-Length", "99"), ("X-Some", "thing")],
        body=b"\x00\xff",
    )
    environ = environ_of(event)

    assert environ.pop("wsgi.input").read() == b"\x00\xff"
    assert environ.pop("wsgi.errors").writable()
    assert environ == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/prod",
        "PATH_INFO": "/notes/",
        "QUERY_STRING": "page=2",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "2",
        "SERVER_NAME": API_HOST,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "198.51.100.9",
        "HTTP_HOST": API_HOST,
        "HTTP_X_FORWARDED_FOR": "203.0.113.7, 198.51.100.9",
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


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"headers": None, "multiValueHeaders": None, "body": None, "path": None},
        {"headers": {}, "multiValueHeaders": {}, "body": "", "path": ""},
    ],
    ids=["missing", "null", "empty"],
)
def test_the_smallest_event(fields: dict[str, Any]) -> None:
    environ = environ_of({"httpMethod": "GET", "requestContext": {}, **fields})

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
    assert environ["wsgi.input"].read() == b""


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
        # A console's test event has a slash in front of the parameter, AWS has none behind it.
        (make_v1_event(path="/a/b", stage="", proxy="/a/b"), "", "/a/b"),
        (make_v1_event(path="/a/b/", stage="", proxy="a/b"), "", "/a/b/"),
        (make_v1_event(path="/v1/a", stage="", resource="/v1/{proxy+}", proxy="a"), "", "/v1/a"),
    ],
)
def test_the_path_is_split(event: dict[str, Any], script_name: str, path_info: str) -> None:
    environ = environ_of(event)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_the_stage_without_a_slash() -> None:
    event = make_v1_event(path="/")
    event["requestContext"]["path"] = "/prod"

    assert environ_of(event)["SCRIPT_NAME"] == "/prod"


@pytest.mark.parametrize("whole", ["/products", "/prodnotes/", "/elsewhere/"])
def test_a_path_is_split_between_segments_only(whole: str) -> None:
    event = make_v1_event(path="/notes/")
    event["requestContext"]["path"] = whole

    environ = environ_of(event)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/notes/")


def test_a_proxy_resource_without_its_parameter_is_no_base_path() -> None:
    event = make_v1_event(path="/admin/", stage="")
    event["pathParameters"] = None

    assert environ_of(event)["PATH_INFO"] == "/admin/"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/caf%C3%A9", "/café"),
        ("/café", "/café"),
        ("/a%2Fb", "/a/b"),
        ("/100%25", "/100%"),
        ("/a+b", "/a+b"),
    ],
)
def test_the_path_is_decoded(path: str, sent: str) -> None:
    environ = environ_of(make_v1_event(path=path))

    assert environ["PATH_INFO"].encode("latin-1").decode() == sent
    assert environ["SCRIPT_NAME"] == "/prod"


# The query string


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.text(st.characters(exclude_categories=["Cs"])),
        )
    )
)
def test_every_query_survives(pairs: list[tuple[str, str]]) -> None:
    query_string = environ_of(make_v1_event(query=pairs))["QUERY_STRING"]

    # API Gateway groups the values of one name, which keep their order.
    assert sorted(parse_qsl(query_string, keep_blank_values=True), key=lambda pair: pair[0]) == (
        sorted(pairs, key=lambda pair: pair[0])
    )
    assert query_string.isascii()


def test_a_query_of_single_values_and_of_nulls() -> None:
    event = make_v1_event()
    event["queryStringParameters"] = {"q": "a b&c", "empty": None}
    assert environ_of(event)["QUERY_STRING"] == "q=a+b%26c&empty="

    event["multiValueQueryStringParameters"] = {"q": ["1", "2"], "empty": [], "null": [None]}
    assert environ_of(event)["QUERY_STRING"] == "q=1&q=2&empty=&null="


# Headers


def test_repeated_headers_are_joined() -> None:
    environ = environ_of(
        make_v1_event(
            headers=[
                ("Cookie", "a=1"),
                ("Cookie", "b=2"),
                ("Accept", "text/html"),
                ("accept", "text/plain"),
            ]
        )
    )

    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_ACCEPT"] == "text/html,text/plain"


def test_single_headers_and_null_values() -> None:
    event = make_v1_event()
    event["multiValueHeaders"] = None
    event["headers"] = {"Host": "example.com:8443", "X-Null": None}
    environ = environ_of(event)

    assert (environ["HTTP_HOST"], environ["SERVER_NAME"]) == ("example.com:8443", "example.com")
    assert "HTTP_X_NULL" not in environ


def test_a_header_with_an_underscore_passes_for_no_other() -> None:
    environ = environ_of(make_v1_event(headers=[("X_Forwarded_Proto", "forged")]))

    assert environ["HTTP_X_FORWARDED_PROTO"] == "https"


def test_a_header_is_latin_1() -> None:
    environ = environ_of(make_v1_event(headers=[("X-Name", "café")]))

    assert environ["HTTP_X_NAME"].encode("latin-1").decode() == "café"


@pytest.mark.parametrize(
    ("headers", "scheme", "name", "port"),
    [
        ({"Host": "example.com"}, "http", "example.com", "80"),
        ({"Host": "x.localhost:4566"}, "http", "x.localhost", "4566"),
        ({"Host": "example.com", "X-Forwarded-Proto": "https"}, "https", "example.com", "443"),
        ({"Host": "[::1]:8000"}, "http", "[::1]", "8000"),
        ({"Host": "[::1]"}, "http", "[::1]", "80"),
        # The gateway's value comes last.
        ({"Host": "a.b", "X-Forwarded-Proto": "http, https"}, "https", "a.b", "443"),
        ({"Host": "a.b", "X-Forwarded-Port": "1, 8443"}, "http", "a.b", "8443"),
        ({}, "http", API_HOST, "80"),
    ],
)
def test_the_server(headers: dict[str, str], scheme: str, name: str, port: str) -> None:
    event = make_v1_event()
    event["multiValueHeaders"] = None
    event["headers"] = headers
    environ = environ_of(event)

    assert environ["wsgi.url_scheme"] == scheme
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)


# Events that make no sense


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": "no base64!", "isBase64Encoded": True},
        {"body": "\ud800"},
        {"body": {"a": 1}},
        {"multiValueHeaders": ["Host"]},
        {"multiValueHeaders": {"Host": [1]}},
        {"path": 1},
        {"multiValueQueryStringParameters": [1]},
    ],
    ids=str,
)
def test_a_malformed_request_is_a_bad_request(wrong: dict[str, Any]) -> None:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        pytest.fail("A malformed request reached the application")

    answer = awsgi.response(application, make_v1_event() | wrong, CONTEXT)

    assert answer["statusCode"] == 400
    assert answer["body"].startswith("The request cannot be understood: ")
    assert answer["multiValueHeaders"] == {"content-type": ["text/plain; charset=utf-8"]}


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}},
        {"httpMethod": "GET", "path": "/", "requestContext": {"elb": {"targetGroupArn": "arn"}}},
    ],
    ids=["empty", "a list", "v2", "ALB"],
)
def test_an_event_of_something_else_is_an_error(event: Any) -> None:
    assert not awsgi.is_request(event)
    with pytest.raises(ValueError, match="REST API"):
        awsgi.response(answering(), event, CONTEXT)


# The call


class Chunks:
    """An iterable that knows whether it was closed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        self.closed = True


def test_a_stream_is_consumed_and_closed() -> None:
    chunks = Chunks([b"one ", b"", b"two"])

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return chunks

    assert answer_of(application)["body"] == "one two"
    assert chunks.closed


def test_a_broken_stream_is_closed_too() -> None:
    def broken() -> Iterator[bytes]:
        yield b"one"
        raise ZeroDivisionError

    chunks = Chunks(broken())

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return chunks

    with pytest.raises(ZeroDivisionError):
        answer_of(application)
    assert chunks.closed


def test_a_generator_may_start_late() -> None:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        yield b""
        start_response("202 Accepted", PLAIN)
        yield b"late"

    answer = answer_of(application)

    assert (answer["statusCode"], answer["body"]) == (202, "late")


def test_what_is_written_precedes_what_is_yielded_later() -> None:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"1")
        yield b"2"
        write(b"3")
        yield b"4"

    assert answer_of(application)["body"] == "1234"


def failing_halfway(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield environ["awsgi.event"]["body"].encode()
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        start_response("500 Sorry", [("Content-Type", "text/html")], sys.exc_info())
    yield b"sorry"


def test_an_error_before_the_body_replaces_the_headers() -> None:
    answer = answer_of(failing_halfway, body="")

    assert (answer["statusCode"], answer["body"]) == (500, "sorry")
    assert answer["multiValueHeaders"] == {"content-type": ["text/html"]}


def test_an_error_within_the_body_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        answer_of(failing_halfway, body="half a page")


def test_an_application_that_never_starts() -> None:
    with pytest.raises(RuntimeError, match="did not call start_response"):
        answer_of(lambda _environ, _start: [b"x"])


def test_an_application_that_starts_twice() -> None:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        start_response("200 OK", PLAIN)
        return []

    with pytest.raises(RuntimeError, match="twice"):
        answer_of(application)


# The answer


def test_every_cookie_is_kept() -> None:
    headers = [("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("Content-Type", "text/html")]

    answer = answer_of(answering(headers=headers))

    assert answer["multiValueHeaders"]["set-cookie"] == ["a=1", "b=2"]


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
def test_text_goes_as_text(content_type: str | None, body: bytes, as_base64: bool) -> None:
    headers = [("Content-Type", content_type)] if content_type else []

    answer = answer_of(answering(body, headers=headers))

    assert answer["isBase64Encoded"] is as_base64
    assert body_of(answer) == body


def test_encoded_text_goes_as_base64() -> None:
    gzipped = [("Content-Type", "text/html"), ("Content-Encoding", "gzip")]

    answer = answer_of(answering(b"ascii, for once", headers=gzipped))

    assert answer["isBase64Encoded"] is True
    assert body_of(answer) == b"ascii, for once"


def test_content_types_can_be_sent_as_base64() -> None:
    event = make_v1_event()

    answer = awsgi.response(answering(b"x"), event, CONTEXT, base64_content_types={"text/plain"})

    assert answer["isBase64Encoded"] is True


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")],
)
def test_answers_without_content(method: str, status: str) -> None:
    answer = answer_of(answering(b"text", status=status), method=method)

    assert (answer["body"], answer["isBase64Encoded"]) == ("", False)
    assert answer["multiValueHeaders"] == {"content-type": ["text/plain"]}


LIMIT = 6_291_556  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


@pytest.mark.parametrize(
    ("body", "content_type", "as_base64"),
    [
        (b"x" * 6_200_000, "text/plain", False),
        (b'"' * 4_000_000, "text/plain", True),  # 8 MB of JSON, 5.3 MB of base64
        (b"\xff" * 4_600_000, "image/png", True),
    ],
    ids=["text", "text with many escapes", "binary"],
)
def test_the_largest_answers(body: bytes, content_type: str, as_base64: bool) -> None:
    answer = answer_of(answering(body, headers=[("Content-Type", content_type)]))

    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is as_base64
    assert len(json.dumps(answer)) <= LIMIT
    assert body_of(answer) == body


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"x" * 6_300_000, "text/plain"), (b"\xff" * 4_750_000, "image/png")],
    ids=["text", "binary"],
)
def test_an_answer_that_lambda_cannot_return(
    body: bytes, content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    application = answering(body, headers=[("Content-Type", content_type)])

    answer = answer_of(application, path="/big", query=[("token", "secret")])

    assert answer["statusCode"] == 502
    assert f"has {len(body)} bytes" in answer["body"]
    assert "redirect to their URL" in answer["body"]
    assert "GET /prod/big has" in caplog.text
    assert "secret" not in caplog.text


def test_nothing_of_django_or_the_sdk_is_imported() -> None:
    source = Path(awsgi.__file__).read_text().splitlines()
    imports = [line for line in source if line.startswith(("import ", "from "))]

    assert imports
    assert not [line for line in imports if "django" in line or "boto" in line]
