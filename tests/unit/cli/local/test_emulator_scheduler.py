"""Schedules of the local cloud: when they are due, and what they send."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from djambda_cli.local import emulator_scheduler
from djambda_cli.local.credentials import load_or_create
from djambda_cli.local.emulator_scheduler import Clock, payload
from djambda_cli.local.supervisor import emulator_environment
from djambda_common import schedule_expressions

START = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)


def schedule(expression: str, **fields: Any) -> dict[str, Any]:
    return {
        "Name": "clear",
        "State": "ENABLED",
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": "UTC",
        "CreationDate": START.timestamp() - 90,
        **fields,
    }


def times(due: list[tuple[Any, datetime]]) -> list[str]:
    return [f"{scheduled:%H:%M:%S}" for _, scheduled in due]


def fired(schedules: list[dict[str, Any]], *seconds: int) -> list[list[str]]:
    """Return the scheduled times that are due at each tick, in seconds after the start."""
    clock = Clock(schedule_expressions, START)
    return [times(clock.due(schedules, START + timedelta(seconds=each))) for each in seconds]


def test_cron_is_due_once() -> None:
    assert fired([schedule("cron(31 10 * * ? *)")], 59, 60, 61, 120) == [[], ["10:31:00"], [], []]


def test_cron_is_due_in_its_time_zone() -> None:
    warsaw = schedule("cron(31 11 * * ? *)", ScheduleExpressionTimezone="Europe/Warsaw")

    assert fired([warsaw], 60) == [["10:31:00"]]


def test_rate_is_due_at_its_creation_and_after_each_interval() -> None:
    new = schedule("rate(1 minute)", CreationDate=START.timestamp() + 5)

    assert fired([new], 4, 5, 64, 65) == [[], ["10:30:05"], [], ["10:31:05"]]


def test_once_is_due_once_and_not_after_a_restart() -> None:
    once = [schedule("at(2026-11-26T10:30:30)")]

    assert fired(once, 29, 30, 31) == [[], ["10:30:30"], []]
    assert (
        Clock(schedule_expressions, START + timedelta(minutes=1)).due(
            once, START + timedelta(minutes=2)
        )
        == []
    )


def test_task_for_later_is_due_until_it_is_deleted() -> None:
    task = [schedule("at(2026-11-26T10:29:59)", ActionAfterCompletion="DELETE")]

    assert fired(task, 0, 1) == [["10:29:59"], ["10:29:59"]]


def test_machine_that_slept_fires_once() -> None:
    assert fired([schedule("cron(* * * * ? *)")], 3600, 3601) == [["10:31:00"], []]


def test_clock_that_goes_back_fires_nothing_twice() -> None:
    assert fired([schedule("cron(31 10 * * ? *)")], 60, 30, 60) == [["10:31:00"], [], []]


def test_clock_that_was_wrong_by_a_day_delays_nothing() -> None:
    assert fired([schedule("cron(* * * * ? *)")], 86_400, 60) == [["10:31:00"], []]
    assert fired([schedule("cron(* * * * ? *)")], 86_400, 60, 120)[2] == ["10:32:00"]


@pytest.mark.parametrize(
    "fields",
    [
        {"State": "DISABLED"},
        {"StartDate": START.timestamp() + 100},
        {"EndDate": START.timestamp() + 10},
        {"ScheduleExpression": "every minute"},
        {"ScheduleExpressionTimezone": "Mars/Olympus"},
    ],
)
def test_not_due(fields: dict[str, Any]) -> None:
    assert fired([schedule("cron(31 10 * * ? *)") | fields], 60) == [[]]


def test_input_has_the_scheduled_time() -> None:
    text = json.dumps({"schedule": "clear", "time": "<aws.scheduler.scheduled-time>"})

    sent = payload({"Target": {"Input": text}}, START)

    assert json.loads(sent) == {"schedule": "clear", "time": "2026-11-26T10:30:00Z"}


def test_expressions_are_loaded_without_djambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SCHEDULE_EXPRESSIONS", schedule_expressions.__file__)

    assert emulator_scheduler.load_expressions().parse("rate(1 minute)").interval.seconds == 60


def test_emulator_needs_no_time_zones_of_the_machine(tmp_path: Path) -> None:
    environment = emulator_environment(tmp_path, 1, 2, load_or_create(tmp_path))

    own = environment["PYTHONTZPATH"].split(os.pathsep)[-1]

    assert Path(own, "Europe", "Warsaw").is_file()
