"""Settings for AWS: a project's settings module ends with `configure(globals())`.

The stack describes the deployment in the function's environment variables and stores the secrets in
SSM. This module converts both to Django settings. Without SECRETS_PATH, which only deployed
functions have, it does nothing.

The project's value of a setting wins, unless it cannot work on Lambda: the database and its
credentials, the bucket, the secret key and DEBUG are those of the deployment.
"""

import logging
import os
from collections.abc import Mapping, MutableMapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls import get_script_prefix
from django.utils.functional import SimpleLazyObject, lazy

from djambda.bucket import bucket_url, use_bucket
from djambda.logs import protect
from djambda.parameters import get_parameters
from djambda.prefetch import PrefetchedValue
from djambda_common.names import (
    BUILD_ID_VARIABLE,
    DATABASE_PASSWORD,
    SECRET_KEY,
    SECRET_PARAMETERS,
)

REQUIRED = (
    "ALLOWED_HOSTS",
    "AWS_REGION",
    "AWS_STORAGE_BUCKET_NAME",
    "POSTGRES_DB",
    "POSTGRES_SERVICE_HOST",
    "POSTGRES_USER",
    BUILD_ID_VARIABLE,
)

RESUME_SECONDS = 25
"""The time that a request waits for a paused database. API Gateway's timeout is 29 s."""

CONNECTION_SECONDS = 50
"""The age until which a connection is reused: less than the server's `idle_session_timeout` (60 s),
so that a function that was frozen does not use a connection that the server has closed."""

POSTGRES_ENGINES = ("django.db.backends.postgresql", "djambda.db")

UNUSABLE_OPTIONS = {"passfile", "pool", "service"}
"""Options of a database that name files of another machine, or a pool, whose threads a frozen
function stops."""

SITE_PATHS = {
    "LOGIN_URL": "/accounts/login/",
    "LOGIN_REDIRECT_URL": "/accounts/profile/",
    "LOGOUT_REDIRECT_URL": None,
}
"""Settings with a path of the site, and their defaults. Django adds the prefix (`/prod`) to none of
them: https://docs.djangoproject.com/en/6.1/ref/settings/#login-url"""

CSP_SELF = "'self'"
STATIC_DIRECTIVES = {"default-src", "font-src", "manifest-src", "script-src", "style-src"}
UPLOAD_DIRECTIVES = {"img-src", "media-src"}
"""The directives of SECURE_CSP that cover static files only, and those that cover uploads too. If
they allow the site itself, they must allow that part of the bucket; an uploaded script must not
run."""

HSTS_SECONDS = 365 * 24 * 60 * 60


def is_deployed() -> bool:
    """Return whether this is a deployed function, on AWS or in the local cloud."""
    return bool(os.environ.get("SECRETS_PATH"))


def configure(settings: MutableMapping[str, Any]) -> None:
    """Add the settings of the deployed environment to a settings module's `globals()`.

    Secrets are fetched in the background; their first use waits for them. Raises
    `ImproperlyConfigured` that names all missing variables.
    """
    if not is_deployed():
        return
    _require(REQUIRED)
    secrets = PrefetchedValue(_fetch_secrets)
    if "djambda" not in settings.get("INSTALLED_APPS", ()):  # The commands of a release.
        settings["INSTALLED_APPS"] = ["djambda", *settings.get("INSTALLED_APPS", ())]
    settings["SECRET_KEY"] = SimpleLazyObject(lambda: secrets()[SECRET_KEY])
    password = SimpleLazyObject(lambda: secrets()[DATABASE_PASSWORD])
    settings["DEBUG"] = os.environ.get("DEBUG", "").lower() in {"1", "true"}
    databases = settings.get("DATABASES", {})
    settings["DATABASES"] = {
        **databases,
        "default": _database(databases.get("default", {}), password),
    }
    use_bucket(settings)
    _use_gateway(settings)
    _use_lambda_log(settings)


def _require(names: tuple[str, ...]) -> None:
    if missing := [name for name in names if not os.environ.get(name)]:
        raise ImproperlyConfigured(
            f"The function's environment lacks {', '.join(missing)}. The stack sets these "
            "variables: deploy again, or set them in the function's configuration."
        )


def _fetch_secrets() -> dict[str, str]:
    return get_parameters(os.environ["SECRETS_PATH"], set(SECRET_PARAMETERS))


