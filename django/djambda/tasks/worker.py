"""Run a task from a Lambda event, once for each delivery, and keep its outcome in its record.

An event is `{"task": {...}}` with one of:
- the fields of a record: "id", "task", "args", "kwargs" ... (only "task" is required);
- "load", the id of a task that is too large for an event;
- "retry", the id of a task that has failed.

Lambda delivers an event again if this function raises an exception, and if the process dies. After
the last delivery, `awslambda/failed_tasks.py` records the failure, unless this module has.
"""

import logging
import time
import traceback
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone
from django.utils.module_loading import import_string

from djambda import deadline
from djambda.request_state import outside_requests
from djambda.tasks import store
from djambda.tasks.backend import LambdaBackend, TaskMissing, iso
from djambda.tasks.outbox import send_left_tasks
from djambda.tasks.timeout_warning import warning_before_timeout
from djambda_common.names import TASK_ATTEMPTS
from djambda_common.task_record import (
    FAILED,
    FINISHED,
    READY,
    SUCCESSFUL,
    Record,
    add_error,
    event_task_id,
    new_record,
)

logger = logging.getLogger(__name__)


EARLY_SECONDS = 60
"""The seconds by which a task may be sent too early: `LEAST_DELAY` of `sending.py`, and the minutes
of EventBridge Scheduler."""

NOT_JSON = (
    "The task has run, and is not retried: its return value is not JSON. Return numbers, text, "
    "lists or dictionaries, or nothing."
)


class BadTaskEvent(ValueError):  # noqa: N818 (as below)
    """The value of `task` describes no task; the message says why."""


class TaskAttemptFailed(Exception):  # noqa: N818 (Lambda shows the name as errorType)
    """The task raised an exception, and Lambda retries it."""


def run_task(message: Any, context: Any, *, is_repeated: bool = False) -> dict[str, Any]:
    """Run the task of an event and return `{"task": id, "status": str}`.

    If it is known that an event `is_repeated`, attempts whose worker was killed also count.

    Raises `BadTaskEvent`, `TaskAttemptFailed` if the task is to be retried, and `StoreError` if its
    record cannot be read.
    """
    _start()
    task_id, record = _record_of(message, context)
    if record["status"] in FINISHED and not ("retry" in message and record["status"] == FAILED):
        logger.info("Task %s has run before (%s) and is not run again", task_id, record["status"])
        return {"task": task_id, "status": record["status"]}
    if record["status"] == FAILED:
        _begin_retry(record)
    attempt = Attempt(record, context)
    if is_repeated and not attempt.count_repetition():
        return {"task": task_id, "status": record["status"]}
    _wait_to_begin(record)
    try:
        with outside_requests(), warning_before_timeout(record, context):
            attempt.run()
        send_left_tasks()
    finally:
        connections.close_all()  # Their sessions may be idle for long, which keeps Aurora awake.
    return {"task": task_id, "status": record["status"]}


def _wait_to_begin(record: Record) -> None:
    """Wait until the time before which a task must not run, if it was sent a little early."""
    if record["run_after"] is None:
        return
    begin = datetime.fromisoformat(record["run_after"]).astimezone(UTC)
    seconds = (begin - datetime.now(UTC)).total_seconds()
    if 0 < seconds <= EARLY_SECONDS:
        time.sleep(seconds)


def _begin_retry(record: Record) -> None:
    """Store that a task that has failed is being retried, so that nobody retries it again."""
    record["status"] = READY
    record["limit"] = record["attempts"] + TASK_ATTEMPTS
    record["finished_at"] = None
    store.save(record)
    store.mark_failed(record["id"], failed=False)


