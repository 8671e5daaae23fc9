"""Process asynchronous invocations as Lambda does: see `emulator_event_queue.py`.

Each alias or version has its own settings: the number of retries, the age at which an event is
dropped, and the destination of events that have failed for the last time. The emulator itself knows
only the settings of the function without a qualifier.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import contextvars
import uuid
from collections.abc import Callable
from typing import Any

from emulator_event_queue import Event, EventQueue
from emulator_request_ids import request_id
from emulator_store import Store
from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import lambda_svc

type Function = dict[str, Any]


class Lambda:
    """The emulated functions."""

    def settings(self, arn: str) -> dict[str, Any] | None:
        """Return the settings of asynchronous invocations, or None if there is no such function."""
        if not arn.startswith("arn:aws:lambda:"):
            return None
        return _in_its_region(arn, lambda: _settings(arn))

    def execute(self, event: Event) -> dict[str, Any]:
        """Invoke the function that an alias points to now."""

        def execute() -> dict[str, Any]:
            request_id.set(event.request_id)
            result: dict[str, Any] = lambda_svc._execute_function(
                _resolve(event.arn), event.payload
            )
            return result

        return _in_its_region(event.arn, execute)


def use_events(store: Store) -> EventQueue:
    """Replace the emulator's own queue of events with one that is on the disk, and return it."""
    queue = EventQueue(store, Lambda())

    def invoke_later(function: Function, payload: Any) -> None:
        arn = function["config"]["FunctionArn"]
        queue.invoke(arn, payload, request_id.get() or str(uuid.uuid4()))

    lambda_svc.invoke_async_with_retry = invoke_later
    return queue


def _in_its_region[T](arn: str, call: Callable[[], T]) -> T:
    """Call a function for which the emulator has the account and the region of an ARN."""
    region, account = arn.split(":")[3:5]

    def run() -> T:
        set_request_account_id(account)
        set_request_region(region)
        return call()

    return contextvars.copy_context().run(run)


def _settings(arn: str) -> dict[str, Any] | None:
    name, qualifier = _split(arn)
    if _resolve(arn) is None:
        return None
    return lambda_svc._event_invoke_config(lambda_svc._functions[name], qualifier) or {}


def _resolve(arn: str) -> Function | None:
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
