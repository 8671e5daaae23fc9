"""Send a task: write its record, and invoke the function asynchronously or send an SQS message.

Both requests are in progress at the same time. A task for later is a schedule of EventBridge
Scheduler, which then sends it. Sending a task twice is safe, because tasks may run more than once
anyway, and have the same id.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from djambda import deadline
from djambda.tasks import store
from djambda_common.aws_api import NotSent, OutcomeUnknown, Sent, error_of, send
from djambda_common.aws_signature import Request, encoded
from djambda_common.http_connection import Response
from djambda_common.names import (
    DJANGO_SUFFIX,
    QUEUE,
    TASKS_QUEUE_VARIABLE,
    TASKS_ROLE_VARIABLE,
    TASKS_SUFFIX,
    TASKS_TARGET_VARIABLE,
    TASKS_VARIABLE,
)
from djambda_common.task_record import Record

logger = logging.getLogger(__name__)

MAX_EVENT = 900_000
MAX_LATER = 250_000
"""Bytes of an event, below the 256 KB of EventBridge Scheduler, and the 1 MB of Lambda and SQS: the
record of a failed event, which Lambda sends to a function, also contains the error. Larger tasks
are only in the bucket.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

ALMOST_A_SECOND = timedelta(microseconds=999_999)
LEAST_DELAY = timedelta(seconds=10)
"""Tasks that begin sooner are sent at once; Scheduler refuses times in the past."""

SCHEDULE_EXISTS = "ConflictException"
"""Scheduler's error type. Lambda's, for a function that is being changed, has another name.

https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html#API_CreateSchedule_Errors"""
BUSY = {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}

TIMEOUT = 5.0
PAUSES = (0.1, 0.5)

KEYWORD = "<aws.scheduler."
"""The beginning of a text in a task's arguments that Scheduler would replace.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""

RECORD_DAYS = 29
"""The days that a record certainly remains in the bucket, which deletes it after 30."""

EVENT_FIELDS = (
    *("id", "task", "args", "kwargs", "queue", "priority", "backend"),
    *("enqueued_at", "run_after"),
)


class TaskNotSent(Exception):  # noqa: N818 (an outcome)
    """The task was not enqueued; the message says why."""


def send_task(record: Record) -> None:
    """Send a task. Raises `TaskNotSent` if AWS did not accept it."""
    deadline.current.act()
    begin = _begin_later(record)
    event = _event(record)
    deliver = partial(_schedule, record, begin) if begin else _deliver_now
    if len(event) > (MAX_LATER if begin else MAX_EVENT):
        try:
            store.create(record)
        except store.StoreError as error:
            raise _not_sent(record, error) from error
        _repeat(record, deliver, json.dumps({"task": {"load": record["id"]}}))
        return
    creation = _begin_to_create(record)
    try:
        _repeat(record, deliver, event)
    finally:
        if creation is not None:
            _finish_creation(record, creation)


def check_record_remains(record: Record) -> None:
    """Raise `ValueError` if the bucket deletes the record of a task before the task needs it."""
    begin = _begin_later(record)
    if begin is None or begin - datetime.now(UTC) < timedelta(days=RECORD_DAYS):
        return
    if len(_event(record)) > MAX_LATER:
        raise ValueError(
            f"A task of more than {MAX_LATER // 1000} KB must begin within {RECORD_DAYS} days, "
            "because its arguments are in the bucket for 30 days. Store the data yourself, and "
            "pass its primary key."
        )


def _event(record: Record) -> str:
    event = json.dumps({"task": {name: record[name] for name in EVENT_FIELDS}})
    return event.replace(KEYWORD, KEYWORD.replace("<", "\\u003c"))


def _begin_later(record: Record) -> datetime | None:
    """Return the time at which a task may begin, or None if it can be sent now."""
    if record["run_after"] is None:
        return None
    begin = datetime.fromisoformat(record["run_after"])
    return begin if begin - datetime.now(UTC) > LEAST_DELAY else None


def _begin_to_create(record: Record) -> Sent | None:
    try:
        return store.begin_to_create(record)
    except NotSent as error:
        _warn(record, error)
        return None


def _finish_creation(record: Record, creation: Sent) -> None:
    """The event has everything that the task needs, so that it runs even without the record."""
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


def _repeat(record: Record, deliver: Callable[[str], Response], event: str) -> None:
    """Deliver an event, again if AWS is busy or does not respond. Raises `TaskNotSent`."""
    error: Any = None
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        try:
            response = deliver(event)
        except (NotSent, OutcomeUnknown) as failure:
            error = failure
            continue
        if response.status < HTTPStatus.BAD_REQUEST:
            return
        reason = error_of(response)
        if reason[0] == SCHEDULE_EXISTS:
            return
        error = f"HTTP {response.status} {': '.join(filter(None, reason))}"
        if response.status < HTTPStatus.INTERNAL_SERVER_ERROR and response.status not in BUSY:
            break
    raise _not_sent(record, error)


def _deliver_now(event: str) -> Response:
    if os.environ[TASKS_VARIABLE] == QUEUE:
        return call_sqs("SendMessage", QueueUrl=os.environ[TASKS_QUEUE_VARIABLE], MessageBody=event)
    path = f"/2015-03-31/functions/{encoded(os.environ[TASKS_TARGET_VARIABLE])}/invocations"
    headers = {"Content-Type": "application/json", "X-Amz-Invocation-Type": "Event"}
    request = Request("POST", path, headers, event.encode())
    return send("lambda", request, timeout=TIMEOUT).response()


def _schedule(record: Record, begin: datetime, event: str) -> Response:
    """https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html"""
    stack = os.environ["AWS_LAMBDA_FUNCTION_NAME"].removesuffix(DJANGO_SUFFIX)
    body = {
        "ActionAfterCompletion": "DELETE",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "GroupName": stack + TASKS_SUFFIX,
        # In whole seconds, and not earlier.
        "ScheduleExpression": f"at({begin.astimezone(UTC) + ALMOST_A_SECOND:%Y-%m-%dT%H:%M:%S})",
        "ScheduleExpressionTimezone": "UTC",
        "Target": {
            "Arn": os.environ[TASKS_TARGET_VARIABLE],
            "RoleArn": os.environ[TASKS_ROLE_VARIABLE],
            "Input": event,
        },
    }
    request = Request(
        "POST",
        f"/schedules/{record['id']}",
        {"Content-Type": "application/json"},
        json.dumps(body).encode(),
    )
    return send("scheduler", request, timeout=TIMEOUT).response()


def call_sqs(action: str, **parameters: object) -> Response:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html"""
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"AmazonSQS.{action}",
    }
    request = Request("POST", "/", headers, json.dumps(parameters).encode())
    return send("sqs", request, timeout=TIMEOUT).response()


def _not_sent(record: Record, reason: object) -> TaskNotSent:
    return TaskNotSent(
        f"Task {record['id']} ({record['task']}) was not enqueued, because AWS did not accept it: "
        f"{reason}. Enqueue it again."
    )