def _database(project: Mapping[str, Any], password: object) -> dict[str, Any]:
    """Return the project's database settings, changed to the deployed server."""
    options: dict[str, Any] = {
        "resume_seconds": RESUME_SECONDS,
        # In ms: the timeout for a server that has disappeared without closing the connection.
        # https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-PARAMKEYWORDS
        "tcp_user_timeout": 5000,
        "sslmode": "require",
    }
    if project.get("ENGINE", "").startswith(POSTGRES_ENGINES):
        options |= {
            name: value
            for name, value in project.get("OPTIONS", {}).items()
            if name not in UNUSABLE_OPTIONS
        }
    if os.environ.get("PGSSLMODE"):
        del options["sslmode"]
    elif options["sslmode"] in {"disable", "allow", "prefer"}:  # The server requires TLS.
        options["sslmode"] = "require"
    age = project.get("CONN_MAX_AGE", CONNECTION_SECONDS)
    return {
        **project,
        "ENGINE": "djambda.db",
        "HOST": os.environ["POSTGRES_SERVICE_HOST"],
        # libpq uses PGPORT only if no port is given.
        "PORT": "" if os.environ.get("PGPORT") else os.environ.get("POSTGRES_SERVICE_PORT", ""),
        "NAME": os.environ["POSTGRES_DB"],
        "USER": os.environ["POSTGRES_USER"],
        "PASSWORD": password,
        "CONN_MAX_AGE": CONNECTION_SECONDS if age is None else min(age, CONNECTION_SECONDS),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def _use_gateway(settings: MutableMapping[str, Any]) -> None:
    """Set hosts, cookies, and what `manage.py check --deploy` requires behind API Gateway."""
    local = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    hosts = [host.strip() for host in os.environ["ALLOWED_HOSTS"].split(",") if host.strip()]
    if local:
        hosts.append(".localhost")
    settings["ALLOWED_HOSTS"] = [*settings.get("ALLOWED_HOSTS", []), *hosts]
    settings["CSRF_TRUSTED_ORIGINS"] = [
        *settings.get("CSRF_TRUSTED_ORIGINS", []),
        # Not the patterns: execute-api has sites of other people, too.
        *(f"https://{host}" for host in hosts if not host.startswith((".", "*"))),
    ]
    settings["SESSION_COOKIE_SECURE"] = not local
    settings["CSRF_COOKIE_SECURE"] = not local
    settings.setdefault("SECURE_HSTS_SECONDS", HSTS_SECONDS)
    if local:
        _use_plain_http(settings)
    _add_prefixes(settings)
    for name in ("SECURE_CSP", "SECURE_CSP_REPORT_ONLY"):
        if name in settings:
            settings[name] = _with_bucket(settings[name])
    settings["SILENCED_SYSTEM_CHECKS"] = [
        *settings.get("SILENCED_SYSTEM_CHECKS", []),
        "security.W005",  # HSTS for subdomains, which may belong to other sites.
        "security.W008",  # SECURE_SSL_REDIRECT: API Gateway does not accept plain HTTP.
        "security.W021",  # HSTS preload: the domain's owner decides.
    ]


def _use_plain_http(settings: MutableMapping[str, Any]) -> None:
    """Change settings that browsers accept only over HTTPS or on the site's own domain."""
    settings["SECURE_SSL_REDIRECT"] = False
    for cookie in ("SESSION_COOKIE", "CSRF_COOKIE", "LANGUAGE_COOKIE"):
        if name := settings.get(f"{cookie}_NAME"):
            settings[f"{cookie}_NAME"] = name.removeprefix("__Secure-").removeprefix("__Host-")
        settings.pop(f"{cookie}_DOMAIN", None)


def _add_prefixes(settings: MutableMapping[str, Any]) -> None:
    """Prepend the request's prefix to the settings that are paths of the site."""

    def prefixed(path: str) -> str:
        prefix = get_script_prefix().rstrip("/")
        return path if path.startswith(f"{prefix}/") and prefix else prefix + path

    for name, default in SITE_PATHS.items():
        path = settings.get(name, default)
        if isinstance(path, str) and path.startswith("/") and not path.startswith("//"):
            settings[name] = lazy(prefixed, str)(path)


def _with_bucket(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a content security policy that allows the bucket where it allows the site."""
    extended = dict(policy)
    for directive in UPLOAD_DIRECTIVES:  # Their fallback must not allow uploads.
        if "default-src" in extended:
            extended.setdefault(directive, extended["default-src"])
    for directive in STATIC_DIRECTIVES | UPLOAD_DIRECTIVES:
        sources = extended.get(directive)
        if isinstance(sources, list | tuple | set | frozenset) and CSP_SELF in sources:
            part = "static/" if directive in STATIC_DIRECTIVES else ""
            extended[directive] = [*sources, f"{bucket_url()}/{part}"]
    return extended


def _use_lambda_log(settings: MutableMapping[str, Any]) -> None:
    """Send Django's log to Lambda's root handler, unless the project configures logging."""
    settings.setdefault(
        "LOGGING",
        {
            "version": 1,
            "disable_existing_loggers": False,
            # No handlers of its own: no email to ADMINS, and no duplicates.
            "loggers": {"django": {"handlers": [], "level": "INFO"}},
        },
    )
    for handler in logging.getLogger().handlers:
        protect(handler)
