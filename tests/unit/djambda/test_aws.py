"""`djambda.aws.configure`: the settings of a deployed function."""

import json
import logging
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.shortcuts import resolve_url
from django.urls import set_script_prefix
from django.utils.csp import CSP

from djambda import parameters
from djambda.aws import REQUIRED, configure
from djambda.logs import JsonSafeFilter
from djambda.prefetch import PrefetchedValue
from tests.unit.djambda.conftest import SECRETS, FakeAws


@pytest.fixture(autouse=True)
def restore_log_filters() -> Any:
    """Remove the filters that `configure` adds to the root's handlers."""
    root = logging.getLogger()
    before = {handler: list(handler.filters) for handler in root.handlers}
    yield
    for handler, filters in before.items():
        handler.filters = filters


def configured(**settings: Any) -> dict[str, Any]:
    configure(settings)
    return settings


def test_settings_are_unchanged_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRETS_PATH", raising=False)

    assert configured(DEBUG=False) == {"DEBUG": False}


def test_error_names_all_missing_variables(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in REQUIRED:
        monkeypatch.delenv(name)

    with pytest.raises(ImproperlyConfigured) as error:
        configured()

    assert all(name in str(error.value) for name in REQUIRED)


def test_existing_projects_settings_are_kept(deployed: dict[str, str]) -> None:
    own = {"version": 1}
    settings = configured(
        ALLOWED_HOSTS=["own.example.com"],
        INSTALLED_APPS=["own"],
        DATABASES={"other": {"ENGINE": "own"}},
        STORAGES={"other": {"BACKEND": "own"}},
        LOGGING=own,
        SILENCED_SYSTEM_CHECKS=["own.W001"],
    )

    assert settings["ALLOWED_HOSTS"][0] == "own.example.com"
    assert settings["INSTALLED_APPS"] == ["djambda", "own"]
    assert settings["DATABASES"]["other"] == {"ENGINE": "own"}
    assert settings["STORAGES"]["other"] == {"BACKEND": "own"}
    assert settings["LOGGING"] is own
    assert settings["SILENCED_SYSTEM_CHECKS"][0] == "own.W001"
    assert "SECURE_CSP" not in settings


# Database


def test_database_settings(deployed: dict[str, str]) -> None:
    database = configured()["DATABASES"]["default"]

    assert database.pop("PASSWORD") == SECRETS["database-password"]
    assert database == {
        "ENGINE": "djambda.db",
        "HOST": "db.example.com",
        "PORT": "5432",
        "NAME": "mysite",
        "USER": "mysite",
        "CONN_MAX_AGE": 50,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"resume_seconds": 25, "sslmode": "require", "tcp_user_timeout": 5000},
    }


def test_database_settings_of_the_project_are_kept(deployed: dict[str, str]) -> None:
    project = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "own",
        "HOST": "localhost",
        "ATOMIC_REQUESTS": True,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {"options": "-c search_path=own", "pool": True, "sslmode": "verify-full"},
    }

    database = configured(DATABASES={"default": project})["DATABASES"]["default"]

    assert database["ATOMIC_REQUESTS"] is True
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert database["CONN_MAX_AGE"] == 0
    assert database["CONN_HEALTH_CHECKS"] is True
    assert (database["NAME"], database["HOST"]) == ("mysite", "db.example.com")
    assert database["OPTIONS"] == {
        "options": "-c search_path=own",
        "resume_seconds": 25,
        "sslmode": "verify-full",
        "tcp_user_timeout": 5000,
    }


