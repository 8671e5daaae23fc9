"""The settings of the deployed database: the project's, changed to the deployment's server."""

import os
import re
from collections.abc import Mapping
from typing import Any

from djambda.replaced_settings import Settings, record

CONNECTION_SECONDS = 50
"""The age until which a connection is reused: less than the server's `idle_session_timeout` (60 s),
so that a function that was frozen does not use a connection that the server has closed."""

ENGINE = "djambda.db"
POSTGRES = "django.db.backends.postgresql"
POSTGRES_APP = "django.contrib.postgres"
POSTGRES_ENGINE = re.compile(r"postg|psql")
"""In the names of Django's engines for PostgreSQL, and of those that packages derive from them."""

UNUSABLE_OPTIONS = {
    "passfile": "the file is on another machine",
    "service": "its file is on another machine",
    "pool": "a frozen function stops the pool's threads",
}

NAME = 'DATABASES["default"]'


def use_database(settings: Settings, password: str) -> None:
    """Connect the default database to the deployment's server; leave other databases unchanged."""
    databases = settings.get("DATABASES", {})
    project = databases.get("default") or {}
    engine = project.get("ENGINE", POSTGRES)
    if engine != ENGINE:
        if not POSTGRES_ENGINE.search(engine):
            record(settings, f'{NAME}["ENGINE"]', "the deployment's database is PostgreSQL")
            engine = POSTGRES
            _add_lookups(settings)
        settings["DJAMBDA_DATABASE_ENGINE"] = engine
    server = {
        "HOST": os.environ["POSTGRES_SERVICE_HOST"],
        # libpq uses PGPORT only if no port is given.
        "PORT": "" if os.environ.get("PGPORT") else os.environ.get("POSTGRES_SERVICE_PORT", ""),
        "NAME": os.environ["POSTGRES_DB"],
        "USER": os.environ["POSTGRES_USER"],
        "PASSWORD": password,
    }
    if any(str(project.get(name, value)) != value for name, value in server.items()):
        record(settings, NAME, "the server and its credentials are the deployment's")
    settings["DATABASES"] = {
        **databases,
        "default": {
            **project,
            **server,
            "ENGINE": ENGINE,
            "CONN_MAX_AGE": _max_age(settings, project),
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": _options(settings, project),
        },
    }
    if project.get("CONN_HEALTH_CHECKS") is False:
        record(settings, f'{NAME}["CONN_HEALTH_CHECKS"]', "the server closes idle connections")


def _add_lookups(settings: Settings) -> None:
    """Install the app that packages with fields for PostgreSQL require, such as Wagtail's search.

    A project that was written for another database lacks it.
    """
    apps = settings.get("INSTALLED_APPS", ())
    if POSTGRES_APP not in apps:
        settings["INSTALLED_APPS"] = [*apps, POSTGRES_APP]


def _max_age(settings: Settings, project: Mapping[str, Any]) -> int:
    age = project.get("CONN_MAX_AGE", CONNECTION_SECONDS)
    if age is not None and age <= CONNECTION_SECONDS:
        return int(age)
    record(
        settings,
        f'{NAME}["CONN_MAX_AGE"]',
        f"at most {CONNECTION_SECONDS} s, because the server closes idle connections",
    )
    return CONNECTION_SECONDS


def _options(settings: Settings, project: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {
        # In ms: the timeout for a server that has disappeared without closing the connection.
        # https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-PARAMKEYWORDS
        "tcp_user_timeout": 5000,
        # In seconds: the same while the function waits for the result of a statement.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "sslmode": "require",
    }
    if POSTGRES_ENGINE.search(project.get("ENGINE", "")) or project.get("ENGINE") == ENGINE:
        options |= project.get("OPTIONS") or {}
    for name, reason in UNUSABLE_OPTIONS.items():
        if options.pop(name, None):
            record(settings, f'{NAME}["OPTIONS"]["{name}"]', reason)
    if os.environ.get("PGSSLMODE"):  # The local cloud's certificate is self-signed.
        for name in ("sslmode", "sslrootcert"):
            options.pop(name, None)
    elif options["sslmode"] in {"disable", "allow", "prefer"}:
        record(settings, f'{NAME}["OPTIONS"]["sslmode"]', "the server requires TLS")
        options["sslmode"] = "require"
    return options
