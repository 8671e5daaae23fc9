"""The schedules of a deployment: their last and next runs."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest

from djambda_cli.aws.schedules import LastRun, Schedule
from djambda_cli.errors import CliError
from djambda_cli.operations.schedules import (
    Outcome,
    as_json,
    describe_command,
    loader,
    next_run,
    outcome,
    require_name,
    require_names,
)
from tests.unit.cli.aws_fakes import FakeClient, FakeDeployment, deployment, refusal

NOW = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def last(*, finished: bool = True, exit_code: int | None = 0, left: int = 10) -> LastRun:
    return LastRun(
        started=NOW - MINUTE,
        expires=NOW + left * MINUTE,
        finished=NOW if finished else None,
        exit_code=exit_code if finished else None,
        request="the-request",
        version="7",
    )


def schedule(**fields: Any) -> Schedule:
    return Schedule(
        **{
            "name": "clear",
            "expression": "cron(0 3 * * ? *)",
            "zone": "Europe/Warsaw",
            "created": NOW - 90 * MINUTE,
            "event": {"schedule": "clear", "manage": "clearsessions", "time": "<...>"},
            "last": None,
            **fields,
        }
    )


def deployed(names: str, **clients: Any) -> FakeDeployment:
    outputs = [{"OutputKey": "BucketName", "OutputValue": "the-bucket"}]
    if names:
        outputs.append({"OutputKey": "ScheduleNames", "OutputValue": names})
    stack = {"StackName": "dev-shop", "StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}
    return deployment(cloudformation=FakeClient(describe_stacks={"Stacks": [stack]}), **clients)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (None, Outcome.NONE),
        (last(), Outcome.SUCCEEDED),
        (last(exit_code=3), Outcome.FAILED),
        (last(finished=False), Outcome.RUNNING),
        (last(finished=False, left=-1), Outcome.KILLED),
    ],
)
def test_outcome(run: LastRun | None, expected: Outcome) -> None:
    assert outcome(run, NOW) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "2026-11-27T03:00:00+01:00"),
        ({"expression": "rate(1 hour)", "zone": "UTC"}, "2026-11-26T11:00:00+00:00"),
    ],
)
def test_next_run(fields: dict[str, str], expected: str) -> None:
    time = next_run(schedule(**fields), NOW)

    assert time
    assert time.isoformat() == expected


def test_schedule_of_the_past_has_no_next_run() -> None:
    assert next_run(schedule(expression="cron(0 3 1 1 ? 2020)"), NOW) is None


def test_task_is_named() -> None:
    event = {"schedule": "close", "manage": "enqueue_task polls.tasks.close_polls"}

    assert describe_command(schedule(event=event)) == "task polls.tasks.close_polls"


def test_json() -> None:
    assert as_json(schedule(last=last(exit_code=3)), NOW) == {
        "name": "clear",
        "expression": "cron(0 3 * * ? *)",
        "zone": "Europe/Warsaw",
        "runs": "clearsessions",
        "next": "2026-11-27T03:00:00+01:00",
        "last": {
            "outcome": "failed",
            "started": "2026-11-26T10:29:00+00:00",
            "finished": "2026-11-26T10:30:00+00:00",
            "exit_code": 3,
            "version": 7,
            "request": "the-request",
        },
    }
    assert as_json(schedule(), NOW)["last"] is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [("clearsession", "Did you mean clearsessions?"), ("x", "are clearsessions, report")],
)
def test_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(CliError) as error:
        require_name(deployed("clearsessions report"), name)

    assert hint in str(error.value)


def test_deployment_without_schedules() -> None:
    for check in (require_names, lambda target: require_name(target, "clear")):
        with pytest.raises(CliError, match="has no schedules"):
            check(deployed(""))


def test_loading_nothing_needs_no_client() -> None:
    assert loader(deployed(""), [])() == []


def test_loading() -> None:
    run = {
        "started_at": "2026-11-26T10:29:00+00:00",
        "expires_at": "2026-11-26T10:44:00+00:00",
        "request": "the-request",
        "version": "7",
    }

    def get_object(*, Key: str, **_: str) -> Any:  # noqa: N803
        if Key == "schedules/clear.json":
            return {"Body": BytesIO(json.dumps(run).encode())}
        return refusal("NoSuchKey")

    scheduler = FakeClient(
        get_schedule=lambda **_: {
            "ScheduleExpression": "rate(1 day)",
            "ScheduleExpressionTimezone": "UTC",
            "CreationDate": NOW,
            "Target": {"Input": '{"schedule": "clear", "manage": "clearsessions"}'},
        }
    )
    target = deployed("clear other", scheduler=scheduler, s3=FakeClient(get_object=get_object))

    clear, other = loader(target, ["clear", "other"])()

    assert clear.last
    assert (clear.last.finished, clear.last.version) == (None, "7")
    assert clear.event["manage"] == "clearsessions"
    assert other.last is None
    assert ("get_schedule", {"GroupName": "dev-shop", "Name": "clear"}) in scheduler.calls
