"""Checks of the deployed stack."""

import pytest

from djambda_cli.aws.database import Database
from djambda_cli.operations.checks_stack import (
    check_stack,
    rate_database,
    rate_errors,
    rate_versions,
)
from djambda_cli.operations.findings import Level, run_check
from tests.unit.cli.aws_fakes import THREE, FakeClient, deployment, live_history


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("UPDATE_COMPLETE", Level.OK),
        ("UPDATE_IN_PROGRESS", Level.WARNING),
        ("UPDATE_ROLLBACK_COMPLETE", Level.WARNING),
        ("ROLLBACK_COMPLETE", Level.PROBLEM),
        ("UPDATE_ROLLBACK_FAILED", Level.PROBLEM),
        ("DELETE_FAILED", Level.PROBLEM),
    ],
)
def test_stack_status(state: str, level: Level) -> None:
    stack = {"StackName": "dev-shop", "StackStatus": state, "CreationTime": None}
    clients = {name: FakeClient() for name in ("lambda", "rds", "cloudwatch", "logs")}
    clients["cloudformation"] = FakeClient(describe_stacks={"Stacks": [stack]})

    findings = run_check("the stack", lambda: check_stack(deployment(**clients)))

    assert findings[0].level is level
    assert findings[0].message.startswith("dev-shop: ")


@pytest.mark.parametrize(
    ("state", "levels"),
    [
        ("Active", [Level.OK, Level.WARNING]),
        ("Inactive", [Level.WARNING, Level.WARNING]),
        ("Failed", [Level.PROBLEM, Level.WARNING]),
    ],
)
def test_state_of_a_live_version_with_a_newer_one(state: str, levels: list[Level]) -> None:
    findings = list(
        rate_versions(live_history(*THREE), state=state, reason="", deploy="djambda deploy")
    )

    assert [finding.level for finding in findings] == levels
    assert [finding.message[:10] for finding in findings] == ["version 3 ", "version 4 "]


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("paused", Level.OK),
        ("available", Level.OK),
        ("upgrading", Level.WARNING),
        ("storage-full", Level.PROBLEM),
    ],
)
def test_database_state(state: str, level: Level) -> None:
    assert rate_database(Database("cluster", state, None, None)).level is level


@pytest.mark.parametrize(("count", "message"), [(1, "1 error in"), (3, "3 errors in")])
def test_recent_errors(count: int, message: str) -> None:
    finding = rate_errors(count, "djambda logs")

    assert (finding.level, finding.action) == (Level.WARNING, "djambda logs")
    assert finding.message.startswith(message)
