"""The settings that AWS brings: an ordinary settings module ends with `configure(globals())`.

The stack describes the deployed environment in the function's environment variables, and keeps the
secrets in SSM. This module turns both into Django settings. Without SECRETS_PATH, that is, anywhere
but in a deployed function, it does nothing.
"""

import logging
import os
from collections.abc import MutableMapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP
from django.utils.functional import SimpleLazyObject

from djambda.logs import JsonSafe
from djambda.parameters import get_parameters
from djambda.prefetch import Prefetched
from djambda.static_manifest import fetch_manifest, manifest_name
from djambda_common.names import (
    DATABASE_PASSWORD,
    SECRET_KEY,
    SECRET_PARAMETERS,
    SUPERUSER_PASSWORD,
)

REQUIRED = (
    "ALLOWED_HOSTS",
    "AWS_REGION",
    "AWS_STORAGE_BUCKET_NAME",
    "POSTGRES_DB",
    "POSTGRES_SERVICE_HOST",
    "POSTGRES_USER",
    "RELEASE",
)

RESUME_SECONDS = 25
"""How long a request waits for a paused database. API Gateway gives up after 29 s."""

CONNECTION_SECONDS = 50
"""How long a connection is used again: less than the server's `idle_session_timeout` (60 s), so
that a function which was frozen meanwhile does not write into a connection that is gone."""

SIGNED_URL_SECONDS = 300

FROM_BUCKET = {"default-src", "font-src", "img-src", "media-src", "script-src", "style-src"}
"""The directives of SECURE_CSP that static files and uploads fall under: where a page may load from
its own site, it may load from the bucket too."""

HSTS_SECONDS = 365 * 24 * 60 * 60


def is_deployed() -> bool:
    """Whether this is a deployed function, on AWS or in the local cloud."""
    return bool(os.environ.get("SECRETS_PATH"))


def configure(settings: MutableMapping[str, Any]) -> None:
    """Puts the deployed environment into a settings module's `globals()`.

    Raises `ImproperlyConfigured` that names every missing variable. Does not wait for the secrets:
    they are on their way when it returns, and each is waited for where it is first used.
    """
    if not is_deployed():
        return
    _require(REQUIRED)
    secrets = Prefetched(_secrets)
    if "djambda" not in settings.get("INSTALLED_APPS", ()):  # The commands of a release.
        settings["INSTALLED_APPS"] = ["djambda", *settings.get("INSTALLED_APPS", ())]
    settings["SECRET_KEY"] = SimpleLazyObject(lambda: secrets()[SECRET_KEY])
    password = SimpleLazyObject(lambda: secrets()[DATABASE_PASSWORD])
    settings["DATABASES"] = {**settings.get("DATABASES", {}), "default": _database(password)}
    _use_bucket(settings)
    _use_gateway(settings)
    _use_lambda_log(settings)


def _require(names: tuple[str, ...]) -> None:
    if missing := [name for name in names if not os.environ.get(name)]:
        raise ImproperlyConfigured(
            f"The function's environment lacks {', '.join(missing)}. The stack sets these: "
            "deploy it again, or set them in the function's configuration."
        )


def _secrets() -> dict[str, str]:
    values = get_parameters(os.environ["SECRETS_PATH"], set(SECRET_PARAMETERS))
    # `createsuperuser --no-input` reads it. It is there in time: the command needs the database
    # first, and so has waited for the password that comes with it.
    os.environ.setdefault("DJANGO_SUPERUSER_PASSWORD", values[SUPERUSER_PASSWORD])
    return values


