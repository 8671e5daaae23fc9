"""The record of a task in the assets bucket, as the runtime writes it and `djambda tasks` reads it.

A record is JSON at `record_key(id)`. Times are in ISO 8601 and UTC; unknown values are null. A task
that has failed also has an empty object at `failed_key(id)`.
"""

from collections.abc import Mapping
from typing import Any

from djambda_common.names import FAILED_TASKS_PREFIX, TASK_ATTEMPTS, TASKS_PREFIX

READY, FAILED, SUCCESSFUL = "READY", "FAILED", "SUCCESSFUL"
FINISHED = (FAILED, SUCCESSFUL)

type Record = dict[str, Any]


def record_key(task_id: str) -> str:
    """Return the key of a task's record."""
    return f"{TASKS_PREFIX}{task_id}.json"


def failed_key(task_id: str) -> str:
    """Return the key of the marker of a task that has failed."""
    return f"{FAILED_TASKS_PREFIX}{task_id}"


def new_record(task_id: str, values: Mapping[str, Any]) -> Record:
    """Return the record of a task that has not started, with the values that are known.

    `limit` is the number of attempts after which the task has failed.
    """
    return {
        "id": task_id,
        "task": None,
        "args": [],
        "kwargs": {},
        "queue": "default",
        "priority": 0,
        "backend": "default",
        "status": READY,
        "enqueued_at": None,
        "run_after": None,
        "started_at": None,
        "finished_at": None,
        "attempts": 0,
        "limit": TASK_ATTEMPTS,
        "version": None,
        "worker_ids": [],
        "errors": [],
        "return_value": None,
        **values,
    }


def event_task_id(task: object, request_id: str) -> str:
    """Return the id of the task in an event's `task`.

    An event that names only a function, such as a schedule's, has none; Lambda's retries of it have
    the same request ID.
    """
    fields = task if isinstance(task, dict) else {}
    for name in ("id", "load", "retry"):
        if isinstance(fields.get(name), str):
            return str(fields[name])
    return request_id.replace("-", "")


def add_error(record: Record, error: Mapping[str, str | None], *, is_last: bool) -> None:
    """Add an error, whose `at` is the end of the attempt, to a record."""
    record["errors"] = [*record["errors"], dict(error)]
    record["status"] = FAILED if is_last else READY
    record["finished_at"] = error["at"] if is_last else None
