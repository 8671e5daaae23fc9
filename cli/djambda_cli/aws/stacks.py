"""The state of a CloudFormation stack, and its events."""

import re
import time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from djambda_cli.aws.errors import aws_errors
from djambda_cli.steps import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef

POLL_SECONDS = 2.0
UNDER_REVIEW = "REVIEW_IN_PROGRESS"
"""The status of a stack that has only a change set."""

LOG_GROUP = "AWS::Logs::LogGroup"
ABSENT = {"CREATE_IN_PROGRESS", "CREATE_FAILED", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"}
"""The statuses of resources that may not exist yet, or no longer."""

HASH = re.compile(r"(?<=.)[0-9A-F]{8}([0-9a-f]{32})?$")
"""The suffix that the CDK adds to a construct's name; a Lambda version has a second one."""


def describe(client: "CloudFormationClient", stack: str) -> "StackTypeDef | None":
    """Return the stack with this name or id, or None if there is none."""
    with aws_errors():
        try:
            stacks = client.describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
    return stacks[0]


def wait_until_idle(
    client: "CloudFormationClient", name: str, progress: Progress
) -> "StackTypeDef | None":
    """Return the stack once no operation on it is in progress, or None if there is none."""
    while True:
        stack = describe(client, name)
        if stack is None or not is_busy(stack):
            return stack
        progress(stack["StackStatus"].replace("_", " ").lower())
        time.sleep(POLL_SECONDS)


def is_busy(stack: "StackTypeDef") -> bool:
    """Return whether a deploy, a rollback or a deletion is in progress."""
    status = stack["StackStatus"]
    return status.endswith("_IN_PROGRESS") and status != UNDER_REVIEW


def has_changed(before: "StackTypeDef | None", now: "StackTypeDef | None") -> bool:
    """Return whether an operation has begun on the stack between two descriptions of it."""
    if now is None or now["StackStatus"] == UNDER_REVIEW:
        return False
    if before is None or is_busy(now):
        return True
    keys = ("StackId", "LastUpdatedTime", "StackStatus")
    return any(now.get(key) != before.get(key) for key in keys)


def events(client: "CloudFormationClient", stack_id: str) -> "Iterator[StackEventTypeDef]":
    """Yield the stack's events, the newest first."""
    with aws_errors():
        pages = client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        for page in pages:
            yield from page["StackEvents"]


def log_groups(client: "CloudFormationClient", stack: str) -> set[str]:
    """Return the names of a stack's log groups, none if there is no stack."""
    with aws_errors():
        try:
            pages = list(client.get_paginator("list_stack_resources").paginate(StackName=stack))
        except ClientError as error:
            if "does not exist" in str(error):
                return set()
            raise
    return {
        resource.get("PhysicalResourceId", "")
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == LOG_GROUP and resource["ResourceStatus"] not in ABSENT
    }


def set_termination_protection(
    client: "CloudFormationClient", stack_id: str, *, enabled: bool
) -> None:
    """Protect a stack against deletion, or remove this protection."""
    with aws_errors():
        client.update_termination_protection(
            StackName=stack_id, EnableTerminationProtection=enabled
        )


def readable_id(logical_id: str) -> str:
    """Return a logical id without the hash that the CDK adds."""
    return HASH.sub("", logical_id)
