"""Send a task to Lambda: write its record, and invoke the function asynchronously.

Both requests are in progress at the same time. Sending a task twice is safe, because tasks may run
more than once anyway, and have the same id.
"""

import json
import logging
import os
import time
from http import HTTPStatus
from typing import Any

from djambda.tasks import store
from djambda_common.aws_api import (
    NotSent,
    OutcomeUnknown,
    Request,
    Sent,
    encoded,
    error_of,
    send,
)
from djambda_common.http_connection import Response
from djambda_common.names import TASKS_ALIAS
from djambda_common.task_record import Record

logger = logging.getLogger(__name__)

MAX_EVENT = 1_000_000
"""Bytes of an asynchronous invocation, below Lambda's 1 MB. Larger tasks are only in the bucket.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

TIMEOUT = 5.0
PAUSES = (0.1, 0.5)

EVENT_FIELDS = (
    *("id", "task", "args", "kwargs", "queue", "priority", "backend"),
    *("enqueued_at", "run_after"),
)


class TaskNotSent(Exception):  # noqa: N818 (an outcome)
    """The task was not enqueued; the message says why."""


def send_task(record: Record) -> None:
    """Send a task. Raises `TaskNotSent` if AWS did not accept it."""
    event = json.dumps({"task": {name: record[name] for name in EVENT_FIELDS}}).encode()
    if len(event) > MAX_EVENT:
        try:
            store.create(record)
        except store.StoreError as error:
            raise _not_sent(record, error) from error
        _invoke_with_retries(record, json.dumps({"task": {"load": record["id"]}}).encode())
        return
    creation = _begin_to_create(record)
    try:
        _invoke_with_retries(record, event)
    finally:
        if creation is not None:
            _finish_creation(record, creation)


def _begin_to_create(record: Record) -> Sent | None:
    try:
        return store.begin_to_create(record)
    except NotSent as error:
        _warn(record, error)
        return None


def _finish_creation(record: Record, creation: Sent) -> None:
    """The event has everything that the task needs, so that it runs without the record, too."""
    try:
        status = creation.response().status
    except OutcomeUnknown as error:
        _warn(record, error)
        return
    if status >= HTTPStatus.BAD_REQUEST and status != HTTPStatus.PRECONDITION_FAILED:
        _warn(record, f"HTTP {status}")


def _warn(record: Record, reason: object) -> None:
    logger.warning(
        "Task %s (%s) has no record until it has run: %s", record["id"], record["task"], reason
    )


def _invoke_with_retries(record: Record, event: bytes) -> None:
    error: Any = None
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        try:
            response = _invoke(event)
        except (NotSent, OutcomeUnknown) as failure:
            error = failure
            continue
        if response.status == HTTPStatus.ACCEPTED:
            return
        error = f"HTTP {response.status} {': '.join(filter(None, error_of(response)))}"
        if response.status < HTTPStatus.INTERNAL_SERVER_ERROR and (
            response.status != HTTPStatus.TOO_MANY_REQUESTS
        ):
            break
    raise _not_sent(record, error)


def _invoke(event: bytes) -> Response:
    function = f"{os.environ['AWS_LAMBDA_FUNCTION_NAME']}:{TASKS_ALIAS}"
    path = f"/2015-03-31/functions/{encoded(function)}/invocations"
    headers = {"Content-Type": "application/json", "X-Amz-Invocation-Type": "Event"}
    return send("lambda", Request("POST", path, headers, event), timeout=TIMEOUT).response()


def _not_sent(record: Record, reason: object) -> TaskNotSent:
    return TaskNotSent(
        f"Task {record['id']} ({record['task']}) was not enqueued, because AWS did not accept it: "
        f"{reason}. Enqueue it again."
    )
