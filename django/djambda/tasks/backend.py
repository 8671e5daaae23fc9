"""The backend of Django's task framework, without its base class.

`native.py` and `backport.py` derive it from those of `django.tasks` (Django 6) and of the package
`django-tasks` (Django 5.2), which differ in little more than their names. A project can use both:
Wagtail has tasks of the package on each version of Django. They share the setting TASKS.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Self

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string

from djambda.tasks import store
from djambda.tasks.outbox import deliver
from djambda.tasks.sending import check_record_remains
from djambda_common.task_record import Record, new_record

TASK_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
ID_LENGTH = 32


BACKENDS = {"django.tasks.base": "native", "django_tasks.base": "backport"}
"""The modules of the two classes of tasks, and those of their backends."""


class TaskMissing(Exception):  # noqa: N818 (an outcome)
    """The function of a task does not exist, or is not a task."""


class WorkerLost(Exception):  # noqa: N818 (an outcome)
    """An attempt has ended without an exception of the task's; the traceback says how."""


class LambdaBackend:
    """Runs tasks in invocations of their own of the Django function.

    `base` and `signals` are the framework's modules, the others parts of it.
    """

    supports_async_task = True
    supports_defer = True
    supports_get_result = True

    base: Any
    signals: Any
    missing_result: Any
    invalid_task: Any
    normalize_json: Any

    alias: str
    queues: set[str]
    options: dict[str, Any]

    def of(self, task: Any) -> Self:
        """Return the backend for the framework of a task, which may be the other one."""
        if isinstance(task, self.base.Task):
            return self
        module = import_module(f"djambda.tasks.{_framework(task)}")
        params = {"QUEUES": self.queues, "OPTIONS": self.options}
        backend: Self = module.Backend(self.alias, params)
        return backend

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Send a task, when the open transaction commits.

        Raises `TypeError` or `ValueError` if an argument is not JSON, the framework's error for
        invalid tasks if no worker could import the task, and `TaskNotSent` if AWS refuses it.
        """
        if (backend := self.of(task)) is not self:
            return backend.enqueue(task, args, kwargs)
        self.validate_task(task)  # type: ignore[attr-defined]
        record = new_record(
            get_random_string(ID_LENGTH),
            {
                "task": task.module_path,
                "queue": task.queue_name,
                "priority": task.priority,
                "backend": self.alias,
                "enqueued_at": iso(timezone.now()),
                "run_after": iso(task.run_after),
            },
        )
        self._require_path(task, record)
        try:
            result = self.result_of(record, task, args, kwargs)
            record |= {"args": result.args, "kwargs": result.kwargs}
            _require_json(record)
        except (TypeError, ValueError, RecursionError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"{error}. The arguments of {task.module_path} must be JSON: pass the primary "
                "key of a model instance, and dates as text."
            ) from None
        check_record_remains(record)
        deliver(record)
        self.signals.task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> Any:
        """Return the result of a task, whose transaction has committed."""
        record = store.load(result_id) if TASK_ID.fullmatch(str(result_id)) else None
        if record is None:
            raise self.missing_result(result_id)
        try:
            task = self.task_of(record)
        except TaskMissing as error:
            raise self.missing_result(f"{result_id}: {error}") from error
        return self.of(task).result_of(record, task)

    def _require_path(self, task: Any, record: Record) -> None:
        """Raise the framework's error unless a worker finds the task by its path."""
        try:
            found = self.task_of(record).func
        except TaskMissing as error:
            reason = str(error)
        else:
            reason = "" if found is task.func else f"{task.module_path} is another task"
        if reason:
            raise self.invalid_task(
                f"A worker could not run this task: {reason}. Define the task in a module, not in "
                "a class, and give it the name of its function."
            )

    def task_of(self, record: Record) -> Any:
        """Return the task of a record. Raises `TaskMissing`."""
        path = str(record["task"])
        try:
            task = import_string(path)
        except ImportError as error:
            raise TaskMissing(f"{path} does not exist: {error}") from error
        if _framework(task) is None:
            raise TaskMissing(f"{path} is not a task: decorate it with @task")
        try:
            return task.using(
                priority=record["priority"],
                queue_name=record["queue"],
                run_after=parse(record["run_after"]),
                backend=record["backend"],
            )
        except Exception as error:
            raise TaskMissing(f"{path} cannot run with these settings: {error}") from error

    def normalize(self, value: Any) -> Any:
        """Return a return value as JSON has it. Raises `TypeError` or `ValueError`."""
        normalized = type(self).normalize_json(value)
        json.dumps(normalized, allow_nan=False)
        return normalized

    def result_of(
        self,
        record: Record,
        task: Any,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the framework's result of a record, by default with the record's arguments."""
        result = self.base.TaskResult(
            task=task,
            id=record["id"],
            status=self.base.TaskResultStatus(record["status"]),
            enqueued_at=parse(record["enqueued_at"]),
            started_at=parse(record["started_at"]),
            finished_at=parse(record["finished_at"]),
            last_attempted_at=parse(record.get("last_attempted_at")),
            args=record["args"] if args is None else list(args),
            kwargs=record["kwargs"] if kwargs is None else dict(kwargs),
            backend=self.alias,
            errors=[
                self.base.TaskError(
                    exception_class_path=_class_path(error["exception_class"]),
                    traceback=error["traceback"],
                )
                for error in record["errors"]
            ],
            worker_ids=list(record["worker_ids"]),
        )
        object.__setattr__(result, "_return_value", record["return_value"])
        return result


def _require_json(record: Record) -> None:
    """Raise `TypeError` or `ValueError` if a worker would get other arguments."""
    stored = json.loads(store.encode(record))
    if any(stored[name] != record[name] for name in ("args", "kwargs")):
        raise TypeError("A dictionary has keys that are not strings")


def _class_path(name: str) -> str:
    """Return the path of an exception's class; errors of Lambda have none of their own."""
    package, dot, _ = name.partition(".")
    if dot and (package in sys.modules or find_spec(package)):
        return name
    return f"{WorkerLost.__module__}.{WorkerLost.__qualname__}"


def _framework(found: Any) -> str | None:
    """Return the framework of a task, None for another object."""
    modules = [each.__module__ for each in type(found).__mro__ if each.__name__ == "Task"]
    return next((BACKENDS[module] for module in modules if module in BACKENDS), None)


def iso(moment: datetime | None) -> str | None:
    """Return a time in ISO 8601 and UTC."""
    if moment is None:
        return None
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
    return moment.astimezone(UTC).isoformat()


def parse(text: str | None) -> datetime | None:
    """Return the time of a record, as the project's USE_TZ wants it."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if settings.USE_TZ else timezone.make_naive(moment)