def _database(password: object) -> dict[str, Any]:
    options: dict[str, Any] = {
        "resume_seconds": RESUME_SECONDS,
        # In ms: how long to wait for a server that has gone without a word.
        # https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-PARAMKEYWORDS
        "tcp_user_timeout": 5000,
    }
    if not os.environ.get("PGSSLMODE"):
        options["sslmode"] = "require"
    return {
        "ENGINE": "djambda.db",
        "HOST": os.environ["POSTGRES_SERVICE_HOST"],
        # libpq takes PGPORT only where no port is given.
        "PORT": "" if os.environ.get("PGPORT") else os.environ.get("POSTGRES_SERVICE_PORT", ""),
        "NAME": os.environ["POSTGRES_DB"],
        "USER": os.environ["POSTGRES_USER"],
        "PASSWORD": password,
        "CONN_MAX_AGE": CONNECTION_SECONDS,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def bucket_url() -> str:
    """Where the assets bucket is for a browser, without a slash at the end."""
    bucket, region = os.environ["AWS_STORAGE_BUCKET_NAME"], os.environ["AWS_REGION"]
    if local := os.environ.get("AWS_ENDPOINT_URL"):
        return f"{local.rstrip('/')}/{bucket}"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{bucket}.s3.dualstack.{region}.{domain}"


def _use_bucket(settings: MutableMapping[str, Any]) -> None:
    """The storages, and the settings from which django-storages takes the rest."""
    settings["STATIC_URL"] = static_url = f"{bucket_url()}/static/"
    name = manifest_name(os.environ["RELEASE"])
    settings["STORAGES"] = {
        **settings.get("STORAGES", {}),
        "default": {"BACKEND": "djambda.storage_backends.PrivateMediaStorage"},
        "staticfiles": {
            "BACKEND": "djambda.storage_backends.StaticStorage",
            "OPTIONS": {
                "bucket": os.environ["AWS_STORAGE_BUCKET_NAME"],
                "manifest_name": name,
                "manifest": Prefetched(lambda: fetch_manifest(f"{static_url}{name}")),
            },
        },
    }
    settings["AWS_STORAGE_BUCKET_NAME"] = os.environ["AWS_STORAGE_BUCKET_NAME"]
    settings["AWS_S3_REGION_NAME"] = os.environ["AWS_REGION"]
    settings["AWS_S3_SIGNATURE_VERSION"] = "s3v4"
    settings["AWS_QUERYSTRING_EXPIRE"] = SIGNED_URL_SECONDS
    if os.environ.get("AWS_ENDPOINT_URL"):
        settings["AWS_S3_ADDRESSING_STYLE"] = "path"


def _use_gateway(settings: MutableMapping[str, Any]) -> None:
    """Hosts, cookies, and what `manage.py check --deploy` asks of a site behind API Gateway."""
    local = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    hosts = [host.strip() for host in os.environ["ALLOWED_HOSTS"].split(",") if host.strip()]
    if local:
        hosts.append(".localhost")
    settings["ALLOWED_HOSTS"] = [*settings.get("ALLOWED_HOSTS", []), *hosts]
    settings["CSRF_TRUSTED_ORIGINS"] = [
        *settings.get("CSRF_TRUSTED_ORIGINS", []),
        # Not the patterns: other people's sites are below execute-api too.
        *(f"https://{host}" for host in hosts if not host.startswith((".", "*"))),
    ]
    settings["SESSION_COOKIE_SECURE"] = not local
    settings["CSRF_COOKIE_SECURE"] = not local
    settings["SECURE_HSTS_SECONDS"] = HSTS_SECONDS
    settings["SILENCED_SYSTEM_CHECKS"] = [
        *settings.get("SILENCED_SYSTEM_CHECKS", []),
        "security.W005",  # HSTS for sub-domains: those of a custom domain may be anybody's.
        "security.W008",  # SECURE_SSL_REDIRECT: API Gateway does not listen on plain http.
        "security.W021",  # HSTS preload: for the domain's owner to decide.
    ]
    for directive, sources in settings.get("SECURE_CSP", {}).items():
        if directive in FROM_BUCKET and isinstance(sources, list) and CSP.SELF in sources:
            sources.append(f"{bucket_url()}/")


def _use_lambda_log(settings: MutableMapping[str, Any]) -> None:
    """Django's log goes to the handler that Lambda put at the root, unless the project says how."""
    settings.setdefault(
        "LOGGING",
        {
            "version": 1,
            "disable_existing_loggers": False,
            # No handlers of its own: no e-mail to ADMINS, and nothing twice.
            "loggers": {"django": {"handlers": [], "level": "INFO"}},
        },
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(JsonSafe())
