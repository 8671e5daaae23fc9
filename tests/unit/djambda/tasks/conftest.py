"""Fixtures: a deployed function with tasks, whose events tests deliver themselves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from django import VERSION
from django.core.signals import request_finished
from django.db.backends.signals import connection_created
from pytest_django import Settings

from djambda.tasks import outbox, sending, store
from djambda.tasks.task_settings import FIRST_WITH_TASKS
from djambda.tasks.worker import TaskAttemptFailed, run_task
from tests.unit.djambda.conftest import TASKS_ALIAS, FakeAws
from tests.unit.djambda.tasks import functions

FRAMEWORKS = ("native", "backport") if VERSION >= FIRST_WITH_TASKS else ("backport",)


class Context:
    """The context of an invocation."""

    aws_request_id = "0b5c0d3e-6c5e-4d3c-9b1a-1f2e3d4c5b6a"
    function_version = "7"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@dataclass
class Lambda:
    """The asynchronous invocations that wait, and the records in the bucket."""

    aws: FakeAws

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.aws.invocations

    def run(self) -> dict[str, Any]:
        """Deliver the oldest event once."""
        return run_task(self.events.pop(0)["task"], Context())

    def run_to_the_end(self) -> int:
        """Deliver the oldest event as often as Lambda does, and return how often."""
        event = self.events.pop(0)
        for number in (1, 2, 3):
            try:
                run_task(event["task"], Context())
            except TaskAttemptFailed:
                continue
            return number
        raise AssertionError("the worker leaves the failure to Lambda")

    def record(self, task_id: str) -> dict[str, Any]:
        content, _ = self.aws.objects[f"tasks/{task_id}.json"]
        record: dict[str, Any] = json.loads(content)
        return record

    def is_marked(self, task_id: str) -> bool:
        """Return whether the task is among those that have failed."""
        return f"tasks/failed/{task_id}" in self.aws.objects


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def tasks(
    framework: str, deployed: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Yield the module with the tasks of a framework, for a deployed function with tasks."""
    monkeypatch.setenv("DJAMBDA_TASKS", "direct")
    monkeypatch.setenv("DJAMBDA_TASKS_TARGET", TASKS_ALIAS)
    monkeypatch.setenv("DJAMBDA_TASKS_ROLE", "arn:aws:iam::123456789012:role/sender")
    monkeypatch.setattr(store, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(sending, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(outbox, "_with_table", set())
    monkeypatch.setattr(outbox, "_checked_at", 0.0)
    monkeypatch.setattr(outbox, "_connected_at", {})
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "djambda.tasks"]
    settings.TASKS = {"default": {"BACKEND": f"djambda.tasks.{framework}.Backend"}}
    functions.calls.clear()
    yield import_module(f"{functions.__package__}.{framework}_tasks")
    connection_created.disconnect(outbox.remember_connection)
    request_finished.disconnect(outbox.send_left_tasks)


@pytest.fixture
def backend(framework: str) -> ModuleType:
    """Return the module with the backend of a framework."""
    return import_module(f"djambda.tasks.{framework}")


@pytest.fixture
def service(aws: FakeAws) -> Lambda:
    return Lambda(aws)
