"""The changes that a CloudFormation change set would make."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.stacks import readable_id

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ResourceChangeTypeDef

HOLDS_DATA = {
    "AWS::RDS::DBCluster": "the database",
    "AWS::S3::Bucket": "uploads and static files",
    "AWS::DynamoDB::Table": "a table",
    "AWS::EFS::FileSystem": "files",
    "AWS::SQS::Queue": "waiting messages",
    "Custom::EmptiedBucket": "all files in the bucket",
    "Custom::GeneratedSecrets": "the secrets",
}
"""The data in resources of these types, which a replacement or a deletion loses."""

TASKS_FOR_LATER = ("AWS::Scheduler::ScheduleGroup", "TasksLater")
"""The group of the schedules that Django creates. Those of the project are in its configuration."""

EFFECTS = {
    "add": "added",
    "change": "changed",
    "replace": "replaced",
    "risk": "possibly replaced",
    "remove": "removed",
    "leave": "removed from the stack, but not deleted",
}
"""The kinds of changes, and their names for people."""


@dataclass(frozen=True)
class Change:
    """The change of one resource. `kind` is a key of `EFFECTS`, `type` is CloudFormation's."""

    kind: str
    type: str
    name: str

    @property
    def data(self) -> str:
        """The data in the resource, "" if there is none."""
        if (self.type, self.name) == TASKS_FOR_LATER:
            return "tasks for later, and tasks that wait"
        return HOLDS_DATA.get(self.type, "")

    @property
    def endangers_data(self) -> bool:
        """True if the resource's data is lost, or no longer managed by the stack."""
        return self.kind in {"replace", "risk", "remove", "leave"} and bool(self.data)


def summarize(changes: Sequence[Change]) -> str:
    """Return the number of changes of each kind, such as "2 added, 5 changed"."""
    counts = Counter(
        change.kind for change in changes if change.kind != "leave" or change.endangers_data
    )
    return ", ".join(f"{counts[kind]} {effect}" for kind, effect in EFFECTS.items() if counts[kind])


def load_changes(
    client: "CloudFormationClient", stack: str, change_set: str
) -> list[Change] | None:
    """Return the changes of a change set; None if it is gone because another was executed."""
    pages = client.get_paginator("describe_change_set").paginate(
        StackName=stack, ChangeSetName=change_set
    )
    with aws_errors():
        try:
            changes = [item["ResourceChange"] for page in pages for item in page.get("Changes", [])]
        except ClientError as error:
            if error.response["Error"]["Code"].startswith("ChangeSetNotFound"):
                return None
            raise
    return [
        Change(kind_of(change), change["ResourceType"], readable_id(change["LogicalResourceId"]))
        for change in changes
    ]


def kind_of(change: "ResourceChangeTypeDef") -> str:
    """Return the kind of a change.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
    """
    policy = change.get("PolicyAction", "")
    match change["Action"], change.get("Replacement", ""):
        case "Modify", replacement:
            if replacement == "True" or policy.startswith("Replace"):
                return "replace"
            # Custom resources are "Conditional" at each change, and are never replaced.
            is_custom = change["ResourceType"].startswith("Custom::")
            is_risk = replacement == "Conditional" and change["ResourceType"] in HOLDS_DATA
            return "risk" if is_risk and not is_custom else "change"
        case "Remove", _:
            return "leave" if policy == "Retain" else "remove"
    return "add"
