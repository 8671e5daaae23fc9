"""Property tests of the handler with the real Django: no request raises or is left unfinished."""

import copy
import json
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from djambda import awsgi
from djambda.awslambda import lambda_handler
from tests.support.event_reads import RecordedEvent
from tests.support.lambda_events import CONTEXT, KINDS, Event, Pairs, field_paths, make_v1_event

odd_texts = st.text(st.characters(max_codepoint=0x2FF)) | st.text(st.characters())
methods = st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "BREW", "get", "\n", "é"])
paths = st.sampled_from(["/", "//", "/..", "/%00", "/%ff", "/accounts/login/"]) | odd_texts
prefixes = st.sampled_from(["", "/prod", "/", "//", "/prod/"]) | odd_texts
header_names = st.sampled_from(
    [
        *("Accept", "Accept-Language", "Authorization", "Content-Length", "Content-Type", "Cookie"),
        *("Host", "If-Modified-Since", "If-None-Match", "Origin", "Range", "Referer"),
        *("Transfer-Encoding", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto"),
    ]
)
header_values = odd_texts | st.sampled_from(
    [
        *("multipart/form-data", "multipart/form-data; boundary=", "text/plain; charset=\x00"),
        *("multipart/form-data; boundary=x; charset=utf-16", "text/plain; x*=nope'en'b"),
        *("application/x-www-form-urlencoded; charset=utf-99", "abc", "-1", "9" * 30),
        *("a=\ud83d", "sessionid=\x00", "csrftoken=;;;===", "[::1", "a:b:99999", "\r\nX: y"),
    ]
)
bodies = st.binary() | st.sampled_from([b"a=%ff", b"--x\r\n", b"csrfmiddlewaretoken=x"])


@pytest.fixture(params=[False, True], ids=["production", "debug"], autouse=True)
def site(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.DEBUG = request.param
    settings.ALLOWED_HOSTS = ["*"]


anything = hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

EVENTS = [
    kind.make(
        "POST", "/accounts/login/", query=[("q", "1")], headers=[("Cookie", "a=1")], body=b"x"
    )
    for kind in KINDS
]
FIELDS = [(event, path) for event in EVENTS for path in field_paths(event)]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.django_db(transaction=True)
@anything
@given(st.sampled_from(FIELDS), json_values)
def test_any_json_in_any_field_gets_a_response(
    field: tuple[Event, tuple[str, ...]], value: Any
) -> None:
    event, (*parents, last) = copy.deepcopy(field[0]), field[1]
    holder = event
    for name in parents:
        holder = holder[name]
    holder[last] = value

    if awsgi.is_request(event):
        response = lambda_handler(json.loads(json.dumps(event)), CONTEXT)
        assert 200 <= response["statusCode"] < 500
    else:
        assert parents in ([], ["requestContext"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("event", EVENTS, ids=[kind.name for kind in KINDS])
def test_random_events_have_every_field_that_is_read(event: Event) -> None:
    """Except for those of another kind of events, with which it is distinguished."""
    reads: set[tuple[str, ...]] = set()

    lambda_handler(RecordedEvent(event, reads), CONTEXT)

    assert reads <= {path for _, path in FIELDS}
    assert ("body",) in reads


@pytest.mark.django_db(transaction=True)
@anything
@given(
    methods,
    st.tuples(prefixes, paths),
    st.lists(st.tuples(header_names, header_values), max_size=4),
    st.lists(st.tuples(odd_texts, odd_texts), max_size=2),
    bodies,
)
def test_every_request_is_finished(
    method: str, address: tuple[str, str], headers: Pairs, query: Pairs, body: bytes
) -> None:
    prefix, path = address
    event = make_v1_event(headers=headers, body=body)
    event |= {"httpMethod": method, "path": path, "queryStringParameters": dict(query)}
    event["requestContext"] |= {"path": prefix + path, "stage": prefix.strip("/")}
    signals: list[object] = []

    def record(*, signal: object, **_: Any) -> None:
        signals.append(signal)

    request_started.connect(record)
    request_finished.connect(record)
    try:
        response = lambda_handler(json.loads(json.dumps(event)), CONTEXT)
    finally:
        request_started.disconnect(record)
        request_finished.disconnect(record)

    assert 200 <= response["statusCode"] < 500
    if signals != [request_started, request_finished]:  # Django cannot handle the request.
        assert signals in ([request_finished], [])
        assert response["statusCode"] == 400
