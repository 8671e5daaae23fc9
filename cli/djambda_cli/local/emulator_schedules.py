"""The schedules of the emulated EventBridge Scheduler.

A schedule that runs once is a task with `run_after`. It is on the disk until it has fired, even
if it was due while the emulator was not running. `emulator_scheduler.py` decides when schedules
fire.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import emulator_scheduler
from botocore.exceptions import ClientError
from emulator_store import Store
from ministack.services import scheduler

KIND = "schedule"
NO_FUNCTION = "ResourceNotFoundException"

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
            for key in _once():
                del scheduler._schedules._data[key]
            for value in kept:
                scheduler._schedules._data[tuple(value["key"])] = value["schedule"]
        self._copy()

    def present(self) -> list[dict[str, Any]]:
        """Return all schedules. CloudFormation deletes a group, but not the schedules in it."""
        groups = scheduler._schedule_groups._data
        left = [
            key
            for key, schedule in _once().items()
            if (*key[:2], schedule["GroupName"]) not in groups
        ]
        for key in left:
            scheduler._schedules._data.pop(key, None)
        if left:
            self._copy()
        return list(scheduler._schedules._data.values())

    def fire(self, schedule: Mapping[str, Any], scheduled: datetime) -> None:
        """Fire a schedule, and delete it if it was to run once."""
        try:
            emulator_scheduler.invoke(schedule, scheduled)
        except ClientError as error:
            if error.response["Error"]["Code"] != NO_FUNCTION:
                raise
            sys.stderr.write(f"Schedule {schedule['Name']}: {error}\n")
        if emulator_scheduler.runs_once(schedule):
            for key, stored in list(scheduler._schedules._data.items()):
                if stored["Arn"] == schedule["Arn"]:
                    scheduler._schedules._data.pop(key, None)
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
    scheduler._ticker_loop = lambda: emulator_scheduler.run(schedules.present, schedules.fire)
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
