"""The schedules of the emulated EventBridge Scheduler.

A schedule that runs once is a task with `run_after`. It is on the disk until it has fired, even
if it was due while the emulator was not running. `emulator_scheduler.py` decides when schedules
fire.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import emulator_scheduler
from emulator_store import Store
from ministack.services import scheduler

KIND = "schedule"

type Created = tuple[str, dict[str, Any]]
type Key = tuple[str, str, str]
"""The emulator's key of a schedule: account, region, group/name."""


class Schedules:
    """All schedules."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def restore(self) -> None:
        """Replace those of the saved state that run once by those on the disk, which are newer."""
        if not self._store.is_new:
            kept = self._store.load(KIND).values()
            schedules = scheduler._schedules._data
            for key in _once():
                del schedules[key]
            for value in kept:
                account, region, name = value["key"]
                if (account, region, name.partition("/")[0]) in scheduler._schedule_groups._data:
                    schedules[account, region, name] = value["schedule"]
        self._copy()

    def fire(self, schedule: Mapping[str, Any], scheduled: datetime) -> None:
        """Fire a schedule, and delete it if it was to run once."""
        emulator_scheduler.invoke(schedule, scheduled)
        if emulator_scheduler.runs_once(schedule):
            for key, stored in list(scheduler._schedules._data.items()):
                if stored["Arn"] == schedule["Arn"]:
                    del scheduler._schedules._data[key]
            self._copy()

    def _copy(self) -> None:
        self._store.synchronize(KIND, _present)

    def with_copy(self, handle: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return Scheduler's API that responds when the disk has what it has changed."""

        async def handle_and_copy(*arguments: Any, **options: Any) -> Any:
            response = await handle(*arguments, **options)
            self._copy()
            return response

        return handle_and_copy


def use_schedules(store: Store) -> Schedules:
    """Replace the emulator's own loop that fires schedules, and keep what its API changes."""
    schedules = Schedules(store)
    scheduler._ticker_loop = lambda: emulator_scheduler.run(
        lambda: list(scheduler._schedules._data.values()), schedules.fire
    )
    scheduler.handle_request = schedules.with_copy(scheduler.handle_request)
    return schedules


def create_schedule(logical_id: str, props: dict[str, Any], stack: str) -> Created:
    """Create an AWS::Scheduler::Schedule with its time zone, which the emulator's type drops."""
    name = props.get("Name") or f"{stack}-{logical_id}"
    return _schedule(name, scheduler._create_schedule(name, props))


def update_schedule(name: str, _old: dict[str, Any], new: dict[str, Any], _stack: str) -> Created:
    """Update an AWS::Scheduler::Schedule."""
    return _schedule(name, scheduler._update_schedule(name, new))


def _schedule(name: str, response: tuple[int, dict[str, str], bytes]) -> Created:
    status, _, body = response
    if status != 200:  # noqa: PLR2004
        raise ValueError(body.decode())
    return name, {"Arn": json.loads(body)["ScheduleArn"]}


def _once() -> dict[Key, dict[str, Any]]:
    """Return the schedules that run once."""
    found = list(scheduler._schedules._data.items())
    return {key: schedule for key, schedule in found if emulator_scheduler.runs_once(schedule)}


def _present() -> dict[str, dict[str, Any]]:
    """Return the schedules that run once, by a key that changes when they do."""
    return {
        json.dumps([*key, schedule["LastModificationDate"]]): {"key": key, "schedule": schedule}
        for key, schedule in _once().items()
    }
