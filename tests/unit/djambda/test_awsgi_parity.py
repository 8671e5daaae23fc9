"""`djambda.awsgi` compared with the `awsgi` package (aws-wsgi 0.2.7), which has the same signature.

To migrate code from the package, change an import: both behave alike where the package is correct.
One test for each defect of the package shows that it exists, and that `djambda.awsgi` lacks it.
"""

import gzip
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import awsgi as package
import pytest

from djambda import awsgi
from tests.support.lambda_events import (
    ALB,
    CLIENT,
    CONTEXT,
    FORGED,
    FUNCTION_URL,
    HTTP_API,
    REST_API,
    Event,
    Kind,
    Pairs,
    received,
)

PLAIN = [("Content-Type", "text/plain")]

in_parity = pytest.mark.parametrize("kind", [REST_API, ALB], ids=["REST API", "ALB"])


def responding(
    body: bytes = b"", headers: Pairs | None = None, status: str = "200 OK"
) -> WSGIApplication:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, PLAIN if headers is None else headers)
        return [body]

    return application


def environs(event: Event) -> tuple[WSGIEnvironment, WSGIEnvironment]:
    """Return the environs of the package and of djambda."""
    seen = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append({**environ, "wsgi.input": environ["wsgi.input"].read()})
        start_response("200 OK", PLAIN)
        return []

    for response in (package.response, awsgi.response):
        response(application, event, CONTEXT)
    theirs, ours = seen
    return theirs, ours


# Same behavior


@pytest.mark.parametrize(
    ("application", "base64_content_types"),
    [
        (responding(b"text"), None),
        (responding("café 🐘".encode()), None),
        (responding(b"{}", [("Content-Type", "application/json")], "201 Created"), None),
        (responding(b"", [("Location", "/notes/")], "302 Found"), None),
        (responding(b"gone", status="404 Not Found"), None),
        (responding(b"x", [*PLAIN, ("Set-Cookie", "a=1"), ("X-Some", "thing")]), None),
        (responding(b"\x00\xff", [("Content-Type", "image/png")]), {"image/png"}),
        (responding(b"text", [("Content-Type", "text/plain; charset=utf-8")]), {"text/plain"}),
    ],
)
@in_parity
def test_same_response(
    kind: Kind, application: WSGIApplication, base64_content_types: set[str] | None
) -> None:
    event = kind.make()

    theirs = package.response(application, event, CONTEXT, base64_content_types)
    ours = awsgi.response(application, event, CONTEXT, base64_content_types)

    # Different on purpose: multi-value headers, and a number as status.
    theirs["statusCode"] = int(theirs["statusCode"])
    assert received(ours) == received(theirs)
    for name in ("statusCode", "statusDescription", "body", "isBase64Encoded"):
        assert ours.get(name) == theirs.get(name)


@in_parity
def test_same_environ(kind: Kind) -> None:
    headers = [("Accept", "text/html"), ("Cookie", "a=1; b=2"), ("Content-Type", "text/plain")]
    event = kind.make("POST", "/notes/", query=[("q", "1"), ("r", "2")], headers=headers, body=b"x")

    theirs, ours = environs(event)

    # PEP 3333 has no such variables.
    del theirs["HTTP"], theirs["HTTP_CONTENT_TYPE"]
    # The first two are defects, see below; other processes may run the same application.
    for name in ("SCRIPT_NAME", "REMOTE_ADDR", "wsgi.multiprocess"):
        del theirs[name], ours[name]
    assert ours == theirs


# The package's defects