@pytest.mark.parametrize("age", [None, 600, 51])
def test_connections_are_closed_before_the_server_does(
    deployed: dict[str, str], age: int | None
) -> None:
    project = {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": age}

    assert configured(DATABASES={"default": project})["DATABASES"]["default"]["CONN_MAX_AGE"] == 50


def test_options_of_another_database_are_dropped(deployed: dict[str, str]) -> None:
    project = {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {"timeout": 20}}

    options = configured(DATABASES={"default": project})["DATABASES"]["default"]["OPTIONS"]

    assert "timeout" not in options


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_connections_are_encrypted(deployed: dict[str, str], mode: str) -> None:
    project = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": {"sslmode": mode}}

    options = configured(DATABASES={"default": project})["DATABASES"]["default"]["OPTIONS"]

    assert options["sslmode"] == "require"


def test_libpq_variables_take_precedence(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")
    monkeypatch.setenv("PGPORT", "54321")

    database = configured()["DATABASES"]["default"]

    assert database["PORT"] == ""
    assert "sslmode" not in database["OPTIONS"]


# Hosts and cookies


def test_hosts_and_cookies_on_aws(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    monkeypatch.setattr("djambda.aws.get_parameters", lambda _path, _names: SECRETS)
    settings = configured()

    assert settings["ALLOWED_HOSTS"] == [
        ".execute-api.eu-west-1.amazonaws.com",
        "www.example.com",
    ]
    # execute-api has sites of other people, too.
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://www.example.com"]
    assert settings["SESSION_COOKIE_SECURE"] is True
    assert settings["CSRF_COOKIE_SECURE"] is True
    assert settings["STATIC_URL"] == "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/static/"


def test_hosts_and_cookies_in_the_local_cloud(deployed: dict[str, str]) -> None:
    settings = configured()

    assert ".localhost" in settings["ALLOWED_HOSTS"]
    assert settings["SESSION_COOKIE_SECURE"] is False
    assert settings["CSRF_COOKIE_SECURE"] is False
    assert settings["STATIC_URL"] == f"{deployed['AWS_ENDPOINT_URL']}/bucket/static/"


def test_csp_allows_the_bucket_where_it_allows_the_site(deployed: dict[str, str]) -> None:
    bucket = f"{deployed['AWS_ENDPOINT_URL']}/bucket/"
    shared = [CSP.SELF]
    policy = {
        "default-src": shared,
        "font-src": [CSP.NONE],
        "form-action": shared,
        "script-src": (CSP.SELF, "https://cdn.example.com"),
        "style-src": {CSP.SELF},
        "upgrade-insecure-requests": True,
    }

    settings = configured(SECURE_CSP=policy, SECURE_CSP_REPORT_ONLY={"script-src": shared})

    assert settings["SECURE_CSP"] == {
        "default-src": [CSP.SELF, f"{bucket}static/"],
        "font-src": [CSP.NONE],
        "form-action": [CSP.SELF],
        "img-src": [CSP.SELF, bucket],
        "media-src": [CSP.SELF, bucket],
        "script-src": [CSP.SELF, "https://cdn.example.com", f"{bucket}static/"],
        "style-src": [CSP.SELF, f"{bucket}static/"],
        "upgrade-insecure-requests": True,
    }
    assert settings["SECURE_CSP_REPORT_ONLY"] == {"script-src": [CSP.SELF, f"{bucket}static/"]}
    assert shared == [CSP.SELF]


def test_debug_is_the_stacks(deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured(DEBUG=True)["DEBUG"] is False

    for text in ("1", "true", "True"):
        monkeypatch.setenv("DEBUG", text)
        assert configured(DEBUG=False)["DEBUG"] is True


def test_other_accounts_credentials_are_removed(deployed: dict[str, str]) -> None:
    settings = configured(
        AWS_ACCESS_KEY_ID="AKIDOTHER",
        AWS_SECRET_ACCESS_KEY="other",
        AWS_S3_ENDPOINT_URL="https://s3.example.com",
    )

    assert not settings.keys() & {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert "AWS_S3_ENDPOINT_URL" not in settings


@pytest.mark.parametrize(
    ("settings", "name", "expected"),
    [
        ({}, "LOGIN_URL", "/prod/accounts/login/"),
        ({}, "LOGIN_REDIRECT_URL", "/prod/accounts/profile/"),
        ({"LOGIN_URL": "/sign-in/"}, "LOGIN_URL", "/prod/sign-in/"),
        ({"LOGIN_URL": "/prod/sign-in/"}, "LOGIN_URL", "/prod/sign-in/"),
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


# Secrets


def test_secrets_are_read_once(deployed: dict[str, str], aws: FakeAws) -> None:
    settings = configured()

    assert str(settings["SECRET_KEY"]) == SECRETS["secret-key"]
    assert str(settings["DATABASES"]["default"]["PASSWORD"]) == SECRETS["database-password"]
    assert SECRETS["superuser-password"] not in os.environ.values()
    # One request per page, and `aws` returns one parameter per page.
    assert aws.requests.count("GetParametersByPath") == 3


def test_missing_secret_is_named(deployed: dict[str, str], aws: FakeAws) -> None:
    del aws.parameters["/djambda/dev/mysite/secret-key"]
    settings = configured()

    with pytest.raises(ImproperlyConfigured, match="secret-key") as error:
        str(settings["SECRET_KEY"])

    assert "/djambda/dev/mysite/secret-key" in str(error.value)
    assert "/djambda/dev/mysite/database-password" not in str(error.value)
    assert not any(value in str(error.value) for value in SECRETS.values())


def test_denied_access_names_the_needed_permission(deployed: dict[str, str], aws: FakeAws) -> None:
    aws.ssm_errors = [400, 400]
    settings = configured()

    with pytest.raises(ImproperlyConfigured) as error:
        str(settings["SECRET_KEY"])

    assert "/djambda/dev/mysite" in str(error.value)
    assert "AccessDeniedException: not allowed" in str(error.value)
    assert "ssm:GetParametersByPath" in str(error.value)


def test_throttled_requests_are_repeated(
    deployed: dict[str, str], aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "PAUSES", (0.01, 0.01))
    aws.throttled = 2

    assert str(configured()["SECRET_KEY"]) == SECRETS["secret-key"]


def test_unreachable_ssm_names_the_things_to_check(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    settings = configured()

    with pytest.raises(ImproperlyConfigured, match="SSM") as error:
        str(settings["SECRET_KEY"])

    assert "/djambda/dev/mysite" in str(error.value)
    assert "routes" in str(error.value)
    assert "security group" in str(error.value)


def test_secrets_are_read_again_after_an_outage(deployed: dict[str, str], aws: FakeAws) -> None:
    aws.ssm_errors = [500, 500]
    settings = configured()
    with pytest.raises(ImproperlyConfigured):
        str(settings["SECRET_KEY"])

    assert str(settings["SECRET_KEY"]) == SECRETS["secret-key"]


def test_prefetched_value_is_fetched_once_and_immediately() -> None:
    calls: list[str] = []
    prefetched = PrefetchedValue(lambda: calls.append("x") or len(calls))  # type: ignore[func-returns-value]
    prefetched._thread.join()

    assert calls == ["x"]
    assert (prefetched(), prefetched()) == (1, 1)


# The log


class LambdaLikeHandler(logging.Handler):
    """Formats a record's extra attributes as JSON, and fails if it cannot, as Lambda does.

    https://github.com/aws/aws-lambda-python-runtime-interface-client, lambda_runtime_log_utils.py
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        standard = vars(logging.makeLogRecord({}))
        extra = {name: value for name, value in vars(record).items() if name not in standard}
        self.lines.append(json.loads(json.dumps({"message": record.getMessage(), **extra})))


def test_any_record_can_be_formatted_as_json() -> None:
    handler = LambdaLikeHandler()
    handler.addFilter(JsonSafeFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    request = object()

    logger.error("Not Found: %s", "/x", extra={"request": request, "status_code": 404})
    logger.info("done", extra={"items": [1, {"a": None}], "path": os.fspath, "kind": {1}})

    assert handler.lines[0] == {"message": "Not Found: /x", "status_code": 404}
    assert handler.lines[1]["items"] == [1, {"a": None}]
    assert handler.lines[1]["kind"] == "{1}"


def test_other_handlers_get_the_original_record() -> None:
    record = logging.makeLogRecord({"request": object()})

    assert "request" not in vars(JsonSafeFilter().filter(record))
    assert "request" in vars(record)


FAILING_PAGE = """
import json, logging
from tests.unit.djambda.test_aws import LambdaLikeHandler

handler = LambdaLikeHandler()
logging.getLogger().addHandler(handler)

from django.http import HttpRequest
from djambda.awslambda import lambda_handler
from tests.support.lambda_events import CONTEXT, make_v1_event
from shop import urls

def fail(request):
    raise ZeroDivisionError("in a page")

from django.urls import path
urls.urlpatterns.insert(0, path("fail", fail))

secret = [("Cookie", "sessionid=in-a-cookie"), ("Authorization", "Bearer in-a-header")]
event = make_v1_event("GET", "/fail", headers=secret, query=[("token", "in-a-query")])
response = lambda_handler(event, CONTEXT)
print(json.dumps({"status": response["statusCode"], "lines": handler.lines}))
"""


def test_failing_page_is_logged_without_secrets(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    process = run_deployed(FAILING_PAGE)

    assert process.returncode == 0, process.stderr
    printed = json.loads(process.stdout.splitlines()[-1])
    assert printed["status"] == 500
    assert {"message": "Internal Server Error: /prod/fail", "status_code": 500} in printed["lines"]
    for secret in ("in-a-cookie", "in-a-header", "in-a-query", *SECRETS.values()):
        assert secret not in process.stdout + process.stderr
