"""Asynchronous invocations of the local cloud: retries, and what survives the emulator."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from djambda_cli.local import emulator_event_queue
from djambda_cli.local.emulator_event_queue import KIND, Event, EventQueue
from djambda_cli.local.emulator_store import Store
from tests.support.waiting import wait_until

ALIAS = "arn:aws:lambda:us-east-1:000000000000:function:site:tasks"
FAILED = "arn:aws:lambda:us-east-1:000000000000:function:failed"
SETTINGS = {
    "MaximumRetryAttempts": 2,
    "MaximumEventAgeInSeconds": 3600,
    "DestinationConfig": {"OnFailure": {"Destination": FAILED}},
}
SUCCESS: dict[str, Any] = {"body": b"{}"}
FAILURE: dict[str, Any] = {"body": b'{"errorType": "ValueError"}', "error": True}
THROTTLE: dict[str, Any] = {"body": {}, "error": True, "throttle": True}

KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from emulator_event_queue import EventQueue
from emulator_store import Store

class Functions:
    def settings(self, arn):
        return {}

    def execute(self, event):
        if event.payload == "hangs":
            time.sleep(60)
        return {"error": event.payload == "fails", "body": b"{}"}

queue = EventQueue(Store(Path(sys.argv[2])), Functions())
for payload in ("succeeds", "fails", "hangs", "hangs", "hangs", "hangs", "waits"):
    queue.invoke("alias", payload, payload)
time.sleep(60)
"""


LEFT = [("fails", 1), *[("hangs", 0)] * 4, ("waits", 0)]
"""The events that this process leaves, and their attempts."""


class Functions:
    """Functions that respond to an event with the next of these results, the last one for ever."""

    def __init__(self, *results: Mapping[str, Any], names: tuple[str, ...] = (ALIAS, FAILED)):
        self.results = list(results)
        self.names = names
        self.events: list[Event] = []
        self.before: Callable[[], None] = lambda: None

    def settings(self, arn: str) -> Mapping[str, Any] | None:
        if arn not in self.names:
            return None
        return SETTINGS if arn == ALIAS else {}

    def execute(self, event: Event) -> Mapping[str, Any]:
        self.before()
        self.events.append(event)
        if event.arn == FAILED:
            return SUCCESS
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator_event_queue, "RETRY_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(emulator_event_queue, "CAPACITY_SECONDS", 0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store")) as opened:
        yield opened


def run(store: Store, functions: Functions) -> list[Event]:
    """Process the event {"task": 1} and return those that functions got until nothing is left."""
    EventQueue(store, functions).invoke(ALIAS, {"task": 1}, "the-id")
    wait_until(lambda: not store.load(KIND), 5)
    return functions.events


def left(store: Store) -> list[tuple[str, int]]:
    """Return the payloads and the attempts of the events on the disk."""
    events = store.load(KIND).values()
    return sorted((event["payload"], event["attempts"]) for event in events)


def test_event_is_forgotten_when_it_has_succeeded(store: Store) -> None:
    [event] = run(store, Functions(SUCCESS))

    assert (event.payload, event.request_id, event.attempts) == ({"task": 1}, "the-id", 0)


def test_event_is_retried_until_it_succeeds(store: Store) -> None:
    assert len(run(store, Functions(FAILURE, FAILURE, SUCCESS))) == 3


def test_event_that_has_failed_goes_to_the_destination(store: Store) -> None:
    *attempts, failed = run(store, Functions(FAILURE))

    assert len(attempts) == 3
    assert failed.arn == FAILED
    assert failed.request_id != "the-id"
    context = failed.payload["requestContext"]
    assert (context["requestId"], context["condition"]) == ("the-id", "RetriesExhausted")
    assert context["approximateInvokeCount"] == 3
    assert failed.payload["requestPayload"] == {"task": 1}
    assert failed.payload["responsePayload"] == {"errorType": "ValueError"}


def test_throttled_attempts_do_not_count(store: Store) -> None:
    events = run(store, Functions(*[THROTTLE] * 5, FAILURE, FAILURE, SUCCESS))

    assert [event.arn for event in events] == [ALIAS] * 8


