"""Fire the schedule of the session's local cloud, which is due in the distant future only."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.cloud.local import Cloud
from tests.support.waiting import wait_until

GROUP, NAME = "local-djambda", "check"
SECONDS = 2
"""The time until the schedule fires."""


def last_run(cloud: Cloud) -> dict[str, Any]:
    """Return what the bucket has about the last run, {} if it has nothing."""
    [stack] = cloud.call("cloudformation", "describe_stacks", StackName=GROUP)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    objects = cloud.call(
        "s3", "list_objects_v2", Bucket=outputs["BucketName"], Prefix=f"schedules/{NAME}.json"
    )
    if not objects.get("Contents"):
        return {}
    stored = cloud.call(
        "s3", "get_object", Bucket=outputs["BucketName"], Key=f"schedules/{NAME}.json"
    )
    run: dict[str, Any] = json.loads(stored["Body"].read())
    return run


@contextmanager
def due_soon(cloud: Cloud) -> Iterator[datetime]:
    """Let the schedule fire once, in its time zone; yield the time."""
    described = cloud.call("scheduler", "get_schedule", GroupName=GROUP, Name=NAME)
    names = ("FlexibleTimeWindow", "Target", "ScheduleExpressionTimezone")
    fields = {"GroupName": GROUP, "Name": NAME, **{name: described[name] for name in names}}
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=SECONDS)
    local = due.astimezone(ZoneInfo(described["ScheduleExpressionTimezone"]))
    expression = f"at({local:%Y-%m-%dT%H:%M:%S})"
    cloud.call("scheduler", "update_schedule", ScheduleExpression=expression, **fields)
    try:
        yield due
    finally:
        expression = described["ScheduleExpression"]
        cloud.call("scheduler", "update_schedule", ScheduleExpression=expression, **fields)


def fire(cloud: Cloud) -> dict[str, Any]:
    """Let the schedule fire; return its run when it has finished."""
    with due_soon(cloud) as due:
        time = f"{due:%Y-%m-%dT%H:%M:%SZ}"

        def finished() -> bool:
            run = last_run(cloud)
            return run.get("time") == time and "finished_at" in run

        wait_until(finished, seconds=30)
    return last_run(cloud)
