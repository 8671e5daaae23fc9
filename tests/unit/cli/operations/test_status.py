"""Collecting the status of a deployment."""

import json
from datetime import UTC, datetime
from io import BytesIO

import pytest

from djambda_cli.commands.status import render_status
from djambda_cli.errors import CliError
from djambda_cli.operations.status import Unavailable, collect_status
from tests.unit.cli.aws_fakes import (
    THREE,
    FakeClient,
    FakeDeployment,
    deployment,
    lambda_client,
    refusal,
)

CREATED = datetime(2026, 11, 1, tzinfo=UTC)


def restricted_deployment(**clients: FakeClient) -> FakeDeployment:
    """A deployment whose credentials allow few operations."""
    refused = refusal("AccessDeniedException")
    stack = {
        "StackName": "dev-shop",
        "StackStatus": "UPDATE_COMPLETE",
        "CreationTime": CREATED,
        "Outputs": [
            {"OutputKey": "SiteUrl", "OutputValue": "https://shop.example.com/"},
            {"OutputKey": "Superuser", "OutputValue": "admin@example.com"},
            {"OutputKey": "AdminPath", "OutputValue": "/office/"},
            {"OutputKey": "ReplacedSettings", "OutputValue": "DEBUG: a reason"},
        ],
    }
    return deployment(
        **{
            "cloudformation": FakeClient(
                describe_stacks={"Stacks": [stack]}, list_stack_resources=refused
            ),
            "lambda": lambda_client(*THREE, get_function_configuration=refused),
            "rds": FakeClient(),
            "cloudwatch": FakeClient(),
            "logs": FakeClient(filter_log_events={"events": []}),
            **clients,
        }
    )


def test_denied_parts_are_unavailable_and_the_others_are_loaded() -> None:
    status = collect_status(restricted_deployment())

    assert status.url == "https://shop.example.com/"
    assert isinstance(status.errors, Unavailable)
    assert isinstance(status.database, Unavailable)
    assert "AccessDeniedException" in status.database.reason
    shown = status.as_json()
    assert shown["admin_url"] == "https://shop.example.com/office/"
    assert shown["superuser"] == "admin@example.com"
    assert shown["replaced_settings"] == ["DEBUG: a reason"]
    table = render_status(status, CREATED, 80, "djambda logs").plain
    assert "admin@example.com" in table
    assert "https://shop.example.com/office/" in table
    assert "/djambda/dev/shop/superuser-password" in table
    assert "DEBUG: a reason" in table
    assert json.loads(json.dumps(shown["stack"], default=str))["status"] == "UPDATE_COMPLETE"
    assert shown["live"]["number"] == 3
    assert [version["number"] for version in shown["newer"]] == [4]
    assert (shown["database"], shown["month"], shown["maintenance"]) == (None, None, None)


def test_nothing_deployed() -> None:
    missing = refusal("ValidationError", "Stack with id dev-shop does not exist")

    with pytest.raises(CliError, match=r"dev-shop is not deployed in eu-west-1"):
        collect_status(restricted_deployment(cloudformation=FakeClient(describe_stacks=missing)))


def test_first_deploy_in_progress() -> None:
    stack = {"StackName": "dev-shop", "StackStatus": "CREATE_IN_PROGRESS", "CreationTime": CREATED}

    with pytest.raises(CliError, match=r"\(CREATE_IN_PROGRESS\)"):
        collect_status(
            restricted_deployment(cloudformation=FakeClient(describe_stacks={"Stacks": [stack]}))
        )


def test_failed_schedule_is_shown() -> None:
    run = {
        "started_at": "2026-11-26T10:29:00+00:00",
        "expires_at": "2026-11-26T10:44:00+00:00",
        "finished_at": "2026-11-26T10:30:00+00:00",
        "exit_code": 3,
        "request": "the-request",
        "version": "7",
    }
    stack = {
        "StackName": "dev-shop",
        "StackStatus": "UPDATE_COMPLETE",
        "CreationTime": CREATED,
        "Outputs": [
            {"OutputKey": "SiteUrl", "OutputValue": "https://shop.example.com/"},
            {"OutputKey": "BucketName", "OutputValue": "the-bucket"},
            {"OutputKey": "ScheduleNames", "OutputValue": "clear"},
        ],
    }
    described = {
        "ScheduleExpression": "rate(1 day)",
        "CreationDate": CREATED,
        "Target": {"Input": '{"schedule": "clear", "manage": "clearsessions"}'},
    }
    status = collect_status(
        restricted_deployment(
            cloudformation=FakeClient(
                describe_stacks={"Stacks": [stack]},
                list_stack_resources=refusal("AccessDeniedException"),
            ),
            scheduler=FakeClient(get_schedule=described),
            s3=FakeClient(get_object=lambda **_: {"Body": BytesIO(json.dumps(run).encode())}),
        )
    )

    [schedule] = status.as_json()["schedules"]
    assert (schedule["name"], schedule["last"]["outcome"]) == ("clear", "failed")
    page = render_status(status, datetime(2026, 11, 26, 10, 35, tzinfo=UTC), 100, "x").plain
    assert "1, 1 failed" in page
    assert "clear: failed 6 minutes ago (10:29) (exit code 3)" in page


def test_status_without_schedules_has_no_row() -> None:
    status = collect_status(restricted_deployment())

    assert status.as_json()["schedules"] == []
    assert "Schedules" not in render_status(status, CREATED, 100, "x").plain
