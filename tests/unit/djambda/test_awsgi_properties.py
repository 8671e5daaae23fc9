"""Property tests of `djambda.awsgi.response`: requests and responses arrive unchanged.

Hypothesis generates paths, queries, headers, cookies and bodies for each kind of events, and
malformed events, which must result in a 400 or a ValueError.
"""

import copy
import json
import string
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from djambda import awsgi
from tests.support.lambda_events import (
    ALB,
    CONTEXT,
    FUNCTION_URL,
    HTTP_API,
    KINDS,
    REST_API,
    Event,
    Kind,
    Pairs,
    Received,
    field_paths,
    make_v1_event,
    make_v2_event,
    received,
)

often = settings(max_examples=100, deadline=None)

kinds = st.sampled_from(KINDS)
texts = st.text(st.characters(exclude_categories=["Cs"]))
# RFC 9110, section 5.5: no control characters.
header_values = st.text(st.characters(exclude_categories=["Cs", "Cc"])).map(str.strip)
header_names = st.text(string.ascii_letters + string.digits + "-", max_size=20).map("X-T-".__add__)
headers = st.dictionaries(header_names.map(str.lower), st.lists(header_values, min_size=1))
cookies = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="; ")))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def through(application: WSGIApplication, event: Event) -> dict[str, Any]:
    """Return the response, with event and response converted through JSON as in Lambda."""
    response: dict[str, Any] = json.loads(
        json.dumps(awsgi.response(application, json.loads(json.dumps(event)), CONTEXT))
    )
    return response


class Application:
    """Keeps the request that it received, and checks it against PEP 3333."""

    def __init__(self) -> None:
        self.environ: WSGIEnvironment = {}
        self.body = b""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        variables = {name: value for name, value in environ.items() if name.isupper()}
        for value in variables.values():
            value.encode("latin-1")
        assert environ["PATH_INFO"].startswith("/")
        assert environ["SCRIPT_NAME"] != "/"
        self.environ = environ
        self.body = environ["wsgi.input"].read()
        assert environ["CONTENT_LENGTH"] == str(len(self.body))
        start_response("204 No Content", [])
        return []

    def text(self, name: str) -> str:
        return str(self.environ[name]).encode("latin-1").decode()


def sent(event: Event) -> Application:
    application = Application()
    assert through(application, event)["statusCode"] == 204
    return application


def got(
    kind: Kind, body: bytes, pairs: Pairs, status: str = "200 OK", method: str = "GET"
) -> Received:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, pairs)
        return [body]

    return received(through(application, kind.make(method)))


# Requests


