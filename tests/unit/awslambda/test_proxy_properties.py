"""Property tests: the proxy responds to every HTTP event, however malformed its fields are."""

import copy
import hashlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import invocation
from djambda_common.names import CORS_VARIABLE, MAINTENANCE_BYPASS, MAINTENANCE_VARIABLE
from proxy import lambda_handler
from tests.support.fake_aws import FakeContext
from tests.support.lambda_events import field_paths, make_v1_event

SECRET = "\ud83d-odd-secret"  # Half a surrogate pair, as JSON can contain.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["cookie", "Cookie", "origin", "accept", "X-Forwarded-Proto", "x"])
headers = st.dictionaries(names, json_values)
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
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=["open", "closed"], autouse=True)
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each request end with one of the proxy's own responses, without calling AWS."""
    monkeypatch.setenv("FUNCTION_NAME", "django")
    monkeypatch.setenv(CORS_VARIABLE, "https://app.example.com")
    monkeypatch.setattr(invocation, "MAX_PAYLOAD", 0)
    if request.param == "closed":
        digest = hashlib.sha256(SECRET.encode(errors="surrogatepass")).hexdigest()
        monkeypatch.setenv(MAINTENANCE_VARIABLE, digest)


def assert_responds(event: Any) -> None:
    response = lambda_handler(json.loads(json.dumps(event)), FakeContext())

    assert response["statusCode"] in {204, 303, 413, 503}
    assert response["headers"]["Cache-Control"] == "no-store"
    assert all(isinstance(value, str) for value in response["headers"].values())
    assert isinstance(response["body"], str)
    json.dumps(response)


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
@given(methods | json_values, headers | json_values, queries | json_values, json_values)
def test_any_json_in_all_fields_gets_a_response(
    method: Any, headers: Any, query: Any, context: Any
) -> None:
    assert_responds(
        {
            "httpMethod": method,
            "headers": headers,
            "queryStringParameters": query,
            "requestContext": context,
        }
    )


@anything
@given(st.sets(st.sampled_from(sorted(WHOLE.keys() - {"httpMethod"}))))
def test_missing_fields_get_a_response(missing: set[str]) -> None:
    assert_responds({name: value for name, value in WHOLE.items() if name not in missing})
