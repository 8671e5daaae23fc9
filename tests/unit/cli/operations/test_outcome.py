"""The message for each state in which a deploy can leave the stack."""

import pytest

from djambda_cli.operations.outcome import Commands, failure_message, stuck_message

COMMANDS = Commands("djambda deploy", "djambda destroy")


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("ROLLBACK_FAILED", "djambda destroy, "),
        ("DELETE_FAILED", "djambda destroy. Then: djambda deploy"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name shop"),
    ],
)
def test_stuck_stack_names_the_command_to_fix_it(status: str, command: str) -> None:
    message = stuck_message(status, "shop", COMMANDS)

    assert message is not None
    assert command in message
    assert failure_message(status, "shop", COMMANDS, restored="6") == message


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "CREATE_FAILED"])
def test_stack_that_can_be_deployed_to(status: str) -> None:
    assert stuck_message(status, "shop", COMMANDS) is None


@pytest.mark.parametrize(
    ("status", "restored", "fact"),
    [
        ("UPDATE_ROLLBACK_COMPLETE", "", "live all the time"),
        ("UPDATE_ROLLBACK_COMPLETE", "6", "Version 6 is live again"),
        ("CREATE_FAILED", "", "djambda destroy"),
        ("ROLLBACK_COMPLETE", "", "deleted"),
    ],
)
def test_failed_deploy_describes_the_site_and_names_the_retry(
    status: str, restored: str, fact: str
) -> None:
    message = failure_message(status, "shop", COMMANDS, restored=restored)

    assert fact in message
    assert "djambda deploy" in message
