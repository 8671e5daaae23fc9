"""Checks of the deployed stack."""

import pytest

from djambda_cli.operations.checks_stack import check_stack
from djambda_cli.operations.findings import Level, run_check
from tests.unit.cli.aws_fakes import FakeClient, deployment


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
