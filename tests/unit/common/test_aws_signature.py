"""Signature Version 4: the same as botocore's."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djambda_common.aws_signature import Request, encoded, sign
from tests.support.fake_aws import ACCESS_KEY, REGION, SECRET_KEY, botocore_authorization

ARN = f"arn:aws:lambda:{REGION}:123456789012:function:dev-mysite-djambda-lambda:live"
INVOCATION = f"/2015-03-31/functions/{encoded(ARN)}/invocations"


def set_credentials(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_REGION", REGION)
    environment.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        INVOCATION,
        f"/2015-03-31/functions/{ARN}/invocations",
        "/caf%C3%A9/a%20b/%7Btilde~%2A%7D",
        "/functions?Marker=b&MaxItems=2&Marker=a",
        "/functions?MaxItems",
        "/functions?MaxItems=&Z=1&A=%2F%3D",
        f"{INVOCATION}?Qualifier=%24LATEST",
    ],
)
@pytest.mark.parametrize("token", ["", "a/session+token=="])
def test_signature_equals_botocores(path: str, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_credentials(monkeypatch)
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    assert_same("POST", path, {"X-Amz-Target": "  two   blanks "}, b'{"a": 1}')


@given(
    segments=st.lists(st.text(min_size=1).filter(lambda text: text not in {".", ".."})),
    query=st.lists(st.tuples(st.text(min_size=1), st.text())),
    body=st.binary(),
)
def test_signature_equals_botocores_for_any_request(
    segments: list[str], query: list[tuple[str, str]], body: bytes
) -> None:
    path = "/" + "/".join(map(encoded, segments))
    if query:
        path += "?" + "&".join(f"{encoded(name)}={encoded(value)}" for name, value in query)
    with pytest.MonkeyPatch.context() as environment:
        set_credentials(environment)
        assert_same("GET", path, {}, body)


def assert_same(method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    endpoint = "http://[::1]:4566"
    signed = sign(Request(method, path, headers, body), "lambda", endpoint, at=1_800_000_000)
    assert signed["x-amz-date"] == "20270115T080000Z"
    authorization = signed.pop("authorization")
    assert authorization == botocore_authorization(
        method, endpoint + path, signed, body, service="lambda", region=REGION
    )


@given(st.text(st.characters(codec="utf-8")))
def test_encoded_is_percent_encoded(text: str) -> None:
    assert encoded(text) == quote(text, safe="")
