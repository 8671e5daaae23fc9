"""Ctrl-C while CloudFormation works."""

from typing import Any

import pytest
import typer

from djambda_cli.operations.interruption import report_continuation
from tests.unit.cli.aws_fakes import FakeClient, deployment


def client_with(status: str) -> FakeClient:
    stack: dict[str, Any] = {"StackName": "dev-shop", "StackStatus": status}
    return FakeClient(describe_stacks={"Stacks": [stack]})


def test_running_operation_continues(capsys: pytest.CaptureFixture[str]) -> None:
    site = deployment(cloudformation=client_with("DELETE_IN_PROGRESS"))

    with pytest.raises(typer.Exit) as exit_, report_continuation(site, "the deletion"):
        raise KeyboardInterrupt

    assert exit_.value.exit_code == 130
    output = capsys.readouterr().err
    assert "continues the deletion" in output
    assert "djambda status" in output


def test_interruption_of_anything_else_is_passed_on() -> None:
    site = deployment(cloudformation=client_with("UPDATE_COMPLETE"))

    with pytest.raises(KeyboardInterrupt), report_continuation(site, "the deletion"):
        raise KeyboardInterrupt
