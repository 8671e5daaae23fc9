"""The reason why a stack operation failed."""

import itertools
import json
import re
import time
from typing import TYPE_CHECKING

from djambda_cli.aws import stacks
from djambda_cli.aws.errors import aws_errors
from djambda_cli.errors import CliError
from djambda_common.names import OMISSION, RELEASE_SUFFIX

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient

BEGINNINGS = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}
LOG_ATTEMPTS = 4
"""A log line becomes readable some seconds after it was written."""
RELEASE_SECONDS = 15 * 60
LAMBDA_LINE = re.compile(r"(START|END|REPORT) RequestId:")
CANCELED = re.compile(r"Resource (creation|update|deletion) cancelled")
WRAPPER = re.compile(
    r"^Received response status \[FAILED\] from custom resource\. Message returned: "
    r"|\s*\(RequestId: [0-9a-f-]+\)$"
)
"""CloudFormation's words around the message of a custom resource."""

EXISTS = re.compile(r"already\s?exists?", re.IGNORECASE)
REMEDIES = {
    "AWS::SES::EmailIdentity": "\nTo send mail with the identity that exists, set "
    "MAIL_IDENTITY=existing."
}
"""For a type of resource, what to do if a resource with that name exists outside the stack."""


def failure_reason(
    client: "CloudFormationClient", logs: "CloudWatchLogsClient", stack: "StackTypeDef"
) -> str | None:
    """Return the reason of the first failed resource in the last operation; None if none failed.

    A release's output is complete: if it was too long for CloudFormation, it comes from the log.
    """
    name, first_failure = stack["StackName"], None
    for event in stacks.events(client, stack["StackId"]):
        is_stack = event["LogicalResourceId"] == name
        if is_stack and event["ResourceStatus"] in BEGINNINGS:
            break
        if (
            not is_stack
            and event["ResourceStatus"].endswith("_FAILED")
            and not CANCELED.match(event.get("ResourceStatusReason", ""))
        ):
            first_failure = event
    if first_failure is None:
        return None
    reason = WRAPPER.sub("", first_failure.get("ResourceStatusReason", ""))
    if first_failure["ResourceType"] != "Custom::DjangoRelease":
        kind = first_failure["ResourceType"]
        remedy = REMEDIES.get(kind, "") if EXISTS.search(reason) else ""
        return f"{kind} {stacks.readable_id(first_failure['LogicalResourceId'])}: {reason}{remedy}"
    if OMISSION in reason:
        since = first_failure["Timestamp"].timestamp() - RELEASE_SECONDS
        return _load_logged_reason(logs, f"/aws/lambda/{name}{RELEASE_SUFFIX}", reason, since)
    return reason


def _load_logged_reason(
    logs: "CloudWatchLogsClient", log_group: str, reason: str, since: float
) -> str:
    """Return the complete text of a shortened reason; `reason` itself if it is not logged."""
    first_line = reason.partition("\n")[0]
    for _ in range(LOG_ATTEMPTS):
        try:
            messages = _load_messages(logs, log_group, since)
        except CliError:  # The log was deleted with the stack, or may not be read.
            return reason
        for index, message in reversed(list(enumerate(messages))):
            if message.endswith(first_line):  # The emulator logs each line as an event.
                lines = itertools.takewhile(
                    lambda line: not LAMBDA_LINE.match(line), messages[index:]
                )
                return "\n".join(lines).rstrip()
            if first_line in message:
                return message.rstrip()
        time.sleep(stacks.POLL_SECONDS)
    return reason


def _load_messages(logs: "CloudWatchLogsClient", log_group: str, since: float) -> list[str]:
    with aws_errors():
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=log_group, startTime=int(since) * 1000
        )
        return [_message(event["message"]) for page in pages for event in page["events"]]


def _message(line: str) -> str:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html#python-logging-advanced"""
    try:
        logged = json.loads(line)
    except ValueError:
        return line
    return str(logged.get("message", "")) if isinstance(logged, dict) else line
