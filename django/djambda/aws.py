"""Settings for AWS: `configure` adds them to the project's settings module.

The handler calls it before Django reads the module. A project may also call it, as the last
statement of its settings: `configure(globals())`.

The stack describes the deployment in the function's environment variables and stores the secrets in
SSM. This module converts both to Django settings. Without SECRETS_PATH, which only deployed
functions have, it does nothing.

The project's value of a setting wins, unless it cannot work on Lambda. Those that are replaced are
recorded for the deploy to list: see `djambda.replaced_settings`.
"""

import logging
import os
from collections.abc import MutableMapping
from importlib import import_module
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from djambda.bucket import bucket_url, use_bucket
from djambda.content_security_policy import extend_policies
from djambda.database_settings import use_database
from djambda.default_variables import set_default_variables, set_own_variables
from djambda.gateway_settings import use_gateway
from djambda.ipv4_hosts import watch_lookups
from djambda.logs import protect
from djambda.parameters import deployment_secrets
from djambda.replaced_settings import record, replace
from djambda.temporary_files import use_temporary_folder
from djambda_common.names import (
    BUILD_ID_VARIABLE,
    DATABASE_PASSWORD,
    EGRESS_VARIABLE,
    SECRET_KEY,
    SENDER_VARIABLE,
    TASKS_VARIABLE,
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

MAIL_ADMINS = {
    "level": "ERROR",
    "filters": ["not_debug"],
    "class": "django.utils.log.AdminEmailHandler",
}

CONFIGURED = "DJAMBDA_CONFIGURED"
"""The setting with the name of the module that was configured: `from .base import *` copies it to
others, which are not configured yet."""

LEAST_KEY_LENGTH = 12
"""Characters from which another setting that equals the project's SECRET_KEY is a copy of it."""


def is_deployed() -> bool:
    """Return whether this is a deployed function, on AWS or in the local cloud."""
    return bool(os.environ.get("SECRETS_PATH"))


def configure(settings: MutableMapping[str, Any]) -> None:
    """Add the settings of the deployed environment to a settings module's `globals()`.

    A second call changes nothing. Raises `ImproperlyConfigured` that names all missing variables,
    or if the secrets cannot be read.
    """
    module = settings.get("__name__", "")
    if not is_deployed() or settings.get(CONFIGURED) == module:
        return
    settings[CONFIGURED] = module
    _require(REQUIRED)
    secrets = deployment_secrets(os.environ["SECRETS_PATH"])()
    _use_apps(settings)
    _use_secret_key(settings, secrets[SECRET_KEY])
    replace(
        settings,
        "DEBUG",
        os.environ.get("DEBUG", "").lower() in {"1", "true"},
        "the deployment's variable DEBUG decides",
    )
    use_database(settings, secrets[DATABASE_PASSWORD])
    use_bucket(settings)
    extend_policies(settings, bucket_url())
    use_gateway(settings, local=os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"))
    if sender := os.environ.get(SENDER_VARIABLE):
        from djambda.mail.settings import use_mail  # noqa: PLC0415 (most sites send no mail)

        use_mail(settings, sender)
    if os.environ.get(EGRESS_VARIABLE):
        from djambda import egress  # noqa: PLC0415 (only with `EGRESS=proxy`)

        egress.use_hosts(settings)
    if os.environ.get(TASKS_VARIABLE):
        from djambda.tasks.task_settings import use_tasks  # noqa: PLC0415 (few projects need it)

        use_tasks(settings)
    use_temporary_folder(settings)
    _use_lambda_log(settings)


def configure_settings_module() -> None:
    """Configure the settings module of `DJANGO_SETTINGS_MODULE`, before Django reads it."""
    if is_deployed():
        _require(REQUIRED)
        watch_lookups()
        if os.environ.get(EGRESS_VARIABLE):
            from djambda import egress  # noqa: PLC0415 (only with `EGRESS=proxy`)

            egress.install()
        parameters = deployment_secrets(os.environ["SECRETS_PATH"])()
        set_own_variables(parameters)
        set_default_variables(parameters)
        configure(vars(import_module(os.environ["DJANGO_SETTINGS_MODULE"])))


def _require(names: tuple[str, ...]) -> None:
    if missing := [name for name in names if not os.environ.get(name)]:
        raise ImproperlyConfigured(
            f"The function's environment lacks {', '.join(missing)}. The stack sets these "
            "variables: deploy again, or set them in the function's configuration."
        )


def _use_apps(settings: MutableMapping[str, Any]) -> None:
    """Install the apps that have the commands of a release."""
    apps = list(settings.get("INSTALLED_APPS", ()))
    if "djambda" not in apps:
        apps.insert(0, "djambda")
    # Also as a config of the project, as Django's documentation names it: MyStaticFilesConfig.
    if not any("staticfiles" in app.lower() for app in apps):
        apps.append("django.contrib.staticfiles")
    settings["INSTALLED_APPS"] = apps


def _use_secret_key(settings: MutableMapping[str, Any], key: str) -> None:
    """Set the generated key, including settings such as SIMPLE_JWT that copy the project's key."""
    project = settings.get("SECRET_KEY")
    replace(settings, "SECRET_KEY", key, "the deployment has a generated key")
    if not isinstance(project, str) or len(project) < LEAST_KEY_LENGTH or project == key:
        return
    for name in [name for name in settings if name.isupper() and name != "SECRET_KEY"]:
        value = _substitute(settings[name], project, key)
        if value != settings[name]:
            record(settings, name, "it had a copy of the project's SECRET_KEY")
            settings[name] = value


def _substitute(value: Any, old: str, new: str) -> Any:
    """Return `value` with `new` in place of each string in it that equals `old`."""
    if isinstance(value, str):
        return new if value == old else value
    if type(value) is dict:
        return {name: _substitute(part, old, new) for name, part in value.items()}
    if type(value) in {list, tuple, set}:
        return type(value)(_substitute(part, old, new) for part in value)
    return value


def _use_lambda_log(settings: MutableMapping[str, Any]) -> None:
    """Send Django's log to Lambda's root handler, unless the project configures logging.

    ADMINS get emails about errors, as they do with Django's own logging.
    """
    admins = {"mail_admins": MAIL_ADMINS} if settings.get("ADMINS") else {}
    settings.setdefault(
        "LOGGING",
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"not_debug": {"()": "django.utils.log.RequireDebugFalse"}},
            "handlers": admins,
            # Without the console, which would log every record twice.
            "loggers": {"django": {"handlers": list(admins), "level": "INFO"}},
        },
    )
    for handler in logging.getLogger().handlers:
        protect(handler)
