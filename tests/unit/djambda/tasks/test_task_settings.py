"""The settings of tasks on AWS."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from django import VERSION

from djambda.replaced_settings import REPLACED
from djambda.tasks.task_settings import FIRST_WITH_TASKS
from tests.unit.djambda.conftest import configured

IMMEDIATE = {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}
OWN = {"BACKEND": "django_tasks_db.DatabaseBackend"}
NATIVE, BACKPORT = (f"djambda.tasks.{name}.Backend" for name in ("native", "backport"))
DEFAULT = NATIVE if VERSION >= FIRST_WITH_TASKS else BACKPORT

pytestmark = pytest.mark.usefixtures("deployed")


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJAMBDA_TASKS", "direct")


def test_project_without_the_setting() -> None:
    settings = configured()

    assert settings["TASKS"] == {"default": {"BACKEND": DEFAULT}}
    assert settings["INSTALLED_APPS"][-1] == "djambda.tasks"
    assert 'TASKS["default"]' not in settings.get(REPLACED, {})


def test_backend_of_development_is_replaced_and_recorded() -> None:
    settings = configured(TASKS={"default": {**IMMEDIATE, "QUEUES": ["a"]}, "other": IMMEDIATE})

    assert settings["TASKS"] == {
        "default": {"BACKEND": DEFAULT, "QUEUES": ["a"]},
        "other": IMMEDIATE,
    }
    assert 'TASKS["default"]' in settings[REPLACED]


def test_own_backend_is_kept() -> None:
    settings = configured(TASKS={"default": OWN})

    assert settings["TASKS"] == {"default": OWN}
    assert "djambda.tasks" not in settings["INSTALLED_APPS"]


def test_project_with_the_backport() -> None:
    settings = configured(INSTALLED_APPS=["django_tasks"])

    assert settings["TASKS"]["default"]["BACKEND"] == BACKPORT


def test_old_django_without_the_backport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("djambda.tasks.task_settings.VERSION", (5, 2))
    monkeypatch.setattr("djambda.tasks.task_settings.find_spec", lambda _name: None)

    with pytest.raises(Exception, match="django-tasks"):
        configured()


def test_project_without_tasks_imports_nothing_for_them(
    run_deployed: Callable[..., subprocess.CompletedProcess[Any]],
) -> None:
    code = (
        "import sys, djambda.awslambda\n"
        "print([name for name in sys.modules if 'tasks' in name and 'asyncio' not in name])"
    )

    result = run_deployed(code)

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
