"""CORS: pages of the origins in CORS_ORIGINS can read the proxy's errors, and no others can."""

import hashlib
import json
from typing import Any

import pytest

import invocation
import proxy
from djambda_common.names import CORS_VARIABLE, ERROR_HEADER, MAINTENANCE_VARIABLE
from proxy import lambda_handler
from tests.support.fake_aws import FakeContext

APP = "https://app.example.com"
LOCAL = "http://localhost:5173"
CORS = "Access-Control-"


@pytest.fixture(params=["maintenance", "request_too_large"], autouse=True)
def error(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make every request end with an error of the proxy: before Django's invocation, and in it."""
    monkeypatch.setenv("FUNCTION_NAME", "django")
    monkeypatch.setattr(invocation, "MAX_PAYLOAD", 0)
    if request.param == "maintenance":
        monkeypatch.setenv(MAINTENANCE_VARIABLE, hashlib.sha256(b"secret").hexdigest())
    return str(request.param)


def respond(method: str = "POST", **headers: str) -> Any:
    """Return the response to a request; header names are written with underscores."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    event: Any = {
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": None,
        "requestContext": {"requestId": "r", "path": "/prod/"},
    }
    return lambda_handler(event, FakeContext())


def cors(response: Any) -> dict[str, str]:
    return {
        name: value
        for name, value in response["headers"].items()
        if name.startswith(CORS) or name == "Vary"
    }


@pytest.mark.parametrize("origin", [APP, LOCAL])
def test_listed_origin_reads_the_error_with_cookies(
    error: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CORS_VARIABLE, f"{APP},{LOCAL}")

    response = respond(Origin=origin)

    assert json.loads(response["body"])["error"] == error
    assert cors(response) == {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Retry-After",
        "Vary": "Origin",
    }


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{APP}.evil.example", f"{APP},{LOCAL}", "null", "", ","]
)
def test_other_origins_do_not(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CORS_VARIABLE, f"{APP},{LOCAL}")

    assert cors(respond(Origin=origin)) == {"Vary": "Origin"}


@pytest.mark.parametrize("origin", [APP, "null", ""])
def test_every_origin_reads_the_error_without_cookies(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CORS_VARIABLE, "*")

    assert cors(respond(Origin=origin)) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Retry-After",
    }


@pytest.mark.parametrize("origins", [None, ""])
def test_nobody_does_without_the_setting(
    origins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if origins is not None:
        monkeypatch.setenv(CORS_VARIABLE, origins)

    assert cors(respond(Origin=APP)) == {}


def test_pages_have_the_headers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CORS_VARIABLE, APP)

    response = respond("GET", origin=APP, accept="text/html")

    assert response["headers"]["Content-Type"].startswith("text/html")
    assert cors(response)["Access-Control-Allow-Origin"] == APP


@pytest.mark.parametrize("origins", ["", LOCAL, "*"])
def test_site_decides_who_reads_the_error_in_place_of_its_response(
    origins: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    permissions = {
        "access-control-allow-origin": APP,
        "access-control-allow-credentials": "true",
        "vary": "Cookie,origin",
    }
    headers = {name: value.split(",") for name, value in permissions.items()}
    headers |= {ERROR_HEADER: ["response_too_large r"], "set-cookie": ["a=1"]}
    replaced = {"statusCode": 502, "multiValueHeaders": headers, "body": ""}
    monkeypatch.setenv(CORS_VARIABLE, origins)
    monkeypatch.delenv(MAINTENANCE_VARIABLE, raising=False)
    monkeypatch.setattr(proxy, "invoke", lambda *_, **__: replaced)

    response = respond(Origin=APP)

    assert json.loads(response["body"])["error"] == "response_too_large"
    assert cors(response) == {}  # Those of CORS_ORIGINS, whose names are capitalized.
    assert permissions.items() <= response["headers"].items()
    assert "set-cookie" not in response["headers"]


class TestPreflight:
    """A preflight succeeds, so that the browser sends the request whose error the page reads."""

    @pytest.mark.parametrize("origins", [APP, f"{LOCAL},{APP}", "*"])
    def test_of_a_listed_origin_is_permitted_and_not_cached(
        self, origins: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(CORS_VARIABLE, origins)

        response = respond(
            "OPTIONS",
            origin=APP,
            access_control_request_method="PATCH",
            access_control_request_headers="authorization,content-type",
        )

        assert (response["statusCode"], response["body"]) == (204, "")
        headers = cors(response)
        assert headers["Access-Control-Allow-Origin"] in {APP, "*"}
        assert headers["Access-Control-Allow-Methods"] == "PATCH"
        assert headers["Access-Control-Allow-Headers"] == "authorization,content-type"
        assert headers["Access-Control-Max-Age"] == "0"

    def test_of_another_origin_gets_the_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(CORS_VARIABLE, APP)

        response = respond(
            "OPTIONS", origin="https://evil.example", access_control_request_method="PATCH"
        )

        assert response["statusCode"] in {413, 503}
        assert cors(response) == {"Vary": "Origin"}

    def test_other_options_requests_get_the_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(CORS_VARIABLE, "*")

        assert respond("OPTIONS", origin=APP)["statusCode"] in {413, 503}
        assert respond("OPTIONS")["statusCode"] in {413, 503}
