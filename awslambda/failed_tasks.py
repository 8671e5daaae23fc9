"""Record a task whose worker was killed at each attempt, or that could not be started in time.

Lambda sends the invocation record of such a task to this function: Django cannot write the task's
record while it runs out of memory or time, or does not start at all.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

import boto3

from djambda_common.names import TASK_ATTEMPTS
from djambda_common.stored_object import find_object
from djambda_common.task_record import (
    FAILED,
    FINISHED,
    SUCCESSFUL,
    Record,
    add_error,
    event_task_id,
    failed_key,
    new_record,
    record_key,
)

EXPIRED = "EventAgeExceeded"
RECORDED = "TaskAttemptFailed"
"""The runtime's error for an exception of the task, which the record has already."""

log = logging.getLogger("djambda")
log.setLevel(logging.INFO)


def lambda_handler(event: dict[str, Any], _context: object) -> None:
    """Handle the invocation record of an asynchronous invocation that has failed."""
    context, error = event["requestContext"], describe(event)
    request = {"invocationId": context["requestId"]}  # That of the task in Django's log.
    payload = event.get("requestPayload")
    task = payload.get("task") if isinstance(payload, dict) else None
    if not isinstance(task, dict):  # Another event that was sent to the alias.
        log.error(
            "Request %s was no task: %s", context["requestId"], error["traceback"], extra=request
        )
        return
    task_id = event_task_id(task, context["requestId"])
    s3, bucket = boto3.client("s3"), os.environ["BUCKET"]
    record = _load(s3, bucket, task_id) or new_record(task_id, task)
    if _is_recorded(record, error, is_retry="retry" in task):
        return
    has_begun = record["status"] not in FINISHED
    before = record["limit"] - TASK_ATTEMPTS if has_begun else record["attempts"]
    if error["exception_class"] == RECORDED and record["errors"]:
        error = record["errors"].pop()
    add_error(record, error, is_last=True)
    attempts = before + context.get("approximateInvokeCount", 0)
    record["worker_ids"] += [error["request_id"]] * (attempts - len(record["worker_ids"]))
    record["attempts"] = len(record["worker_ids"])
    # First, because Lambda repeats this function if the second request fails.
    s3.put_object(Bucket=bucket, Key=failed_key(task_id), Body=b"")
    s3.put_object(
        Bucket=bucket,
        Key=record_key(task_id),
        Body=json.dumps(record).encode(),
        ContentType="application/json",
    )
    log.error(
        "Task %s (%s) has failed: %s",
        task_id,
        record["task"],
        error["exception_class"],
        extra=request,
    )


def _is_recorded(record: Record, error: Mapping[str, str | None], *, is_retry: bool) -> bool:
    """Return whether the record has the task's outcome: Lambda may send an error twice."""
    if record["status"] == FAILED:
        return not is_retry or error in record["errors"]
    return bool(record["status"] == SUCCESSFUL)


def describe(event: dict[str, Any]) -> dict[str, str | None]:
    """Return the error of an invocation record, as it is in a task's record."""
    context, response = event["requestContext"], event.get("responsePayload")
    response = response if isinstance(response, dict) else {}
    if context.get("condition") == EXPIRED:
        kind = EXPIRED
        message = (
            "The task did not start in time: the function had no capacity for it. "
            "Raise LAMBDA_CONCURRENCY, or the account's limit of concurrent executions, "
            "then retry the task."
        )
    else:
        kind = str(response.get("errorType") or "Unknown")
        message = str(response.get("errorMessage") or "The worker was killed.")
    return {
        "exception_class": kind,
        "traceback": message,
        "at": event.get("timestamp"),
        "request_id": context.get("requestId"),
    }


def _load(s3: Any, bucket: str, task_id: str) -> Record | None:
    found = find_object(s3, bucket, record_key(task_id))
    record: Record | None = json.loads(found["Body"].read()) if found else None
    return record
