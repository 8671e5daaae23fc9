"""Hosts, cookies and paths of a site behind API Gateway."""

import pickle
import subprocess
from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.shortcuts import resolve_url
from django.urls import set_script_prefix

from djambda.replaced_settings import REPLACED
from tests.support.lambda_events import API_HOST
from tests.unit.djambda.conftest import SECRETS, configured, replaced


def test_hosts_and_cookies_on_aws(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    monkeypatch.setattr("djambda.parameters.get_parameters", lambda _path, _names: SECRETS)
    settings = configured()

    assert settings["ALLOWED_HOSTS"] == [API_HOST, "www.example.com"]
    assert settings["CSRF_TRUSTED_ORIGINS"] == [f"https://{API_HOST}", "https://www.example.com"]
    assert settings["SESSION_COOKIE_SECURE"] is True
    assert settings["CSRF_COOKIE_SECURE"] is True
    assert settings["STATIC_URL"] == "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/static/"


@pytest.mark.parametrize("pattern", [".execute-api.eu-west-1.amazonaws.com", "*"])
def test_patterns_are_no_trusted_origins(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", pattern)

    assert configured()["CSRF_TRUSTED_ORIGINS"] == []


REQUESTS = """
import json
from shop import settings
settings.USE_X_FORWARDED_HOST = True
settings.ALLOWED_HOSTS.append("cdn.example.com")
from djambda.awslambda import lambda_handler
from tests.support.lambda_events import API_HOST, CONTEXT, make_v1_event

def status(host, forwarded=None):
    headers = [("X-Forwarded-Host", forwarded)] if forwarded else []
    event = make_v1_event("GET", "/accounts/login/", host=host, headers=headers)
    return lambda_handler(event, CONTEXT)["statusCode"]

other = API_HOST.replace("a1b2c3", "z9y8x7")
print([
    status(API_HOST),
    status(other),
    status(API_HOST, other),
    status(API_HOST, "cdn.example.com"),
])
"""


def test_hosts_of_other_apis_are_rejected(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    process = run_deployed(REQUESTS)

    assert process.stdout == "[200, 400, 400, 200]\n", process.stderr


def test_hosts_and_cookies_in_the_local_cloud(deployed: dict[str, str]) -> None:
    settings = configured()

    assert ".localhost" in settings["ALLOWED_HOSTS"]
    assert settings["SESSION_COOKIE_SECURE"] is False
    assert settings["CSRF_COOKIE_SECURE"] is False
    assert settings["STATIC_URL"] == f"{deployed['AWS_ENDPOINT_URL']}/bucket/static/"


@pytest.mark.parametrize(
    ("settings", "name", "expected"),
    [
        ({}, "LOGIN_URL", "/prod/accounts/login/"),
        ({}, "LOGIN_REDIRECT_URL", "/prod/accounts/profile/"),
        ({"LOGIN_URL": "/sign-in/"}, "LOGIN_URL", "/prod/sign-in/"),
        ({"LOGIN_URL": "/prod/sign-in/"}, "LOGIN_URL", "/prod/sign-in/"),
        ({"LOGIN_URL": "/products/"}, "LOGIN_URL", "/prod/products/"),
        ({"SESSION_COOKIE_PATH": "/app/"}, "SESSION_COOKIE_PATH", "/prod/app/"),
        ({"CSRF_COOKIE_PATH": "/app"}, "CSRF_COOKIE_PATH", "/prod/app"),
        ({"LANGUAGE_COOKIE_PATH": "/app"}, "LANGUAGE_COOKIE_PATH", "/prod/app"),
        ({"LOGIN_URL": "sign_in"}, "LOGIN_URL", "sign_in"),
        ({"LOGIN_URL": "https://sso.example.com/"}, "LOGIN_URL", "https://sso.example.com/"),
        ({"LOGIN_URL": "//sso.example.com/"}, "LOGIN_URL", "//sso.example.com/"),
        ({"LOGOUT_REDIRECT_URL": "/"}, "LOGOUT_REDIRECT_URL", "/prod/"),
    ],
)
def test_paths_of_the_site_get_the_prefix(
    deployed: dict[str, str], settings: dict[str, str], name: str, expected: str
) -> None:
    path = configured(**settings)[name]

    set_script_prefix("/prod/")
    try:
        assert str(path) == expected
        if "/" in expected:
            assert resolve_url(path) == expected
    finally:
        set_script_prefix("/")
    if expected.startswith("/prod/") and not settings.get(name, "").startswith("/prod/"):
        assert str(path) == expected.removeprefix("/prod")


def test_cookies_that_need_https_work_in_the_local_cloud(deployed: dict[str, str]) -> None:
    settings = configured(
        SESSION_COOKIE_NAME="__Secure-session",
        CSRF_COOKIE_NAME="__Host-csrf",
        SESSION_COOKIE_DOMAIN="example.com",
        SECURE_SSL_REDIRECT=True,
        SECURE_HSTS_SECONDS=60,
    )

    assert settings["SESSION_COOKIE_NAME"] == "session"
    assert settings["CSRF_COOKIE_NAME"] == "csrf"
    assert "SESSION_COOKIE_DOMAIN" not in settings
    assert settings["SECURE_SSL_REDIRECT"] is False
    assert settings["SECURE_HSTS_SECONDS"] == 60


def test_cookie_of_the_whole_host_keeps_its_path(deployed: dict[str, str]) -> None:
    settings = configured(SESSION_COOKIE_PATH="/")

    assert settings["SESSION_COOKIE_PATH"] == "/"
    assert "CSRF_COOKIE_PATH" not in settings


def test_path_of_a_cookie_is_the_requests(deployed: dict[str, str]) -> None:
    path = configured(SESSION_COOKIE_PATH="/app/")["SESSION_COOKIE_PATH"]
    response = HttpResponse()

    set_script_prefix("/prod/")
    try:
        response.set_cookie("sessionid", "x", path=path)
        assert "Path=/prod/app/" in response.cookies["sessionid"].OutputString()
        assert pickle.loads(pickle.dumps(path)) == "/prod/app/"  # noqa: S301 (its own data)
    finally:
        set_script_prefix("/")


@pytest.fixture
def on_real_aws(deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment to that of a function on AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("ALLOWED_HOSTS", "www.example.com")
    monkeypatch.setattr("djambda.parameters.get_parameters", lambda _path, _names: SECRETS)


@pytest.mark.parametrize(
    ("domain", "kept"),
    [
        ("example.com", True),
        (".example.com", True),
        ("www.example.com", True),
        ("example.org", False),
        ("app.www.example.com", False),
        ("ample.com", False),
    ],
)
@pytest.mark.parametrize("cookie", ["SESSION", "CSRF", "LANGUAGE"])
def test_domains_that_browsers_reject_are_removed(
    on_real_aws: None, cookie: str, domain: str, kept: bool
) -> None:
    name = f"{cookie}_COOKIE_DOMAIN"
    settings = configured(**{name: domain})

    assert settings.get(name) == (domain if kept else None)
    assert (name in settings.get(REPLACED, {})) is not kept


def test_own_cookie_settings_win_on_aws(on_real_aws: None) -> None:
    settings = configured(SESSION_COOKIE_SECURE=False, SESSION_COOKIE_NAME="__Host-session")

    assert settings["SESSION_COOKIE_SECURE"] is False
    assert settings["CSRF_COOKIE_SECURE"] is True
    assert settings["SESSION_COOKIE_NAME"] == "__Host-session"
    assert REPLACED not in settings


@pytest.mark.parametrize(("host", "prepend"), [("www.example.com", True), ("example.com", False)])
def test_prepended_www_needs_a_host(
    on_real_aws: None, monkeypatch: pytest.MonkeyPatch, host: str, prepend: bool
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", host)

    settings = configured(PREPEND_WWW=True)

    assert settings["PREPEND_WWW"] is prepend
    assert ("PREPEND_WWW" in settings.get(REPLACED, {})) is not prepend


def test_replaced_cookie_settings_are_recorded(deployed: dict[str, str]) -> None:
    record = replaced(
        SESSION_COOKIE_SECURE=True,
        CSRF_COOKIE_SAMESITE="None",
        CSRF_COOKIE_DOMAIN="example.com",
        LANGUAGE_COOKIE_NAME="language",
    )

    assert record.keys() == {"SESSION_COOKIE_SECURE", "CSRF_COOKIE_SAMESITE", "CSRF_COOKIE_DOMAIN"}
