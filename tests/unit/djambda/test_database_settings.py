"""The settings of the deployed database."""

import subprocess
from collections.abc import Callable

import pytest

from djambda.replaced_settings import REPLACED
from tests.unit.djambda.conftest import SECRETS, configured, replaced

TIMEOUTS = {
    "keepalives_count": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "tcp_user_timeout": 5000,
}


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
        "OPTIONS": {"sslmode": "require", **TIMEOUTS},
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
        "sslmode": "verify-full",
        **TIMEOUTS,
    }


@pytest.mark.parametrize("age", [None, 600, 51])
def test_connections_are_closed_before_the_server_does(
    deployed: dict[str, str], age: int | None
) -> None:
    project = {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": age}

    assert configured(DATABASES={"default": project})["DATABASES"]["default"]["CONN_MAX_AGE"] == 50


def test_unusable_settings_of_the_database_are_recorded(deployed: dict[str, str]) -> None:
    project = {
        "ENGINE": "django.db.backends.postgresql",
        "PASSWORD": "own-password",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": {"pool": {"min_size": 2}, "service": "own", "sslmode": "disable"},
    }

    record = replaced(DATABASES={"default": project})

    default = 'DATABASES["default"]'
    assert record.keys() == {
        default,
        *(f'{default}["{part}"]' for part in ("CONN_MAX_AGE", "CONN_HEALTH_CHECKS")),
        *(f'{default}["OPTIONS"]["{part}"]' for part in ("pool", "service", "sslmode")),
    }
    assert "own-password" not in str(record)


@pytest.mark.parametrize(
    "engine",
    [
        "django.contrib.gis.db.backends.postgis",
        "django_prometheus.db.backends.postgresql",
        "django_tenants.postgresql_backend",
        "psqlextra.backend",
    ],
)
def test_derived_engines_are_kept(deployed: dict[str, str], engine: str) -> None:
    settings = configured(DATABASES={"default": {"ENGINE": engine, "OPTIONS": {"own": 1}}})

    assert settings["DATABASES"]["default"]["ENGINE"] == "djambda.db"
    assert settings["DATABASES"]["default"]["OPTIONS"]["own"] == 1
    assert settings["DJAMBDA_DATABASE_ENGINE"] == engine
    assert REPLACED not in settings


@pytest.mark.parametrize("engine", ["django.db.backends.sqlite3", "django.db.backends.mysql"])
def test_engines_of_other_databases_are_replaced(deployed: dict[str, str], engine: str) -> None:
    settings = configured(
        DATABASES={"default": {"ENGINE": engine, "NAME": "db.sqlite3"}}, INSTALLED_APPS=("own",)
    )

    assert settings["DJAMBDA_DATABASE_ENGINE"] == "django.db.backends.postgresql"
    assert 'DATABASES["default"]["ENGINE"]' in settings[REPLACED]
    assert settings["INSTALLED_APPS"][:2] == ["djambda", "own"]
    assert "django.contrib.postgres" in settings["INSTALLED_APPS"]


def test_projects_for_postgresql_choose_their_apps(deployed: dict[str, str]) -> None:
    databases = {"default": {"ENGINE": "django.db.backends.postgresql"}}

    settings = configured(DATABASES=databases, INSTALLED_APPS=["own"])

    assert "django.contrib.postgres" not in settings["INSTALLED_APPS"]


DERIVED_ENGINE = """
import sys, types
from django.db.backends.postgresql import base

class DatabaseWrapper(base.DatabaseWrapper):
    own = True

package = types.ModuleType("own_postgresql")
package.__path__ = []
package.base = types.ModuleType("own_postgresql.base")
package.base.DatabaseWrapper = DatabaseWrapper
sys.modules |= {"own_postgresql": package, "own_postgresql.base": package.base}

import shop.settings
from djambda.aws import configure_settings_module
configure_settings_module()
shop.settings.DATABASES["default"]["OPTIONS"] = {}
from django.conf import settings
settings.DJAMBDA_DATABASE_ENGINE = "own_postgresql"
from django.db import connection
print(connection.own, connection.vendor, hasattr(connection, "get_new_connection"))
"""


def test_derived_engine_waits_for_the_database_too(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    process = run_deployed(DERIVED_ENGINE)

    assert process.stdout == "True postgresql True\n", process.stderr


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
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGPORT", "54321")
    project = {
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": {"sslmode": "verify-full", "sslrootcert": "global-bundle.pem"},
    }

    database = configured(DATABASES={"default": project})["DATABASES"]["default"]

    assert database["PORT"] == ""
    assert not {"sslmode", "sslrootcert"} & set(database["OPTIONS"])
