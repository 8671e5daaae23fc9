"""What CloudFormation knows of a stack: its state, what a change set would do, why a deploy failed.

`deploy` and `destroy` read here and decide; changes are made elsewhere.
"""

import itertools
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from djambda_cli.aws.errors import aws_errors
from djambda_cli.errors import CliError
from djambda_cli.steps import Progress
from djambda_common.names import OMISSION, RELEASE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import (
        ResourceChangeTypeDef,
        StackEventTypeDef,
        StackTypeDef,
    )
    from mypy_boto3_logs import CloudWatchLogsClient

POLL_SECONDS = 2.0
UNDER_REVIEW = "REVIEW_IN_PROGRESS"
"""A stack of which there is a change set and nothing else."""

HOLDS_DATA = {
    "AWS::RDS::DBCluster": "the database",
    "AWS::S3::Bucket": "uploads and static files",
    "AWS::DynamoDB::Table": "a table",
    "AWS::EFS::FileSystem": "files",
    "AWS::SQS::Queue": "waiting messages",
    "Custom::EmptiedBucket": "all files in the bucket",
    "Custom::GeneratedSecrets": "the secrets",
}
"""Types of resources that are not the same after a replacement, and what is in them."""

HASH = re.compile(r"(?<=.)[0-9A-F]{8}([0-9a-f]{32})?$")
"""What the CDK adds to a resource's name."""

LOG_TRIES = 4
"""A line is in the log some seconds after it was written."""
RELEASE_SECONDS = 15 * 60
PLATFORM = re.compile(r"(START|END|REPORT) RequestId:")
CANCELLED = re.compile(r"Resource (creation|update|deletion) cancelled")
FROM_CUSTOM_RESOURCE = re.compile(
    r"^Received response status \[FAILED\] from custom resource\. Message returned: "
    r"|\s*\(RequestId: [0-9a-f-]+\)$"
)


@dataclass(frozen=True)
class Change:
    """What a change set would do to one resource.

    `kind` is add, change, replace, risk (perhaps a replacement), remove or leave (it stays, but the
    stack forgets it).
    """

    kind: str
    type: str
    name: str

    @property
    def of_data(self) -> bool:
        """Whether data would be lost, or left behind where nobody looks for them."""
        return self.kind in {"replace", "risk", "remove", "leave"} and self.type in HOLDS_DATA


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
        progress(stack["StackStatus"])
        time.sleep(POLL_SECONDS)


def is_busy(stack: "StackTypeDef") -> bool:
    """Return whether a deploy, a rollback or a deletion is in progress."""
    status = stack["StackStatus"]
    return status.endswith("_IN_PROGRESS") and status != UNDER_REVIEW


def load_changes(
    client: "CloudFormationClient", stack: str, change_set: str
) -> list[Change] | None:
    """Return the changes of a change set; None if it is gone because another was executed."""
    pages = client.get_paginator("describe_change_set").paginate(
        StackName=stack, ChangeSetName=change_set
    )
    found = []
    with aws_errors():
        try:
            for page in pages:
                for each in page.get("Changes", []):
                    change = each["ResourceChange"]
                    found.append(
                        Change(
                            _kind(change),
                            change["ResourceType"],
                            HASH.sub("", change["LogicalResourceId"]),
                        )
                    )
        except ClientError as error:
            if error.response["Error"]["Code"].startswith("ChangeSetNotFound"):
                return None
            raise
    return found


def _kind(change: "ResourceChangeTypeDef") -> str:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html"""
    policy = change.get("PolicyAction", "")
    match change["Action"], change.get("Replacement", ""):
        case "Modify", replacement:
            if replacement == "True" or policy.startswith("Replace"):
                return "replace"
            # Custom resources, for one, are "Conditional" at each change.
            return "risk" if replacement == "Conditional" and _is_aws(change) else "change"
        case "Remove", _:
            return "leave" if policy == "Retain" else "remove"
    return "add"


def _is_aws(change: "ResourceChangeTypeDef") -> bool:
    return change["ResourceType"] in HOLDS_DATA and change["ResourceType"].startswith("AWS::")


def events(client: "CloudFormationClient", stack_id: str) -> "Iterator[StackEventTypeDef]":
    """Yield the stack's events, the newest first."""
    with aws_errors():
        pages = client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        for page in pages:
            yield from page["StackEvents"]


def failure_reason(
    client: "CloudFormationClient", logs: "CloudWatchLogsClient", stack: "StackTypeDef"
) -> str | None:
    """What CloudFormation says of the resource that failed first in the stack's last operation.

    The release's own words are in full: where they were too long for CloudFormation, from its log.
    """
    failed = None
    for event in events(client, stack["StackId"]):
        if event["LogicalResourceId"] == stack["StackName"] and event["ResourceStatus"] in {
            "CREATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS",
            "DELETE_IN_PROGRESS",
        }:
            break
        reason = event.get("ResourceStatusReason", "")
        if (
            event["ResourceStatus"].endswith("_FAILED")
            and event["LogicalResourceId"] != stack["StackName"]
            and not CANCELLED.match(reason)
        ):
            failed = event
    if failed is None:
        return None
    reason = FROM_CUSTOM_RESOURCE.sub("", failed.get("ResourceStatusReason", ""))
    if failed["ResourceType"] == "Custom::DjangoRelease":
        if OMISSION in reason:
            log_group = f"/aws/lambda/{stack['StackName']}{RELEASE_SUFFIX}"
            return _whole(logs, log_group, reason, failed["Timestamp"].timestamp()) or reason
        return reason
    return f"{failed['ResourceType']} {HASH.sub('', failed['LogicalResourceId'])}: {reason}"


def _whole(logs: "CloudWatchLogsClient", log_group: str, reason: str, when: float) -> str | None:
    """The release's reason as it logged it, just before `when`; None if it is not there."""
    first_line = reason.partition("\n")[0]
    for _ in range(LOG_TRIES):
        try:
            logged = _log_of_release(logs, log_group, since=when - RELEASE_SECONDS)
        except CliError:  # The log has gone with a stack, or may not be read.
            return None
        for number, said in reversed(list(enumerate(logged))):
            if first_line in said:
                # The local cloud's log has a line in each event.
                rest = itertools.takewhile(lambda line: not PLATFORM.match(line), logged[number:])
                return "\n".join(rest if said.endswith(first_line) else [said]).rstrip()
        time.sleep(POLL_SECONDS)
    return None


def _log_of_release(logs: "CloudWatchLogsClient", log_group: str, since: float) -> list[str]:
    with aws_errors():
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=log_group, startTime=int(since) * 1000
        )
        return [_message_of(event["message"]) for page in pages for event in page["events"]]


def _message_of(line: str) -> str:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html#python-logging-advanced"""
    try:
        logged = json.loads(line)
    except ValueError:
        return line
    return str(logged.get("message", "")) if isinstance(logged, dict) else line
