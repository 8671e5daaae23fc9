"""Process asynchronous invocations and messages as Lambda does, in less time.

Each alias or version has its own settings: the number of retries, the age at which an event is
dropped, and the destination of events that have failed for the last time. The emulator itself knows
only the settings of the function without a qualifier.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import contextlib
import contextvars
import json
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from emulator_request_ids import request_id
from ministack.services import lambda_svc, sqs

RETRIES, EVENT_AGE = 2, 21_600
"""https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html"""
RETRY_SECONDS = (1, 2)
"""Lambda waits for one and two minutes."""
CAPACITY_SECONDS = 0.5
CONCURRENT = 4
"""Each alias or version uses this many environments of this machine for events."""

_executors: dict[str, ThreadPoolExecutor] = {}
_lock = threading.Lock()


@dataclass
class Event:
    """An event in the queue of a function. `arn` has the qualifier, `context` the account."""

    arn: str
    payload: Any
    request_id: str
    settings: dict[str, Any]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    sent: float = field(default_factory=time.monotonic)
    attempts: int = 0
    result: dict[str, Any] = field(default_factory=dict)


def invoke_later(function: dict[str, Any], payload: Any) -> None:
    """Add an event to the queue, and return at once."""
    arn = function["config"]["FunctionArn"]
    name, qualifier = _split(arn)
    current = lambda_svc._functions[name]
    settings = lambda_svc._event_invoke_config(current, qualifier) or {}
    _submit(Event(arn, payload, request_id.get() or str(uuid.uuid4()), settings))


def run_batch(
    _mapping: Any, function: Any, event: Any, batch: list[dict[str, Any]], url: str, _name: str
) -> None:
    """Invoke a function with messages. Delete them, and deliver those that have failed again soon.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    result = lambda_svc._execute_function(function, event)
    delivered = {message["id"] for message in batch}
    failed = delivered if result.get("error") else _failures(result["body"])
    handles = {message["receipt_handle"] for message in batch if message["id"] not in failed}
    sqs._delete_messages_for_esm(url, handles)
    with sqs._queues_lock:
        for message in sqs._get_q(url)["messages"]:
            if message["id"] in delivered:
                message["visible_at"] = time.time() + RETRY_SECONDS[0]


def _failures(response: bytes) -> set[str]:
    """Return the ids of the messages that a function has reported as failed."""
    body = json.loads(response or b"null") or {}
    return {failure["itemIdentifier"] for failure in body.get("batchItemFailures", ())}


def use_events() -> None:
    """Replace the emulator's own queue of events, and its retries of messages."""
    lambda_svc.invoke_async_with_retry = invoke_later
    lambda_svc._run_sqs_batch = run_batch
    # The emulator finds queues by their URLs, which must not change with this cloud's port.
    sqs.DEFAULT_PORT = "4566"
    sqs._CANONICAL_NETLOC = f"{sqs.DEFAULT_HOST}:{sqs.DEFAULT_PORT}"


def _submit(event: Event) -> None:
    with _lock:
        executor = _executors.get(event.arn)
        if executor is None:
            executor = _executors[event.arn] = ThreadPoolExecutor(CONCURRENT, event.arn)
    with contextlib.suppress(RuntimeError):  # The emulator stops.
        executor.submit(event.context.run, _process, event)


def _submit_after(seconds: float, event: Event) -> None:
    timer = threading.Timer(seconds, _submit, (event,))
    timer.daemon = True
    timer.start()


def _process(event: Event) -> None:
    try:
        _attempt(event)
    except Exception as error:  # noqa: BLE001 (nothing else would report it)
        sys.stderr.write(f"The event {event.request_id} was lost: {error!r}\n")


def _attempt(event: Event) -> None:
    if time.monotonic() - event.sent > event.settings.get("MaximumEventAgeInSeconds", EVENT_AGE):
        _fail(event, "EventAgeExceeded")
        return
    function = _resolve(event.arn)
    if function is None:
        sys.stderr.write(f"The event {event.request_id} was dropped: no {event.arn}\n")
        return
    request_id.set(event.request_id)
    result = lambda_svc._execute_function(function, event.payload)
    if result.get("throttle"):
        _submit_after(CAPACITY_SECONDS, event)
        return
    event.attempts += 1
    if not result.get("error"):
        return
    event.result = result
    retries = event.settings.get("MaximumRetryAttempts")
    if event.attempts > (RETRIES if retries is None else retries):
        _fail(event, "RetriesExhausted")
    else:
        _submit_after(RETRY_SECONDS[event.attempts - 1], event)


def _resolve(arn: str) -> dict[str, Any] | None:
    """Return the function that an alias points to now."""
    name, qualifier = _split(arn)
    function, config = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    if function is None:
        return None
    return {**function, "config": {**config, "FunctionArn": arn}}


def _split(arn: str) -> tuple[str, str | None]:
    """Return the name and the qualifier of a function's ARN."""
    name, _, qualifier = arn.split(":", 6)[6].partition(":")
    return name, qualifier or None


def _fail(event: Event, condition: str) -> None:
    """Send the invocation record to the destination.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    on_failure = (event.settings.get("DestinationConfig") or {}).get("OnFailure") or {}
    destination = on_failure.get("Destination")
    if not destination:
        return
    body = event.result.get("body")
    record = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": event.arn,
            "condition": condition,
            "approximateInvokeCount": event.attempts,
        },
        "requestPayload": event.payload,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": json.loads(body) if isinstance(body, bytes) and body else body,
    }
    function = _resolve(destination)
    if function is None:
        sys.stderr.write(f"{destination} is not a destination that this local cloud supports\n")
        return
    request_id.set(str(uuid.uuid4()))
    invoke_later(function, record)