@often
@given(kinds, st.lists(texts, min_size=1))
def test_every_path_arrives(kind: Kind, segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    if kind is HTTP_API:  # It decodes percent signs twice, or rejects them.
        path = path.replace("%", "")

    application = sent(kind.make(path=quote(path)))

    assert (application.text("SCRIPT_NAME"), application.text("PATH_INFO")) == (kind.prefix, path)


@often
@given(st.sampled_from([kind for kind in KINDS if kind is not HTTP_API]), st.binary())
def test_every_path_of_bytes_arrives(kind: Kind, path: bytes) -> None:
    environ = sent(kind.make(path="/" + quote(path))).environ

    assert environ["PATH_INFO"].encode("latin-1") == b"/" + path


@often
@given(
    st.sampled_from([make_v1_event, make_v2_event]),
    st.lists(texts.map(lambda text: text.replace("%", "").strip("/"))),
)
def test_every_path_below_a_base_path_is_split(
    make: Callable[..., Event], segments: list[str]
) -> None:
    path = "/" + "/".join(segments).lstrip("/")
    resource = "/{proxy+}" if path.strip("/") else "/"

    application = sent(
        make(path=quote(path), base_path="/shop", stage="", host="a.b", resource=resource)
    )

    assert (application.text("SCRIPT_NAME"), application.text("PATH_INFO")) == ("/shop", path)


@often
@given(kinds, st.lists(st.tuples(texts, texts)))
def test_every_query_arrives(kind: Kind, pairs: Pairs) -> None:
    query = sent(kind.make(query=pairs)).environ["QUERY_STRING"]

    expected = list(dict(pairs).items()) if kind is ALB else pairs
    # Only v2 preserves the order of different names.
    assert sorted(parse_qsl(query, keep_blank_values=True), key=lambda pair: pair[0]) == (
        sorted(expected, key=lambda pair: pair[0])
    )
    assert query.isascii()


@often
@given(kinds, headers)
def test_every_header_arrives(kind: Kind, headers: dict[str, list[str]]) -> None:
    pairs = [(name, value) for name, values in headers.items() for value in values]

    application = sent(kind.make(headers=pairs))

    for name, values in headers.items():
        expected = values[-1] if kind is ALB else ",".join(values)
        assert application.text(f"HTTP_{name.upper().replace('-', '_')}") == expected


@often
@given(kinds, cookies)
def test_every_cookie_arrives(kind: Kind, cookies: list[str]) -> None:
    header = "; ".join(cookies)

    assert sent(kind.make(headers=[("Cookie", header)])).text("HTTP_COOKIE") == header


@often
@given(kinds, st.binary() | texts)
def test_every_body_arrives(kind: Kind, body: bytes | str) -> None:
    expected = body.encode() if isinstance(body, str) else body

    assert sent(kind.make("POST", body=body)).body == expected


# Responses


@often
@given(
    kinds,
    st.binary() | texts.map(str.encode),
    st.sampled_from(["", "text/html", "application/json", "image/png", "text/x; charset=utf-16"]),
    st.sampled_from(["", "identity", "gzip"]),
)
def test_every_response_body_arrives(
    kind: Kind, body: bytes, content_type: str, encoding: str
) -> None:
    pairs = [("Content-Type", content_type), ("Content-Encoding", encoding)]

    assert got(kind, body, [(name, value) for name, value in pairs if value]).body == body


@often
@given(kinds, st.integers(200, 599), header_values, headers, cookies)
def test_every_response_arrives(
    kind: Kind, status: int, reason: str, headers: dict[str, list[str]], cookies: list[str]
) -> None:
    pairs = [(name, value) for name, values in headers.items() for value in values]
    pairs += [("Set-Cookie", cookie) for cookie in cookies]

    assert got(kind, b"", pairs, f"{status} {reason}") == Received(
        status, {name: ", ".join(values) for name, values in headers.items()}, cookies, b""
    )


# Malformed events


WHOLE = [
    kind.make("POST", "/notes/", query=[("q", "1")], headers=[("Cookie", "a=1")], body=b"x")
    for kind in KINDS
] + [make_v2_event(path="/a", resource="/{proxy+}")]
FIELDS = [(event, path) for event in WHOLE for path in field_paths(event)]


def assert_accepted_or_400(event: Event) -> None:
    response = through(Application(), event)

    if response["statusCode"] != 204:
        status, headers, cookies, body = received(response)
        assert (status, cookies) == (400, [])
        assert headers == {"content-type": "text/plain; charset=utf-8"}
        assert body.startswith(b"Malformed request: ")


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(FIELDS), json_values)
def test_any_json_in_any_field_is_accepted_or_a_400(
    field: tuple[Event, tuple[str, ...]], value: Any
) -> None:
    event, (*parents, last) = copy.deepcopy(field[0]), field[1]
    holder = event
    for name in parents:
        holder = holder[name]
    holder[last] = value

    if awsgi.is_request(event):
        assert_accepted_or_400(event)
    else:
        assert parents in ([], ["requestContext"])


@often
@given(
    st.sampled_from([REST_API, HTTP_API, FUNCTION_URL, ALB]),
    st.dictionaries(
        st.sampled_from(sorted({name for event in WHOLE for name in event})), json_values
    ),
)
def test_any_json_in_many_fields_is_accepted_or_a_400(kind: Kind, fields: dict[str, Any]) -> None:
    event = kind.make() | fields

    if awsgi.is_request(event):
        assert_accepted_or_400(event)


@often
@given(json_values)
def test_any_json_is_a_request_or_an_error(event: Any) -> None:
    if awsgi.is_request(event):
        assert_accepted_or_400(event)
    else:
        with pytest.raises(ValueError, match="not an HTTP request"):
            awsgi.response(Application(), event, CONTEXT)
