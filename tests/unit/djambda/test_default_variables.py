"""The variables with the deployment that projects read in their settings."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from subprocess import CompletedProcess
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured

from djambda.default_variables import secret_names, set_default_variables, set_own_variables
from djambda.parameters import deployment_secrets
from djambda.start_failure import describe
from djambda_common.variables import encode, pack
from tests.unit.djambda.conftest import (
    DEFAULT_VARIABLES,
    SECRETS,
    SECRETS_PATH,
    FakeAws,
    configured,
    replaced,
)


def test_database_url_has_the_deployments_server(deployed: dict[str, str]) -> None:
    set_default_variables(SECRETS)

    url = urlsplit(os.environ["DATABASE_URL"])
    assert (url.scheme, url.username, url.password) == (
        *("postgres", "mysite"),
        SECRETS["database-password"],
    )
    assert (url.hostname, url.port, url.path) == ("db.example.com", 5432, "/mysite")
    assert parse_qs(url.query) == {"sslmode": ["require"]}


@pytest.mark.parametrize("password", ["a/b@c:d?e#f%g", "ä é", "100%", "[1]"])
def test_password_is_percent_encoded(deployed: dict[str, str], password: str) -> None:
    set_default_variables(SECRETS | {"database-password": password})

    url = urlsplit(os.environ["DATABASE_URL"])
    assert unquote(url.password or "") == password
    assert url.hostname == "db.example.com"


def test_variables_of_libpq_win(deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGSSLMODE", "disable")

    set_default_variables(SECRETS)

    url = urlsplit(os.environ["DATABASE_URL"])
    assert (url.port, url.query) == (None, "")


def test_secret_key_and_hosts(deployed: dict[str, str]) -> None:
    set_default_variables(SECRETS)

    assert os.environ["SECRET_KEY"] == os.environ["DJANGO_SECRET_KEY"] == SECRETS["secret-key"]
    assert os.environ["DJANGO_ALLOWED_HOSTS"] == os.environ["ALLOWED_HOSTS"]


@pytest.mark.parametrize(("debug", "expected"), [("", "False"), ("1", "True")])
def test_debug_is_the_deployments(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch, debug: str, expected: str
) -> None:
    monkeypatch.setenv("DEBUG", debug)

    set_default_variables(SECRETS)

    assert os.environ["DJANGO_DEBUG"] == expected
    assert os.environ["DEBUG"] == (debug or expected)
    assert configured()["DEBUG"] is bool(debug)


@pytest.mark.parametrize("name", [name for name in DEFAULT_VARIABLES if name != "DEBUG"])
def test_existing_variables_are_kept(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "own")

    set_default_variables(SECRETS)

    assert os.environ[name] == "own"


def test_names_of_the_project(deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "APP_KEY": SECRETS["secret-key"],
        "DB_HOST": "db.example.com",
        "DB_NAME": "mysite",
        "DB_PW": SECRETS["database-password"],
        "DB_PORT": "5432",
        "DB_USER": "mysite",
        "HOSTS": os.environ["ALLOWED_HOSTS"],
        "SHOP_SECRET_KEY": SECRETS["secret-key"],
        "MINE": "mine",
    }
    for name in names:
        monkeypatch.setenv(name, "")  # Restored after the test.
    monkeypatch.setenv("MINE", "mine")
    monkeypatch.setenv(
        "VARIABLE_NAMES",
        "APP_KEY=SECRET_KEY DB_HOST=DATABASE_HOST DB_NAME=DATABASE_NAME DB_PW=DATABASE_PASSWORD "
        "DB_PORT=DATABASE_PORT DB_USER=DATABASE_USER HOSTS=ALLOWED_HOSTS MINE=DEBUG",
    )

    set_default_variables(SECRETS)

    assert names.items() <= os.environ.items()
    assert not any(
        secret in describe(ValueError(secret))
        for secret in SECRETS.values()
        if secret in names.values()
    )
    secret_names.clear()


def test_database_that_was_read_from_the_url_is_not_replaced(deployed: dict[str, str]) -> None:
    set_default_variables(SECRETS)
    url = urlsplit(os.environ["DATABASE_URL"])
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username,
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname,
        "PORT": url.port,  # A number, as in django-environ and dj-database-url.
        "OPTIONS": {"sslmode": "require"},
    }

    assert 'DATABASES["default"]' not in replaced(DATABASES={"default": database})


SETTINGS = """
import os

