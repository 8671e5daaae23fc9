"""Fire the schedules of the emulated EventBridge Scheduler as AWS does.

The emulator's own loop ignores time zones, fires every 10 seconds and forgets the scheduled time.
This one invokes Lambda through its API with the role of the schedule.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import importlib.util
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

logger = logging.getLogger("scheduler")

type Schedule = Mapping[str, Any]
type Fire = Callable[[Schedule, datetime], None]

TICK_SECONDS = 1
RETRY_SECONDS = 30
"""Scheduler tries to invoke a target again, for a day by default."""
MAX_CORRECTION = timedelta(minutes=10)
"""A clock that is set back by more than this was wrong before."""
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
"""https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""


def load_expressions() -> ModuleType:
    """Return djambda's module of schedule expressions, which imports the standard library only."""
    file = Path(os.environ["SCHEDULE_EXPRESSIONS"])
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if not (spec and spec.loader):
        raise ImportError(str(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # Its dataclasses need it.
    spec.loader.exec_module(module)
    return module


def runs_once(schedule: Schedule) -> bool:
    """Return whether a schedule runs once and is then deleted."""
    is_once = schedule["ScheduleExpression"].startswith("at(")
    return is_once and schedule.get("ActionAfterCompletion") == "DELETE"


class Clock:
    """Finds the schedules that are due since the last tick."""

    def __init__(self, expressions: ModuleType, since: datetime) -> None:
        self._expressions = expressions
        self._since = since

    def due(self, schedules: Iterable[Schedule], now: datetime) -> list[tuple[Schedule, datetime]]:
        """Return the schedules that have become due until `now`, with the scheduled times.

        A schedule that is due more than once, because the machine has slept, is returned once. One
        that runs once is due until it is deleted.
        """
        if now < self._since - MAX_CORRECTION:
            self._since = now
        since, self._since = self._since, max(now, self._since)
        found = []
        for schedule in schedules:
            time = self._next(schedule, since)
            if time and time <= now:
                found.append((schedule, time))
        return found

    def _next(self, schedule: Schedule, since: datetime) -> datetime | None:
        if schedule.get("State", "ENABLED") != "ENABLED":
            return None
        created = _moment(schedule.get("StartDate")) or _moment(schedule["CreationDate"])
        end = _moment(schedule.get("EndDate"))
        try:
            expression = self._expressions.parse(schedule["ScheduleExpression"])
            zone = ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
        except (ValueError, OSError, KeyError):  # The API has accepted it anyway.
            return None
        begin = _moment(schedule.get("StartDate"))
        if runs_once(schedule):
            since = datetime.min.replace(tzinfo=UTC)
        moment = max(since, begin) if begin else since
        time: datetime | None = expression.next_after(moment, zone, created)
        return None if time and end and time > end else time


def _moment(value: object) -> datetime | None:
    """Return the time of a timestamp or an ISO 8601 text."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str) and value:
        time = datetime.fromisoformat(value)
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return None


def payload(schedule: Schedule, scheduled: datetime) -> bytes:
    """Return the input of a schedule's target for a scheduled time."""
    text = schedule["Target"].get("Input") or json.dumps({})
    return str(text).replace(SCHEDULED_TIME, f"{scheduled:%Y-%m-%dT%H:%M:%SZ}").encode()


def invoke(schedule: Schedule, scheduled: datetime) -> None:
    """Send a schedule's input to its Lambda function, with the schedule's role."""
    import boto3  # noqa: PLC0415 (djambda's own environment imports this file in tests)

    target = schedule["Target"]
    region = schedule["Arn"].split(":")[3]
    role = boto3.client("sts", region_name=region).assume_role(
        RoleArn=target["RoleArn"], RoleSessionName=schedule["Name"]
    )["Credentials"]
    client: Any = boto3.client(
        "lambda",
        region_name=region,
        aws_access_key_id=role["AccessKeyId"],
        aws_secret_access_key=role["SecretAccessKey"],
        aws_session_token=role["SessionToken"],
    )
    client.invoke(
        FunctionName=target["Arn"], InvocationType="Event", Payload=payload(schedule, scheduled)
    )


def run(all_schedules: Callable[[], Iterable[Schedule]], fire: Fire) -> None:
    """Fire schedules until the process ends."""
    clock = Clock(load_expressions(), datetime.now(UTC))
    firing: set[str] = set()
    while True:
        time.sleep(TICK_SECONDS)
        for schedule, scheduled in clock.due(all_schedules(), datetime.now(UTC)):
            if runs_once(schedule):
                if schedule["Arn"] in firing:
                    continue
                firing.add(schedule["Arn"])
            arguments = (fire, schedule, scheduled, firing)
            threading.Thread(target=_fire, args=arguments, name="schedule", daemon=True).start()


def _fire(fire: Fire, schedule: Schedule, scheduled: datetime, firing: set[str]) -> None:
    try:
        fire(schedule, scheduled)
    except Exception:
        logger.exception("Schedule %s could not be fired", schedule["Name"])
        time.sleep(RETRY_SECONDS)
    finally:
        firing.discard(schedule["Arn"])