class Attempt:
    """One attempt to run a task."""

    def __init__(self, record: Record, context: Any) -> None:
        self._record = record
        self._context = context
        self._had_failed = bool(record["errors"])

    def run(self) -> None:
        """Call the task's function, and store the outcome. Raises `TaskAttemptFailed`."""
        record = self._record
        now = iso(timezone.now())
        record["started_at"] = record["started_at"] or now
        record["last_attempted_at"] = now
        record["worker_ids"] = [*record["worker_ids"], self._context.aws_request_id]
        record["attempts"] += 1
        record["version"] = self._context.function_version
        try:
            backend = _backend(record)
            task = backend.task_of(record)
        except TaskMissing as error:
            self._give_up(error)
        except Exception as error:
            self._fail(error)
            if record["status"] != FAILED:
                raise self._retry(error) from None
            logger.exception("Task %s (%s) has failed", record["id"], record["task"])
        else:
            self._call(task, backend.of(task))

    def _call(self, task: Any, backend: LambdaBackend) -> None:
        record = self._record
        record["status"] = "RUNNING"
        result = backend.result_of(record, task)
        signals, sender = backend.signals, type(backend)
        context = [backend.base.TaskContext(task_result=result)] if task.takes_context else []
        has_run = False
        try:
            signals.task_started.send(sender, task_result=result)
            value = task.call(*context, *result.args, **result.kwargs)
            has_run = True
            record["return_value"] = backend.normalize(value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 (such as SystemExit, as in Django's backend)
            if has_run:
                error.add_note(NOT_JSON)
            self._fail(error, is_last=has_run)
            if record["status"] == FAILED:
                result = backend.result_of(record, task)
                signals.task_finished.send(sender, task_result=result)
                return
            raise self._retry(error) from None
        record["status"] = SUCCESSFUL
        record["finished_at"] = iso(timezone.now())
        self._save()
        signals.task_finished.send(sender, task_result=backend.result_of(record, task))

    def count_repetition(self) -> bool:
        """Store that this attempt begins, in case its worker is killed, as the last one may be.

        Return False, with the failure stored, if the task has had all its attempts.
        """
        record = self._record
        record["attempts"] = max(1, record["attempts"])
        unknown = record["attempts"] - len(record["worker_ids"])
        record["worker_ids"] = [*record["worker_ids"], *["unknown"] * unknown]
        if record["attempts"] < record["limit"]:
            store.save({**record, "attempts": record["attempts"] + 1})
            return True
        error: dict[str, str | None] = {
            "exception_class": "WorkerKilled",
            "traceback": "The worker ended without a result: it ran out of memory or time, "
            "or was killed. The function's log has the reason.",
            "at": iso(timezone.now()),
            "request_id": self._context.aws_request_id,
        }
        add_error(record, error, is_last=True)
        self._store_failure()
        logger.error("Task %s (%s) has failed: its workers ended", record["id"], record["task"])
        return False

    def _fail(self, error: BaseException, *, is_last: bool = False) -> None:
        is_last = is_last or self._record["attempts"] >= self._record["limit"]
        add_error(self._record, self._describe(error), is_last=is_last)
        self._store_failure()

    def _give_up(self, error: TaskMissing) -> None:
        """Record a task that no retry can run."""
        message = (
            f"{error}. Version {self._record['version']} of the function runs tasks now. If a "
            "deploy or a rollback has removed the task, deploy a version that has it, then run: "
            f"djambda tasks retry {self._record['id']}"
        )
        description = self._describe(error) | {"traceback": message}
        add_error(self._record, description, is_last=True)
        self._store_failure()
        logger.error("Task %s has failed and will not be retried: %s", self._record["id"], message)

    def _describe(self, error: BaseException) -> dict[str, str | None]:
        kind = type(error)
        return {
            "exception_class": f"{kind.__module__}.{kind.__qualname__}",
            "traceback": "".join(traceback.format_exception(error)),
            "at": iso(timezone.now()),
            "request_id": self._context.aws_request_id,
        }

    def _store_failure(self) -> None:
        """Store an error; the record last, because a task with an outcome is not repeated."""
        if self._record["status"] == FAILED:
            store.mark_failed(self._record["id"], failed=True)
        store.save(self._record)

    def _retry(self, error: BaseException) -> TaskAttemptFailed:
        record = self._record
        logger.warning(
            "Task %s (%s) raised an exception and will be retried",
            *(record["id"], record["task"]),
            exc_info=error,
        )
        return TaskAttemptFailed(
            f"Task {record['id']} ({record['task']}) raised {type(error).__qualname__} in attempt "
            f"{record['attempts']} of {record['limit']}. Lambda retries it."
        )

    def _save(self) -> None:
        """Store the success. Without it, the task must not run again because of its record."""
        try:
            store.save(self._record)
            if self._had_failed:
                store.mark_failed(self._record["id"], failed=False)
        except store.StoreError:
            logger.exception(
                "Task %s (%s) has succeeded, but its result could not be stored",
                *(self._record["id"], self._record["task"]),
            )


def _start() -> None:
    """Give the task a command's time for the database, and none of a request's limits."""
    if not deadline.current.is_command:
        connections.close_all()  # Those of requests have other limits.
    deadline.start_command()


def _record_of(message: Any, context: Any) -> tuple[str, Record]:
    """Return the task's id, and its record: the stored one, or a new one from the event."""
    if not isinstance(message, dict) or not {"task", "load", "retry"} & message.keys():
        raise BadTaskEvent(
            'task: expected an object such as {"task": "polls.tasks.close_polls"}, or '
            f'{{"retry": "<id>"}}, got {type(message).__name__}'
        )
    task_id = event_task_id(message, context.aws_request_id)
    stored = store.load(task_id)
    if stored is None and "task" not in message:
        raise BadTaskEvent(
            f"There is no record of task {task_id}. Records are deleted after 30 days."
        )
    if stored is None:
        enqueued_at = {"enqueued_at": iso(timezone.now())}
        stored = new_record(task_id, {**enqueued_at, **message, "id": task_id, "status": READY})
    return task_id, stored


def _backend(record: Record) -> LambdaBackend:
    """Return the backend that has enqueued a task, or the default one."""
    for alias in (record["backend"], "default"):
        options = settings.TASKS.get(alias)
        if options is None:
            continue
        backend = import_string(options["BACKEND"])
        if issubclass(backend, LambdaBackend):
            record["backend"] = alias
            instance: LambdaBackend = backend(alias, options)
            return instance
    raise TaskMissing(
        f'{record["task"]} cannot run: TASKS["default"] is no longer the deployment\'s backend'
    )
