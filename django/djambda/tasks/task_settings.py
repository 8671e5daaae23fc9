"""Settings for tasks: the deployment's backend replaces those that run a task in the request."""

from collections.abc import MutableMapping
from importlib.util import find_spec
from typing import Any

from django import VERSION
from django.core.exceptions import ImproperlyConfigured

from djambda.replaced_settings import record

APP = "djambda.tasks"
BACKPORT = "django_tasks"
FIRST_WITH_TASKS = (6, 0)

REPLACED = tuple(
    f"{package}.backends.{name}"
    for package in ("django.tasks", BACKPORT)
    for name in ("immediate.ImmediateBackend", "dummy.DummyBackend")
)
"""The backends of development: tasks run in the request, or not at all."""


def use_tasks(settings: MutableMapping[str, Any]) -> None:
    """Set the default backend of tasks unless the project has its own, and install the outbox.

    Raises `ImproperlyConfigured` if the project has no task framework.
    """
    tasks = dict(settings.get("TASKS") or {})
    default = tasks.get("default", {})
    if default.get("BACKEND", REPLACED[0]) not in REPLACED:
        return
    if default:
        record(settings, 'TASKS["default"]', "the deployment runs tasks in the background")
    tasks["default"] = {**default, "BACKEND": f"{APP}.{_framework(settings)}.Backend"}
    settings["TASKS"] = tasks
    settings["INSTALLED_APPS"] = [*settings["INSTALLED_APPS"], APP]


def _framework(settings: MutableMapping[str, Any]) -> str:
    """Return the module with the backends for the framework that the project uses."""
    if BACKPORT in settings["INSTALLED_APPS"] or VERSION < FIRST_WITH_TASKS:
        if find_spec(BACKPORT) is None:
            raise ImproperlyConfigured(
                "The project configures tasks, which this version of Django does not have. Add "
                "django-tasks to the requirements and django_tasks to INSTALLED_APPS."
            )
        return "backport"
    return "native"
