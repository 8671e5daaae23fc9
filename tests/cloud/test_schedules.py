"""A schedule fires, its failures are visible, and `djambda schedules` shows and runs it."""

import json
from typing import Any

from tests.cloud.local import Cloud
from tests.cloud.schedules import NAME, fire, last_run

LATER = "2199-01-01T00:00:00Z"


def invoke(cloud: Cloud, command: str, time: str | None) -> dict[str, Any]:
    """Send the event of a schedule and return the response."""
    event = {"schedule": NAME, "manage": command, "time": time}
    response = cloud.call(
        "lambda",
        "invoke",
        FunctionName=cloud.function,
        Qualifier="live",
        Payload=json.dumps(event).encode(),
    )
    payload: dict[str, Any] = json.loads(response["Payload"].read())
    return payload


def test_schedule_fires_once_in_the_live_version(cloud: Cloud) -> None:
    run = fire(cloud)

    assert (run["exit_code"], run["version"]) == (0, cloud.live_version())
    logs = cloud.djambda("logs --since 2m --grep 'Schedule check'").stdout
    assert f"started for {run['time']}" in logs
    # A second delivery of the same event.
    assert "skipped" in invoke(cloud, "check", run["time"])
    assert last_run(cloud) == run


def test_failure_is_in_the_status_and_the_log(cloud: Cloud) -> None:
    failed = invoke(cloud, "migrate --no-such-option", None)
    assert failed["errorType"] == "ScheduledCommandFailed"

    status = cloud.djambda("status").stdout
    assert f"{NAME}: failed" in status
    assert "exit code 2" in status
    assert f"Schedule {NAME}" in cloud.djambda("logs --errors --since 2m").stdout


def test_schedules_list_and_run(cloud: Cloud) -> None:
    done = cloud.djambda(f"schedules run {NAME}")
    assert (done.returncode, done.stdout) == (
        0,
        "System check identified no issues (0 silenced).\n",
    )

    [schedule] = json.loads(cloud.djambda("schedules list --json").stdout)

    assert schedule["name"] == NAME
    assert schedule["zone"] == "Europe/Warsaw"
    assert schedule["next"] == "2199-01-01T00:00:00+01:00"
    assert schedule["last"]["outcome"] == "succeeded"
    assert "Europe/Warsaw" in cloud.djambda("schedules list").stdout


def test_unknown_schedule(cloud: Cloud) -> None:
    done = cloud.djambda("schedules run chek")

    assert done.returncode == 1
    assert f"Did you mean {NAME}?" in done.stderr