def test_function_that_does_not_exist(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, Functions(SUCCESS, names=())) == []
    assert f"no {ALIAS}" in capsys.readouterr().err


def test_response_without_a_body(store: Store) -> None:
    failed = run(store, Functions({"body": b"", "error": True}))[-1]

    assert failed.payload["responsePayload"] is None


def test_error_of_the_emulator_does_not_lose_the_event(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    functions = Functions(SUCCESS)
    errors = [OSError("out of memory")]

    def fail_once() -> None:
        if errors:
            raise errors.pop()

    functions.before = fail_once

    assert len(run(store, functions)) == 1
    assert "out of memory" in capsys.readouterr().err


def test_age_is_that_of_the_clock_on_the_wall(store: Store) -> None:
    old = Event(ALIAS, {"task": 1}, "the-id", SETTINGS, sent=time.time() - 3601)
    store.put(KIND, old.key, asdict(old))
    functions = Functions(SUCCESS)

    EventQueue(store, functions).resume()

    wait_until(lambda: not store.load(KIND), 5)
    [failed] = functions.events
    assert failed.payload["requestContext"]["condition"] == "EventAgeExceeded"


def test_killed_emulator_loses_no_event(tmp_path: Path) -> None:
    folder = Path(emulator_event_queue.__file__).parent
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(tmp_path / "store")])
    with process, closing(Store(tmp_path / "store")) as store:
        wait_until(lambda: process.poll() is not None or left(store) == LEFT, 20)
        os.kill(process.pid, signal.SIGKILL)

    functions = Functions(SUCCESS, names=("alias",))
    with closing(Store(tmp_path / "store")) as store:
        EventQueue(store, functions).resume()
        wait_until(lambda: not store.load(KIND), 5)

    assert sorted((event.payload, event.attempts) for event in functions.events) == LEFT


def test_attempt_that_the_stop_interrupts_does_not_count(store: Store) -> None:
    functions = Functions(FAILURE)
    queue = EventQueue(store, functions)
    functions.before = queue.stop

    queue.invoke(ALIAS, {"task": 1}, "the-id")
    wait_until(lambda: bool(functions.events) and not queue.is_running, 5)

    [kept] = store.load(KIND).values()
    assert kept["attempts"] == 0


def test_event_that_succeeds_during_the_stop_is_not_repeated(store: Store) -> None:
    functions = Functions(SUCCESS)
    queue = EventQueue(store, functions)
    functions.before = queue.stop

    queue.invoke(ALIAS, {"task": 1}, "the-id")

    wait_until(lambda: not store.load(KIND), 5)


def test_stopped_queue_accepts_events_for_the_next_start(store: Store) -> None:
    functions = Functions(SUCCESS)
    queue = EventQueue(store, functions)
    queue.stop()

    queue.invoke(ALIAS, {"task": 1}, "the-id")

    time.sleep(0.1)
    assert functions.events == []
    assert len(store.load(KIND)) == 1


def test_full_disk_refuses_an_event(store: Store) -> None:
    store._database.execute("PRAGMA max_page_count = 4")
    queue = EventQueue(store, Functions(SUCCESS))

    with pytest.raises(sqlite3.OperationalError, match="full"):
        queue.invoke(ALIAS, "x" * 100_000, "the-id")


def test_full_disk_does_not_repeat_what_has_failed_for_the_last_time(store: Store) -> None:
    functions = Functions({**FAILURE, "body": json.dumps("x" * 100_000).encode()})
    queue = EventQueue(store, functions)

    def fill() -> None:
        store._database.execute("PRAGMA max_page_count = 4")

    functions.before = fill
    queue.invoke(ALIAS, "small", "the-id")

    wait_until(lambda: functions.events[-1:] != [] and functions.events[-1].arn == FAILED, 5)
    wait_until(lambda: not queue.is_running, 5)
    assert [event.arn for event in functions.events] == [ALIAS] * 3 + [FAILED]
