"""The schedules of a deployment: which there are, what their last runs did, and the next ones."""

import difflib
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from djambda_cli.aws.schedules import LastRun, Schedule, load_schedules
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_common.names import ENQUEUE_COMMAND, SCHEDULES
from djambda_common.schedule_expressions import parse


class Outcome(StrEnum):
    """The state of a schedule's last run."""

    NONE = "not run yet"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    KILLED = "did not finish"


FAILURES = (Outcome.FAILED, Outcome.KILLED)


def schedule_names(deployment: Deployment) -> list[str]:
    """Return the names of the deployment's schedules. Raises `CliError` if it is not deployed."""
    return deployment.outputs.get(SCHEDULES, "").split()


def require_names(deployment: Deployment) -> list[str]:
    """Return the names of the deployment's schedules. Raises `CliError` if it has none."""
    if names := schedule_names(deployment):
        return names
    raise CliError(
        f"{deployment.stack} {deployment.location} has no schedules. Add the table [schedules] to "
        f"djambda.toml, then run {deployment.command('deploy')}"
    )


def require_name(deployment: Deployment, name: str) -> None:
    """Raise `CliError` unless the deployment has a schedule with this name."""
    names = require_names(deployment)
    if name in names:
        return
    matches = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {matches[0]}?" if matches else f"The schedules are {', '.join(names)}."
    raise CliError(
        f"{deployment.stack} {deployment.location} has no schedule {name}. {hint} A schedule that "
        f"is only in djambda.toml is added by {deployment.command('deploy')}"
    )


def loader(deployment: Deployment, names: list[str]) -> Callable[[], list[Schedule]]:
    """Return a function that loads the schedules with these names. It raises `CliError`.

    It can run in a thread, in which boto3's clients cannot be created.
    """
    if not names:
        return list
    return partial(
        load_schedules,
        deployment.client("scheduler"),
        deployment.client("s3"),
        group=deployment.stack,
        bucket=deployment.outputs["BucketName"],
        names=names,
    )


def outcome(last: LastRun | None, present: datetime) -> Outcome:
    """Return the state of a schedule's last run."""
    if last is None:
        return Outcome.NONE
    if last.finished:
        return Outcome.FAILED if last.exit_code else Outcome.SUCCEEDED
    return Outcome.RUNNING if present < last.expires else Outcome.KILLED


def describe_command(schedule: Schedule) -> str:
    """Return the management command of a schedule, or the task that it enqueues."""
    command = str(schedule.event["manage"])
    task = command.removeprefix(f"{ENQUEUE_COMMAND} ")
    return command if task == command else f"task {task}"


def next_run(schedule: Schedule, present: datetime) -> datetime | None:
    """Return the time of the next run in the schedule's zone, or None if there is none."""
    zone = ZoneInfo(schedule.zone)
    time = parse(schedule.expression).next_after(
        present.astimezone(UTC), zone, schedule.created.astimezone(UTC)
    )
    return time.astimezone(zone) if time else None


def as_json(schedule: Schedule, present: datetime) -> dict[str, Any]:
    """Return a schedule for scripts."""
    following, last = next_run(schedule, present), schedule.last
    return {
        "name": schedule.name,
        "expression": schedule.expression,
        "zone": schedule.zone,
        "runs": describe_command(schedule),
        "next": following.isoformat(timespec="seconds") if following else None,
        "last": last
        and {
            "outcome": outcome(last, present).value,
            "started": last.started.isoformat(),
            "finished": last.finished.isoformat() if last.finished else None,
            "exit_code": last.exit_code,
            "version": int(last.version) if last.version.isdecimal() else None,
            "request": last.request,
        },
    }
