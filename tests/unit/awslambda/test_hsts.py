"""HSTS: the proxy's own responses repeat the site's policy, and have none of their own."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

import hsts
from djambda_common.names import MAINTENANCE_BYPASS, MAINTENANCE_VARIABLE
from proxy import lambda_handler
from tests.support.fake_aws import FakeAws, FakeContext, fails, lambda_environment, responds

POLICY = "max-age=60; includeSubDomains"
SITE: dict[str, Any] = {
    "statusCode": 200,
    "multiValueHeaders": {"strict-transport-security": [POLICY]},
    "body": "hello",
    "isBase64Encoded": False,
}
BUSY = fails("TooManyRequestsException", 429)


@pytest.fixture
def django(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    monkeypatch.setattr(hsts, "_values", [])
    with lambda_environment() as aws:
        monkeypatch.setenv("FUNCTION_NAME", "django")
        yield aws


def visit(scheme: str = "https", **query: str) -> Any:
    event: Any = {
        "httpMethod": "GET",
        "headers": {"X-Forwarded-Proto": scheme},
        "queryStringParameters": query,
        "requestContext": {"path": "/"},
    }
    return lambda_handler(event, FakeContext())


def policy(response: Any) -> str | None:
    value: str | None = response["headers"].get("Strict-Transport-Security")
    return value


def test_errors_repeat_the_sites_policy(django: FakeAws) -> None:
    django.will(responds(SITE), BUSY, responds({**SITE, "multiValueHeaders": {}}), BUSY)

    visit()
    assert policy(visit()) == POLICY
    visit()  # A response of Django may lack the header, such as a file's.
    assert policy(visit()) == POLICY


def test_errors_follow_a_changed_policy(django: FakeAws) -> None:
    changed = {"strict-transport-security": ["max-age=0"]}
    django.will(responds(SITE), responds({**SITE, "multiValueHeaders": changed}), BUSY)

    visit()
    visit()
    assert policy(visit()) == "max-age=0"


def test_errors_have_no_policy_if_the_sites_is_unknown(django: FakeAws) -> None:
    django.will(BUSY)

    assert policy(visit()) is None


def test_errors_without_https_have_no_policy(django: FakeAws) -> None:
    django.will(responds(SITE), BUSY)

    visit()
    assert policy(visit("http")) is None


@pytest.mark.parametrize("headers", [None, [], "text", {"strict-transport-security": []}])
def test_odd_headers_of_django_are_ignored(django: FakeAws, headers: Any) -> None:
    django.will(responds({**SITE, "multiValueHeaders": headers}), BUSY)

    visit()
    assert policy(visit()) is None


def test_maintenance_and_its_bypass_repeat_the_policy(
    django: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    django.will(responds(SITE))
    visit()
    monkeypatch.setenv(MAINTENANCE_VARIABLE, hashlib.sha256(b"secret").hexdigest())

    assert policy(visit()) == POLICY
    bypass = visit(**{MAINTENANCE_BYPASS: "secret"})
    assert (bypass["statusCode"], policy(bypass)) == (303, POLICY)
