"""Property tests: the proxy responds to every HTTP event, however malformed its fields are."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import proxy
from djambda_common.aws_api import OutcomeUnknown
from djambda_common.names import (
    BLOCKED_PATHS_VARIABLE,
    CORS_VARIABLE,
    MAINTENANCE_BYPASS,
    MAINTENANCE_VARIABLE,
)
from djambda_common.problem import WAKING_UP
from invocation import NotReady, Throttled, TooLarge
from proxy import ReportedError, lambda_handler
from tests.support.event_reads import RecordedEvent, header_names
from tests.support.fake_aws import FakeContext
from tests.support.lambda_events import field_paths, make_v1_event
from waking import COOKIE

SECRET = "\ud83d-odd-secret"  # Half a surrogate pair, as JSON can contain.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
HEADERS = sorted(header_names(Path(proxy.__file__).parent.glob("*.py")))
"""Those that the proxy reads."""

names = st.sampled_from([*HEADERS, *map(str.title, HEADERS), "x"])
header_values = json_values | st.sampled_from(
    [
        *("text/html", "application/json", "navigate", "same-origin", "cross-site", "https", "PUT"),
        *("https://app.example.com", "http://[", "//", "null", "\ud83d"),
        *(
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "multipart/mixed",
        ),
        *(
            "multipart/form-data; boundary*=utf-99'en'%ff",
            "application/x-www-form-urlencoded; \r\n",
        ),
        *(f"{COOKIE}=1", f"{COOKIE}={2**70}", f"{COOKIE}=²", f"{MAINTENANCE_BYPASS}=2"),
    ]
)
headers = st.dictionaries(names, header_values | st.lists(header_values, max_size=2))
paths = st.text(st.characters()) | st.sampled_from(
    ["/", "/%", "/%zz", "/%ff", "/\ud83d%41", "/wp-login.php", "/" + "x" * 3000, "//%00"]
)
bodies = st.text(st.characters()) | st.sampled_from(
    ["a=%ff&b", "YT1i", "--x\r\n\r\n", '--x\r\ncontent-disposition: x; name="a"\r\n\r\nb\r\n--x--']
)
contexts = st.fixed_dictionaries(
    {}, optional={"requestTimeEpoch": json_values | st.just(10**300), "path": json_values | paths}
)
methods = st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "BREW", "get", ""])
queries = st.dictionaries(st.just(MAINTENANCE_BYPASS), json_values | st.just(SECRET))

WHOLE = make_v1_event(
    "OPTIONS",
    "/notes/",
    query=[(MAINTENANCE_BYPASS, SECRET)],
    headers=[
        ("Cookie", f"a=1; {MAINTENANCE_BYPASS}=2"),
        ("Origin", "https://app.example.com"),
        ("Access-Control-Request-Method", "PUT"),
    ],
    body=b"x",
)
FIELDS = list(field_paths(WHOLE))

anything = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


OUTCOMES = {
    "too large": TooLarge("x", "y"),
    "throttled": Throttled("x", "y"),
    "not ready": NotReady("x", "y"),
    "unknown": OutcomeUnknown("x"),
    "waking up": ReportedError(WAKING_UP, "x", {}),
}


@pytest.fixture(params=["closed", *OUTCOMES], autouse=True)
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each request end with one of the proxy's own responses, without calling AWS."""
    monkeypatch.setenv("FUNCTION_NAME", "django")
    monkeypatch.setenv(CORS_VARIABLE, "https://app.example.com")

    def fail(*_: object, **__: object) -> None:
        raise OUTCOMES[request.param]

    monkeypatch.setattr(proxy, "invoke", fail)
    monkeypatch.setenv(BLOCKED_PATHS_VARIABLE, "/wp-*,*.php")
    if request.param == "closed":
        digest = hashlib.sha256(SECRET.encode(errors="surrogatepass")).hexdigest()
        monkeypatch.setenv(MAINTENANCE_VARIABLE, digest)


def assert_responds(event: Any) -> None:
    response = lambda_handler(json.loads(json.dumps(event)), FakeContext())

    assert response["statusCode"] in {204, 303, 400, 404, 413, 414, 503, 504}
    assert response["headers"]["Cache-Control"] == "no-store"
    assert all(isinstance(value, str) for value in response["headers"].values())
    assert isinstance(response["body"], str)
    json.dumps(response)


def test_random_events_have_every_field_that_is_read() -> None:
    reads: set[tuple[str, ...]] = set()
    for request in (WHOLE, WHOLE | {"httpMethod": "POST"}):
        lambda_handler(RecordedEvent(request, reads), FakeContext())  # type: ignore[arg-type]

    assert reads <= {*FIELDS}
    assert reads
    assert {"cookie", "origin", "accept", "content-type", "sec-fetch-mode"} <= {*HEADERS}


@anything
@given(st.sampled_from(FIELDS), json_values)
def test_any_json_in_any_field_gets_a_response(field: tuple[str, ...], value: Any) -> None:
    event, (*parents, last) = copy.deepcopy(WHOLE), field
    holder = event
    for name in parents:
        holder = holder[name]
    holder[last] = value

    assert_responds(event)


@anything
@given(
    st.fixed_dictionaries(
        {"httpMethod": methods | json_values},
        optional={
            "path": paths | json_values,
            "headers": headers | json_values,
            "multiValueHeaders": headers | json_values,
            "queryStringParameters": queries | json_values,
            "requestContext": contexts | json_values,
            "body": bodies | json_values,
            "isBase64Encoded": json_values,
        },
    )
)
def test_any_json_in_all_fields_gets_a_response(event: Any) -> None:
    assert_responds(event)


FORM = make_v1_event(
    "POST",
    headers=[("Accept", "text/html"), ("Content-Type", "application/x-www-form-urlencoded")],
    body=b"a=b",
)


@anything
@given(headers, bodies, st.booleans())
@example({"origin": "http://["}, "a=b", False)
def test_any_form_gets_a_response(headers: Any, body: str, encoded: bool) -> None:
    pairs = FORM["multiValueHeaders"] | headers
    assert_responds(FORM | {"multiValueHeaders": pairs, "body": body, "isBase64Encoded": encoded})


@anything
@given(st.sets(st.sampled_from(sorted(WHOLE.keys() - {"httpMethod"}))))
def test_missing_fields_get_a_response(missing: set[str]) -> None:
    assert_responds({name: value for name, value in WHOLE.items() if name not in missing})