DATABASE_URL = os.environ["DATABASE_URL"]
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
USE_DEBUG_TOOLS = os.environ["DEBUG"] != "False"
"""


def test_settings_module_finds_the_variables(
    run_deployed: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    (tmp_path / "own_settings.py").write_text(SETTINGS)
    code = f"""
import json, sys
sys.path.insert(0, {str(tmp_path)!r})
from djambda.aws import configure_settings_module
configure_settings_module()
import own_settings
print(json.dumps([own_settings.SECRET_KEY, own_settings.USE_DEBUG_TOOLS]))
"""

    completed = run_deployed(code, DJANGO_SETTINGS_MODULE="own_settings")

    assert completed.returncode == 0, completed.stderr
    assert json.loads(completed.stdout) == [SECRETS["secret-key"], False]


def keep_snapshot(aws: FakeAws, **stored: str) -> int:
    """Store a snapshot with the id "abc", and return the number of its parameters."""
    pieces = pack({name.replace("__", "/"): value for name, value in stored.items()})
    for number, piece in enumerate(pieces, 1):
        aws.parameters[f"{SECRETS_PATH}/versions/abc/{number}"] = piece
    return len(pieces)


@pytest.mark.parametrize("snapshot", ["abc", ""])
def test_own_variables_are_set_before_the_settings_module_is_imported(
    run_deployed: Callable[..., CompletedProcess[str]], tmp_path: Path, aws: FakeAws, snapshot: str
) -> None:
    values = {"OWN_COLOR": "a\n'$\" {{x}} ä", "OWN_EMPTY": "", "SECRET_KEY": "own key"}
    stored = {}
    for name, value in values.items():
        kind = "secret" if name == "SECRET_KEY" else "env"
        stored[f"{kind}/{name}"] = encode(value)
    stored["env/POSTGRES_DB"] = encode("reserved")
    if snapshot:
        keep_snapshot(aws, **stored)
        stored = {"env/OWN_COLOR": encode("newer"), "env/OWN_NEW": encode("newer")}
    aws.parameters |= {f"{SECRETS_PATH}/{name}": value for name, value in stored.items()}
    (tmp_path / "own_settings.py").write_text("import os\nENVIRON = dict(os.environ)\n")
    code = f"""
import json, sys
sys.path.insert(0, {str(tmp_path)!r})
from djambda.aws import configure_settings_module
configure_settings_module()
import own_settings
print(json.dumps(own_settings.ENVIRON))
"""

    completed = run_deployed(
        code, DJANGO_SETTINGS_MODULE="own_settings", VARIABLES_SNAPSHOT=snapshot
    )

    assert completed.returncode == 0, completed.stderr
    environ = json.loads(completed.stdout)
    assert values.items() <= environ.items()
    assert environ["POSTGRES_DB"] == "mysite"
    assert environ["DJANGO_SECRET_KEY"] == SECRETS["secret-key"]
    assert "OWN_NEW" not in environ


def test_version_without_variables_does_not_read_newer_ones(
    deployed: dict[str, str], aws: FakeAws
) -> None:
    aws.parameters[f"{SECRETS_PATH}/env/OWN_NEW"] = encode("newer")

    assert deployment_secrets(SECRETS_PATH)().keys() == {"database-password", "secret-key"}
    assert aws.requests == ["GetParameters"]


@pytest.mark.parametrize(("size", "requests"), [(30, 1), (1500, 2), (4000, 4)])
def test_snapshot_is_read_in_few_requests(
    deployed: dict[str, str],
    aws: FakeAws,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    requests: int,
) -> None:
    monkeypatch.setenv("VARIABLES_SNAPSHOT", "abc")
    values = {f"secret__NAME_{number}": token_hex(size) for number in range(20)}
    keep_snapshot(aws, **values)

    read = deployment_secrets(SECRETS_PATH)()

    assert aws.requests == ["GetParameters"] * requests
    assert {name: read[name.replace("__", "/")] for name in values} == values


def test_missing_snapshot_keeps_the_version_from_starting(
    deployed: dict[str, str], aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIABLES_SNAPSHOT", "abc")
    aws.parameters[f"{SECRETS_PATH}/env/OWN_COLOR"] = encode("red")

    with pytest.raises(ImproperlyConfigured, match="versions/abc/1"):
        deployment_secrets(SECRETS_PATH)()


def test_failure_to_start_does_not_show_secrets(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE", "")  # Restored after the test.
    set_own_variables({"secret/STRIPE": encode("sk_live_1")})

    assert "sk_live_1" not in describe(ValueError("invalid: 'sk_live_1'"))
    secret_names.clear()
