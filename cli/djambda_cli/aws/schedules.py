"""The schedules of a deployment in EventBridge Scheduler, and their last runs in the bucket.

`django/djambda/schedules.py` stores the last run of each.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from djambda_cli.aws.errors import aws_errors
from djambda_common.names import SCHEDULES_PREFIX
from djambda_common.stored_object import find_object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class LastRun:
    """The last run of a schedule. It still works, or was killed, if it has no `finished`."""

    started: datetime
    expires: datetime
    finished: datetime | None
    exit_code: int | None
    request: str
    version: str


@dataclass(frozen=True)
class Schedule:
    """A schedule: its expression and time zone, the event that it sends, and its last run."""

    name: str
    expression: str
    zone: str
    created: datetime
    event: dict[str, Any]
    last: LastRun | None


def load_schedules(
    scheduler: Any, s3: "S3Client", *, group: str, bucket: str, names: Sequence[str]
) -> list[Schedule]:
    """Return the schedules with these names. Raises `CliError`."""

    def load(name: str) -> Schedule:
        described = scheduler.get_schedule(GroupName=group, Name=name)
        return Schedule(
            name=name,
            expression=described["ScheduleExpression"],
            zone=described.get("ScheduleExpressionTimezone", "UTC"),
            created=described.get("CreationDate", datetime.now(UTC)),
            event=json.loads(described["Target"]["Input"]),
            last=_load_last_run(s3, bucket, name),
        )

    with aws_errors(), ThreadPoolExecutor() as pool:
        return list(pool.map(load, names))


def _load_last_run(s3: "S3Client", bucket: str, name: str) -> LastRun | None:
    found = find_object(s3, bucket, f"{SCHEDULES_PREFIX}{name}.json")
    if found is None:
        return None
    run = json.loads(found["Body"].read())
    finished = run.get("finished_at")
    return LastRun(
        started=datetime.fromisoformat(run["started_at"]),
        expires=datetime.fromisoformat(run["expires_at"]),
        finished=datetime.fromisoformat(finished) if finished else None,
        exit_code=run.get("exit_code"),
        request=run["request"],
        version=run["version"],
    )
