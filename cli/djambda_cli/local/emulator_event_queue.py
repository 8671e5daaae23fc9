"""The queue of asynchronous invocations, with Lambda's retries in less time.

Each event is on the disk until it has been processed, so that it survives the emulator, however it
ends. An attempt that the emulator's end may have interrupted does not count.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import json
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue
from sqlite3 import Error
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from emulator_store import Store

KIND = "event"
RETRIES, EVENT_AGE = 2, 21_600
"""https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html"""
RETRY_SECONDS = (1, 2)
"""Lambda waits for one and two minutes."""
CAPACITY_SECONDS = 0.5
CONCURRENT = 4
"""Each alias or version uses this many environments of this machine for events."""

type Settings = Mapping[str, Any]
"""Those of asynchronous invocations, as Lambda's API names them."""


@dataclass
class Event:
    """An event for the function, alias or version `arn`. `sent` is a Unix time.

    `response` is the function's response to the last attempt, which has failed.
    """

    arn: str
    payload: Any
    request_id: str
    settings: Settings
    sent: float = field(default_factory=time.time)
    attempts: int = 0
    response: Any = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)


class Functions(Protocol):
    """The functions that process events."""

    def settings(self, arn: str) -> Settings | None:
        """Return the settings of asynchronous invocations, or None if there is no such function."""

    def execute(self, event: Event) -> Mapping[str, Any]:
        """Invoke an event's function; return the result as the emulator represents it."""


class EventQueue:
    """The events of all functions."""

    def __init__(self, store: "Store", functions: Functions) -> None:
        self._store = store
        self._functions = functions
        self._waiting: dict[str, SimpleQueue[Event]] = {}
        self._lock = threading.Lock()
        self._running = 0
        self._stopping = False

    @property
    def is_running(self) -> bool:
        """True if functions are processing events."""
        return self._running > 0

    def invoke(self, arn: str, payload: Any, request_id: str) -> None:
        """Keep an event for a function, and return at once. Raises `sqlite3.Error`."""
        event = Event(arn, payload, request_id, self._functions.settings(arn) or {})
        self._store.put(KIND, event.key, asdict(event))
        self._submit(event)

    def resume(self) -> None:
        """Continue with the events that an emulator in this folder has left."""
        for value in self._store.load(KIND).values():
            self._submit(Event(**value))

    def stop(self) -> None:
        """Begin no further attempts, and do not count those that fail from now on."""
        self._stopping = True

    def _submit(self, event: Event) -> None:
        with self._lock:
            waiting = self._waiting.get(event.arn)
            if waiting is None:
                waiting = self._waiting[event.arn] = SimpleQueue()
                for _ in range(CONCURRENT):
                    threading.Thread(target=self._work, args=(waiting,), daemon=True).start()
        waiting.put(event)

    def _submit_after(self, seconds: float, event: Event) -> None:
        timer = threading.Timer(seconds, self._submit, (event,))
        timer.daemon = True
        timer.start()

    def _work(self, waiting: SimpleQueue[Event]) -> None:
        while True:
            event = waiting.get()
            with self._lock:
                if self._stopping:
                    return
                self._running += 1
            try:
                self._attempt(event)
            except Exception as error:  # noqa: BLE001 (nothing else would report it)
                sys.stderr.write(f"The event {event.request_id} is tried again: {error!r}\n")
                self._submit_after(RETRY_SECONDS[-1], event)
            finally:
                with self._lock:
                    self._running -= 1

    def _attempt(self, event: Event) -> None:
        if self._functions.settings(event.arn) is None:
            sys.stderr.write(f"The event {event.request_id} was dropped: no {event.arn}\n")
            self._forget(event)
            return
        if time.time() - event.sent > event.settings.get("MaximumEventAgeInSeconds", EVENT_AGE):
            self._fail(event, "EventAgeExceeded")
            return
        result = self._functions.execute(event)
        if not result.get("error"):
            self._forget(event)
        elif self._stopping:
            return
        elif result.get("throttle"):
            self._submit_after(CAPACITY_SECONDS, event)
        else:
            self._retry(event, result.get("body"))

    def _retry(self, event: Event, response: Any) -> None:
        event.attempts += 1
        event.response = (
            json.loads(response or b"null") if isinstance(response, bytes) else response
        )
        retries = event.settings.get("MaximumRetryAttempts")
        if event.attempts > (RETRIES if retries is None else retries):
            self._fail(event, "RetriesExhausted")
            return
        self._keep(event)
        self._submit_after(RETRY_SECONDS[event.attempts - 1], event)

    def _fail(self, event: Event, condition: str) -> None:
        """Send the invocation record to the destination, if there is one.

        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
        """
        on_failure = (event.settings.get("DestinationConfig") or {}).get("OnFailure") or {}
        destination = str(on_failure.get("Destination", ""))
        settings = self._functions.settings(destination) if destination else None
        if settings is not None:
            record = _invocation_record(event, condition)
            failure = Event(destination, record, str(uuid.uuid4()), settings)
            self._keep(failure)
            self._submit(failure)
        elif destination:
            sys.stderr.write(f"{destination} is not a destination that this local cloud supports\n")
        self._forget(event)

    def _keep(self, event: Event) -> None:
        try:
            self._store.put(KIND, event.key, asdict(event))
        except Error as error:
            sys.stderr.write(f"The event {event.request_id} is not on the disk: {error}\n")

    def _forget(self, event: Event) -> None:
        try:
            self._store.delete(KIND, event.key)
        except Error as error:
            sys.stderr.write(f"The event {event.request_id} may be repeated: {error}\n")


def _invocation_record(event: Event, condition: str) -> dict[str, Any]:
    return {
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
        "responsePayload": event.response,
    }
