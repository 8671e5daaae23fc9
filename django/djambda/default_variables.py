"""The project's own variables, and the deployment in variables that projects commonly read.

Many projects take their database and secret key from the environment, as django-environ and
dj-database-url do, and do not start without them. `djambda.aws` sets these variables before it
imports the project's settings.
"""

import os
from collections.abc import Mapping
from urllib.parse import quote

from djambda_common.names import DATABASE_PASSWORD, NAMES_VARIABLE, SECRET_KEY
from djambda_common.variables import KINDS, SECRET, SECRET_FACTS, decode, default_names, is_reserved

secret_names: set[str] = set()
"""The names of the project's secrets in this process."""


def set_own_variables(parameters: Mapping[str, str]) -> None:
    """Set the variables and secrets of the project in this process's environment."""
    for parameter, stored in parameters.items():
        kind, _, name = parameter.partition("/")
        if kind in KINDS and name and not is_reserved(name):
            os.environ[name] = decode(stored)
            if kind == SECRET:
                secret_names.add(name)


def set_default_variables(secrets: Mapping[str, str]) -> None:
    """Set the variables that are unset or empty in this process's environment."""
    facts = _facts(secrets)
    own = os.environ.get(NAMES_VARIABLE, "").split()
    for name, fact in default_names(os.environ.get("DJANGO_SETTINGS_MODULE", ""), own).items():
        if not os.environ.get(name):
            os.environ[name] = facts[fact]
            if fact in SECRET_FACTS:
                secret_names.add(name)


def _facts(secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the `FACTS`. libpq's own variable wins over the port."""
    environ = os.environ
    return {
        "ALLOWED_HOSTS": environ.get("ALLOWED_HOSTS", ""),
        "DATABASE_HOST": environ["POSTGRES_SERVICE_HOST"],
        "DATABASE_NAME": environ["POSTGRES_DB"],
        "DATABASE_PASSWORD": secrets[DATABASE_PASSWORD],
        "DATABASE_PORT": environ.get("PGPORT") or environ.get("POSTGRES_SERVICE_PORT", ""),
        "DATABASE_URL": _database_url(secrets[DATABASE_PASSWORD]),
        "DATABASE_USER": environ["POSTGRES_USER"],
        "DEBUG": str(environ.get("DEBUG", "").lower() in {"1", "true"}),
        "SECRET_KEY": secrets[SECRET_KEY],
    }


def _database_url(password: str) -> str:
    """Return the database's URL. libpq's own variables win over the port and over TLS."""
    user, name = (quote(os.environ[f"POSTGRES_{part}"], safe="") for part in ("USER", "DB"))
    port = "" if os.environ.get("PGPORT") else os.environ.get("POSTGRES_SERVICE_PORT", "")
    server = os.environ["POSTGRES_SERVICE_HOST"] + f":{port}" * bool(port)
    query = "" if os.environ.get("PGSSLMODE") else "?sslmode=require"
    return f"postgres://{user}:{quote(password, safe='')}@{server}/{name}{query}"
