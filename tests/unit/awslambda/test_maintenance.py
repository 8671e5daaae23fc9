"""The proxy during maintenance: the page, and the bypass."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from djambda_common.names import MAINTENANCE_BYPASS, MAINTENANCE_VARIABLE
from proxy import lambda_handler
from tests.support.fake_aws import REGION, FakeAws, FakeContext, lambda_environment, responds

SECRET = "a-long-secret"
HELLO = {"statusCode": 200, "headers": {}, "body": "hello", "isBase64Encoded": False}


@pytest.fixture
def django(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as aws:
        monkeypatch.setenv(
            "FUNCTION_NAME", f"arn:aws:lambda:{REGION}:123456789012:function:django:live"
        )
        yield aws


@pytest.fixture
def closed(django: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    monkeypatch.setenv(MAINTENANCE_VARIABLE, hashlib.sha256(SECRET.encode()).hexdigest())
    return django


def request(method: str = "GET", cookie: str = "", **query: str) -> Any:
    return lambda_handler(
        {
            "httpMethod": method,
            "headers": {"Accept": "text/html"} | ({"cookie": cookie} if cookie else {}),
            "queryStringParameters": query or None,
            "requestContext": {"requestId": "r", "path": "/prod/notes/"},
        },
        FakeContext(),
    )


def test_visitor_gets_a_page_and_django_is_not_invoked(closed: FakeAws) -> None:
    response = request()

    assert response["statusCode"] == 503
    assert response["headers"]["Retry-After"] == "300"
    assert "Back soon" in response["body"]
    assert closed.requests == []


def test_form_gets_a_503_page(closed: FakeAws) -> None:
    response = request("POST")

    assert response["statusCode"] == 503
    assert "not processed" in response["body"]


def test_secret_in_the_query_sets_the_bypass_cookie(closed: FakeAws) -> None:
    redirect = request(**{MAINTENANCE_BYPASS: SECRET})

    assert (redirect["statusCode"], redirect["headers"]["Location"]) == (303, "/prod/notes/")
    cookie, *attributes = redirect["headers"]["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} == set(attributes)

    closed.will(responds(HELLO))
    assert request(cookie=f"sessionid=1; {cookie}") == HELLO
    [passed_on] = closed.requests
    assert passed_on.json["headers"]["cookie"] == f"sessionid=1; {cookie}"


@pytest.mark.parametrize("secret", ["wrong", "", "é"])
def test_other_secrets_do_not_bypass(closed: FakeAws, secret: str) -> None:
    assert request(**{MAINTENANCE_BYPASS: secret})["statusCode"] == 503
    assert request(cookie=f"{MAINTENANCE_BYPASS}={secret}")["statusCode"] == 503


@pytest.mark.parametrize("digest", ["", None])
def test_open_site_passes_requests_on(
    django: FakeAws, monkeypatch: pytest.MonkeyPatch, digest: str | None
) -> None:
    if digest is not None:
        monkeypatch.setenv(MAINTENANCE_VARIABLE, digest)
    django.will(responds(HELLO), responds(HELLO))

    assert request(**{MAINTENANCE_BYPASS: ""}) == HELLO
    assert request(cookie=f"{MAINTENANCE_BYPASS}=") == HELLO


def test_api_client_gets_json(closed: FakeAws) -> None:
    response = lambda_handler(
        {
            "httpMethod": "GET",
            "headers": {"accept": "application/json"},
            "queryStringParameters": None,
            "requestContext": {"requestId": "r", "path": "/prod/"},
        },
        FakeContext(),
    )

    assert json.loads(response["body"])["error"] == "maintenance"


def test_bypass_cookie_is_secure_over_https(closed: FakeAws) -> None:
    event = {
        "httpMethod": "GET",
        "headers": {"X-Forwarded-Proto": "https"},
        "queryStringParameters": {MAINTENANCE_BYPASS: SECRET},
        "requestContext": {"requestId": "r", "path": "/prod/"},
    }

    response: Any = lambda_handler(event, FakeContext())  # type: ignore[arg-type]

    assert "; Secure" in response["headers"]["Set-Cookie"]


@pytest.mark.parametrize("secret", ["\ud83d", "\x00", "é" * 1000])
def test_odd_secret_is_a_wrong_secret(closed: FakeAws, secret: str) -> None:
    assert request(**{MAINTENANCE_BYPASS: secret})["statusCode"] == 503
    assert request(cookie=f"{MAINTENANCE_BYPASS}={secret}")["statusCode"] == 503


def test_page_cannot_be_framed_or_sniffed(closed: FakeAws) -> None:
    headers = request()["headers"]

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_bypass_cookie_among_several_cookie_headers_is_found(closed: FakeAws) -> None:
    closed.will(responds(HELLO))
    event: Any = {
        "httpMethod": "GET",
        "headers": {"cookie": "last=1"},
        "multiValueHeaders": {"cookie": [f"{MAINTENANCE_BYPASS}={SECRET}", "last=1"]},
        "queryStringParameters": None,
        "requestContext": {"path": "/"},
    }

    assert lambda_handler(event, FakeContext()) == HELLO


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("//evil.example/", "/evil.example/"),
        ("/\\evil.example/", "/evil.example/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_bypass_stays_on_the_site(closed: FakeAws, path: str | None, location: str) -> None:
    event: Any = {
        "httpMethod": "GET",
        "headers": None,
        "queryStringParameters": {MAINTENANCE_BYPASS: SECRET},
        "requestContext": {"path": path},
    }

    response: Any = lambda_handler(event, FakeContext())

    assert response["headers"]["Location"] == location


def test_bypass_has_the_headers_of_the_page(closed: FakeAws) -> None:
    headers = request(**{MAINTENANCE_BYPASS: SECRET})["headers"]

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
