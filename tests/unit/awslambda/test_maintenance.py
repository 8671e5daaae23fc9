"""The closed site: who waits, who is let in, and how `djambda maintenance` opens and closes it."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from djambda_common.names import MAINTENANCE_BYPASS, MAINTENANCE_VARIABLE
from proxy import lambda_handler
from tests.support.fake_aws import REGION, FakeAws, FakeContext, answers, lambda_environment

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


def ask(method: str = "GET", cookie: str = "", **query: str) -> Any:
    return lambda_handler(
        {
            "httpMethod": method,
            "headers": {"Accept": "text/html"} | ({"cookie": cookie} if cookie else {}),
            "queryStringParameters": query or None,
            "requestContext": {"requestId": "r", "path": "/prod/notes/"},
        },
        FakeContext(),
    )


def test_a_visitor_gets_a_page_and_django_sleeps_on(closed: FakeAws) -> None:
    answer = ask()

    assert answer["statusCode"] == 503
    assert answer["headers"]["Retry-After"] == "300"
    assert "Back soon" in answer["body"]
    assert closed.requests == []


def test_a_form_is_told_that_nothing_was_changed(closed: FakeAws) -> None:
    answer = ask("POST")

    assert answer["statusCode"] == 503
    assert "Nothing was changed" in answer["body"]


def test_the_secret_in_the_query_becomes_a_cookie_that_opens(closed: FakeAws) -> None:
    invitation = ask(**{MAINTENANCE_BYPASS: SECRET})

    assert (invitation["statusCode"], invitation["headers"]["Location"]) == (303, "/prod/notes/")
    cookie, *attributes = invitation["headers"]["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} == set(attributes)

    closed.will(answers(HELLO))
    assert ask(cookie=f"sessionid=1; {cookie}") == HELLO
    [passed_on] = closed.requests
    assert passed_on.json["headers"]["cookie"] == f"sessionid=1; {cookie}"


@pytest.mark.parametrize("secret", ["wrong", "", "é"])
def test_no_other_secret_opens(closed: FakeAws, secret: str) -> None:
    assert ask(**{MAINTENANCE_BYPASS: secret})["statusCode"] == 503
    assert ask(cookie=f"{MAINTENANCE_BYPASS}={secret}")["statusCode"] == 503


@pytest.mark.parametrize("digest", ["", None])
def test_an_open_site_passes_everything_on(
    django: FakeAws, monkeypatch: pytest.MonkeyPatch, digest: str | None
) -> None:
    if digest is not None:
        monkeypatch.setenv(MAINTENANCE_VARIABLE, digest)
    django.will(answers(HELLO), answers(HELLO))

    assert ask(**{MAINTENANCE_BYPASS: ""}) == HELLO
    assert ask(cookie=f"{MAINTENANCE_BYPASS}=") == HELLO


def test_a_program_gets_json(closed: FakeAws) -> None:
    answer = lambda_handler(
        {
            "httpMethod": "GET",
            "headers": {"accept": "application/json"},
            "queryStringParameters": None,
            "requestContext": {"requestId": "r", "path": "/prod/"},
        },
        FakeContext(),
    )

    assert json.loads(answer["body"])["error"] == "maintenance"