def test_second_cookie_is_lost() -> None:
    application = responding(headers=[*PLAIN, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    event = REST_API.make()

    assert received(package.response(application, event, CONTEXT)).cookies == ["b=2"]
    assert received(awsgi.response(application, event, CONTEXT)).cookies == ["a=1", "b=2"]


def test_response_is_never_closed() -> None:
    closed = []

    class Response(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return Response([b"text"])

    package.response(application, REST_API.make(), CONTEXT)
    assert closed == []
    awsgi.response(application, REST_API.make(), CONTEXT)
    assert closed == [True]


def test_only_the_last_of_a_repeated_parameter_arrives() -> None:
    theirs, ours = environs(REST_API.make(query=[("q", "1"), ("q", "2")]))

    assert theirs["QUERY_STRING"] == "q=2"
    assert ours["QUERY_STRING"] == "q=1&q=2"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(b"text"), [*PLAIN, ("Content-Encoding", "gzip")]),
        (b"\x89PNG\r\n", [("Content-Type", "image/png")]),
    ],
    ids=["gzip", "an image"],
)
def test_binary_bodies_fail_unless_their_type_is_listed(body: bytes, headers: Pairs) -> None:
    application = responding(body, headers)

    with pytest.raises(UnicodeDecodeError):
        package.response(application, REST_API.make(), CONTEXT)
    assert received(awsgi.response(application, REST_API.make(), CONTEXT)).body == body


def test_path_is_not_decoded() -> None:
    theirs, ours = environs(REST_API.make(path="/caf%C3%A9"))

    assert theirs["PATH_INFO"] == "/caf%C3%A9"  # Django encodes it again: "/caf%25C3%25A9".
    assert ours["PATH_INFO"].encode("latin-1").decode() == "/café"


def test_stage_is_not_the_script_name() -> None:
    theirs, ours = environs(REST_API.make())

    assert (theirs["SCRIPT_NAME"], ours["SCRIPT_NAME"]) == ("", "/prod")


@in_parity
def test_client_can_forge_its_address(kind: Kind) -> None:
    theirs, ours = environs(kind.make())

    assert (theirs["REMOTE_ADDR"], ours["REMOTE_ADDR"]) == (FORGED, CLIENT)


@pytest.mark.parametrize("kind", [HTTP_API, FUNCTION_URL], ids=["HTTP API", "Function URL"])
def test_payload_2_0_is_a_key_error(kind: Kind) -> None:
    with pytest.raises(KeyError):
        package.response(responding(b"text"), kind.make(), CONTEXT)
    assert awsgi.response(responding(b"text"), kind.make(), CONTEXT)["body"] == "text"


def test_exc_info_is_ignored() -> None:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        write: Callable[[bytes], object] = start_response("200 OK", PLAIN)
        write(b"half a page")
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            # PEP 3333: after the body has started, the error must be raised again.
            start_response("500 Sorry", PLAIN, sys.exc_info())
        return iter([b"sorry"])

    assert package.response(application, REST_API.make(), CONTEXT)["body"] == "half a pagesorry"
    with pytest.raises(ZeroDivisionError):
        awsgi.response(application, REST_API.make(), CONTEXT)


def test_status_is_a_string() -> None:
    theirs: dict[str, Any] = package.response(responding(), REST_API.make(), CONTEXT)

    assert theirs["statusCode"] == "200"
    assert awsgi.response(responding(), REST_API.make(), CONTEXT)["statusCode"] == 200


def test_generator_that_calls_start_response_late_is_an_error() -> None:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("202 Accepted", PLAIN)
        yield b"text"

    theirs: dict[str, Any] = package.response(application, REST_API.make(), CONTEXT)

    assert (theirs["statusCode"], theirs["headers"]) == ("500", {})
    assert received(awsgi.response(application, REST_API.make(), CONTEXT)) == (
        202,
        {"content-type": "text/plain"},
        [],
        b"text",
    )


def test_query_of_a_load_balancer_is_encoded_twice() -> None:
    theirs, ours = environs(ALB.make(query=[("q", "a b&c")]))

    assert parse_qsl(theirs["QUERY_STRING"]) == [("q", "a+b%26c")]
    assert parse_qsl(ours["QUERY_STRING"]) == [("q", "a b&c")]
