"""`djambda.aws.configure`: the settings of a deployed function."""

import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from djambda import parameters
from djambda.aws import REQUIRED, configure_settings_module
from djambda.logs import JsonSafeFilter
from djambda.prefetch import PrefetchedValue
from djambda.replaced_settings import REPLACED
from tests.unit.djambda.conftest import SECRETS, FakeAws, configured, replaced


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
    assert settings["INSTALLED_APPS"] == ["djambda", "own", "django.contrib.staticfiles"]
    assert settings["DATABASES"]["other"] == {"ENGINE": "own"}
    assert settings["STORAGES"]["other"] == {"BACKEND": "own"}
    assert settings["LOGGING"] is own
    assert settings["SILENCED_SYSTEM_CHECKS"][0] == "own.W001"
    assert "SECURE_CSP" not in settings


@pytest.mark.parametrize(
    "app",
    [
        "django.contrib.staticfiles",
        "django.contrib.staticfiles.apps.StaticFilesConfig",
        "own.apps.MyStaticFilesConfig",
    ],
)
def test_installed_staticfiles_are_not_installed_again(deployed: dict[str, str], app: str) -> None:
    assert configured(INSTALLED_APPS=("own", app))["INSTALLED_APPS"] == ["djambda", "own", app]


def test_debug_is_the_stacks(deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured(DEBUG=True)["DEBUG"] is False

    for text in ("1", "true", "True"):
        monkeypatch.setenv("DEBUG", text)
        assert configured(DEBUG=False)["DEBUG"] is True


def test_settings_of_a_new_deployment_are_not_recorded(deployed: dict[str, str]) -> None:
    assert replaced() == {}
    assert replaced(DEBUG=False, ADMINS=["a@example.com"], STATIC_URL="static/") == {}


def test_record_names_settings_and_reasons(deployed: dict[str, str]) -> None:
    record = replaced(
        DEBUG=True,
        SECRET_KEY=PROJECT_KEY,
        STATIC_URL="https://cdn.example.com/",
        STORAGES={
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
            "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
            "own": {"BACKEND": "own"},
        },
        AWS_ACCESS_KEY_ID="AKIDOTHER",
    )

    assert record.keys() == {
        "DEBUG",
        "SECRET_KEY",
        "STATIC_URL",
        'STORAGES["default"]',
        'STORAGES["staticfiles"]',
        "AWS_ACCESS_KEY_ID",
    }
    assert all(record.values())
    assert "AKIDOTHER" not in str(record)


def test_record_is_kept_if_a_settings_package_configures_twice(deployed: dict[str, str]) -> None:
    settings = configured(DEBUG=True, LOGIN_URL="/sign-in/", SECURE_CSP={"img-src": ["'self'"]})
    once = {name: str(value) for name, value in settings.items() if name != "STORAGES"}

    twice = configured(**settings)

    assert {name: str(value) for name, value in twice.items() if name != "STORAGES"} == once


@pytest.mark.parametrize(("admins", "handlers"), [([], []), (["a@example.com"], ["mail_admins"])])
def test_admins_get_emails(
    deployed: dict[str, str], admins: list[str], handlers: list[str]
) -> None:
    logging_settings = configured(ADMINS=admins)["LOGGING"]

    assert logging_settings["loggers"]["django"]["handlers"] == handlers
    assert list(logging_settings["handlers"]) == handlers


def test_other_accounts_credentials_are_removed(deployed: dict[str, str]) -> None:
    settings = configured(
        AWS_ACCESS_KEY_ID="AKIDOTHER",
        AWS_SECRET_ACCESS_KEY="other",
        AWS_S3_ENDPOINT_URL="https://s3.example.com",
    )

    assert not settings.keys() & {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert "AWS_S3_ENDPOINT_URL" not in settings


# Secrets


PROJECT_KEY = "django-insecure-a-key-that-everyone-can-read-in-git"


def test_secret_key_is_a_plain_string(deployed: dict[str, str]) -> None:
    key = configured()["SECRET_KEY"]

    assert type(key) is str
    assert "".join([key]).encode() == bytes(key, "utf-8")
    assert json.loads(json.dumps(key)) == key
    assert pickle.loads(pickle.dumps(key)) == key  # noqa: S301 (its own data)


def test_copies_of_the_projects_key_are_replaced(deployed: dict[str, str]) -> None:
    project = {
        "SECRET_KEY": PROJECT_KEY,
        "SIMPLE_JWT": {"ALGORITHM": "HS256", "SIGNING_KEY": PROJECT_KEY},
        "SIGNERS": [{"keys": (PROJECT_KEY, "other")}],
        "SALT": PROJECT_KEY,
        "lowercase": PROJECT_KEY,
        "OTHER": {"a": 1},
    }
    settings = configured(**project)

    key = SECRETS["secret-key"]
    assert settings["SIMPLE_JWT"] == {"ALGORITHM": "HS256", "SIGNING_KEY": key}
    assert settings["SIGNERS"] == [{"keys": (key, "other")}]
    assert settings["SALT"] == key
    assert settings["lowercase"] == PROJECT_KEY
    assert settings["OTHER"] is project["OTHER"]
    record = settings[REPLACED]
    assert record.keys() >= {"SECRET_KEY", "SIMPLE_JWT", "SIGNERS", "SALT"}
    assert not any(secret in str(record) for secret in (PROJECT_KEY, *SECRETS.values()))


@pytest.mark.parametrize("key", ["", "dev", None])
def test_short_keys_are_not_substituted(deployed: dict[str, str], key: str | None) -> None:
    assert configured(SECRET_KEY=key, ENVIRONMENT_NAME=key)["ENVIRONMENT_NAME"] == key


def test_fallbacks_of_the_key_are_kept(deployed: dict[str, str]) -> None:
    settings = configured(SECRET_KEY=PROJECT_KEY, SECRET_KEY_FALLBACKS=["an-older-key-of-the-site"])

    assert settings["SECRET_KEY_FALLBACKS"] == ["an-older-key-of-the-site"]


SECRETS_FIRST = """
import sys
from djambda import parameters

def fetch(path, names):
    print("django" in sys.modules)
    return dict.fromkeys(names, "x" * 50)

parameters.get_parameters = fetch
import djambda.awslambda
"""


def test_secrets_are_fetched_before_django_is_imported(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    process = run_deployed(SECRETS_FIRST)

    assert process.stdout == "False\n", process.stderr


def test_secrets_are_read_once(deployed: dict[str, str], aws: FakeAws) -> None:
    settings = configured()

    assert settings["SECRET_KEY"] == SECRETS["secret-key"]
    assert settings["DATABASES"]["default"]["PASSWORD"] == SECRETS["database-password"]
    assert SECRETS["superuser-password"] not in os.environ.values()
    assert aws.requests.count("GetParameters") == 1


def test_missing_secret_is_named(deployed: dict[str, str], aws: FakeAws) -> None:
    del aws.parameters["/djambda/dev/mysite/secret-key"]

    with pytest.raises(ImproperlyConfigured, match="secret-key") as error:
        configured()

    assert "/djambda/dev/mysite/secret-key" in str(error.value)
    assert "/djambda/dev/mysite/database-password" not in str(error.value)
    assert not any(value in str(error.value) for value in SECRETS.values())


def test_denied_access_names_the_needed_permission(deployed: dict[str, str], aws: FakeAws) -> None:
    aws.ssm_errors = [400, 400]

    with pytest.raises(ImproperlyConfigured) as error:
        configured()

    assert "/djambda/dev/mysite" in str(error.value)
    assert "AccessDeniedException: not allowed" in str(error.value)
    assert "ssm:GetParameters" in str(error.value)


def test_throttled_requests_are_repeated(
    deployed: dict[str, str], aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "PAUSES", (0.01, 0.01))
    aws.throttled = 2

    assert configured()["SECRET_KEY"] == SECRETS["secret-key"]


def test_unreachable_ssm_names_the_things_to_check(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(ImproperlyConfigured, match="SSM") as error:
        configured()

    assert "/djambda/dev/mysite" in str(error.value)
    assert "routes" in str(error.value)
    assert "security group" in str(error.value)


def test_secrets_are_read_again_after_an_outage(deployed: dict[str, str], aws: FakeAws) -> None:
    aws.ssm_errors = [500, 500]
    with pytest.raises(ImproperlyConfigured):
        configured()

    assert configured()["SECRET_KEY"] == SECRETS["secret-key"]


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


@pytest.mark.usefixtures("deployed")
class TestSettingsModule:
    """The module of `DJANGO_SETTINGS_MODULE`, as the handler configures it."""

    @pytest.fixture
    def settings_module(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[str], ModuleType]:
        """Return a function that returns a configured settings module with this content."""
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "bakery_settings")
        monkeypatch.delitem(sys.modules, "bakery_settings", raising=False)
        monkeypatch.delitem(sys.modules, "bakery_base", raising=False)

        def load(content: str) -> ModuleType:
            (tmp_path / "bakery_settings.py").write_text(content)
            configure_settings_module()
            return sys.modules["bakery_settings"]

        (tmp_path / "bakery_base.py").write_text(
            "from djambda.aws import configure\n"
            "SECURE_CSP = {'img-src': [\"'self'\"]}\n"
            "ALLOWED_HOSTS = ['own.example.com']\n"
            "DEBUG = True\n"
            "configure(globals())\n"
        )
        return load

    def test_of_a_project_that_does_not_know_djambda(
        self, settings_module: Callable[[str], ModuleType]
    ) -> None:
        module = settings_module("DEBUG = True\nSECRET_KEY = 'insecure'\nDATABASES = {}\n")

        assert SECRETS["secret-key"] == module.SECRET_KEY
        assert module.DATABASES["default"]["ENGINE"] == "djambda.db"
        assert module.DEBUG is False

    def test_that_configures_itself(self, settings_module: Callable[[str], ModuleType]) -> None:
        module = settings_module("from bakery_base import *\nTIME_ZONE = 'UTC'\n")
        base = sys.modules["bakery_base"]

        for name in ("ALLOWED_HOSTS", "SECURE_CSP", "DATABASES", "LOGIN_URL"):
            assert getattr(module, name) == getattr(base, name)
        assert vars(module)[REPLACED].keys() == {"DEBUG"}

    def test_that_overrides_a_configured_base(
        self, settings_module: Callable[[str], ModuleType]
    ) -> None:
        module = settings_module("from bakery_base import *\nDEBUG = True\nDATABASES = {}\n")

        assert module.DEBUG is False
        assert module.DATABASES["default"]["ENGINE"] == "djambda.db"

    def test_elsewhere_is_not_loaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SECRETS_PATH", raising=False)
        monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "missing")

        configure_settings_module()
