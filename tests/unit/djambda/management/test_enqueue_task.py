"""`enqueue_task` enqueues a project's task, as a schedule does."""

import io
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from djambda.management.commands import enqueue_task


def task(*, traceback: str = "", finished: bool = False) -> Any:
    """A task as Django 6 and the package `django-tasks` have it; Django 5.2 has none."""
    errors = [SimpleNamespace(traceback=traceback)] if traceback else []
    result = SimpleNamespace(id="the-id", is_finished=finished, errors=errors)
    return SimpleNamespace(enqueue=lambda: result)


succeed = task()
fail = task(traceback="RuntimeError: no polls", finished=True)


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with the tasks and with a plain function."""
    module = ModuleType("project_tasks")
    vars(module).update(succeed=succeed, fail=fail, plain=len)
    monkeypatch.setitem(sys.modules, "project_tasks", module)


def enqueue(path: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(enqueue_task.Command(), path, stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), f"{err.getvalue()}{error}"
    return out.getvalue(), err.getvalue()


def test_id_is_printed() -> None:
    out, err = enqueue("project_tasks.succeed")

    assert (out, err) == ("Enqueued project_tasks.succeed: the-id\n", "")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("project_tasks.missing", "cannot be imported"),
        ("no_such_module.task", "cannot be imported"),
        ("plain", "cannot be imported"),
        ("project_tasks.plain", "@task"),
        ("project_tasks.fail", "no polls"),
    ],
)
def test_failure_is_explained(path: str, message: str) -> None:
    out, err = enqueue(path)

    assert out == ""
    assert message in err
