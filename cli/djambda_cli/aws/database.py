"""The state of the stack's database cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.metrics import SECONDS_PER_MINUTE, capacity, load_datapoints

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

CLUSTER_TYPE = "AWS::RDS::DBCluster"

STATE_AFTER_EVENT = {
    "Successfully paused": "paused",
    "Initiated resume": "resuming",
    "Successfully resumed": "awake",
    "Initiated pause": "awake",
    "Pause was canceled": "awake",
}
"""The beginnings of the messages of RDS-EVENT-0370 to 0374, and the state after each:
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Events.Messages.html"""
EVENT_MINUTES = 14 * 24 * 60
"""RDS keeps events for 14 days."""


@dataclass(frozen=True)
class Database:
    """The cluster's state since a time: awake, paused, resuming, or the status that RDS reports.

    `acu` is its size some minutes ago. `since` and `acu` are None if unknown.
    """

    cluster: str
    state: str
    since: datetime | None
    acu: float | None


def load_cluster_id(client: "CloudFormationClient", stack: str) -> str:
    """Return the id of the stack's cluster."""
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
    return next(
        str(resource["PhysicalResourceId"])
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == CLUSTER_TYPE
    )


def load_database(
    cloudformation: "CloudFormationClient",
    rds: Any,
    cloudwatch: Any,
    stack: str,
) -> Database:
    """Return the state of the stack's cluster, without waking it. Raises `CliError`."""
    with aws_errors():
        cluster_id = load_cluster_id(cloudformation, stack)
        [cluster] = rds.describe_db_clusters(DBClusterIdentifier=cluster_id)["DBClusters"]
        sizes = load_datapoints(
            cloudwatch,
            capacity(cluster_id),
            "Average",
            since=datetime.now(UTC) - timedelta(minutes=10),
            period=SECONDS_PER_MINUTE,
        )
        acu = sizes[-1] if sizes else None
        if cluster["Status"] != "available":
            return Database(cluster_id, cluster["Status"], None, acu)
        events = [
            event
            for member in cluster.get("DBClusterMembers", [])
            for page in rds.get_paginator("describe_events").paginate(
                SourceType="db-instance",
                SourceIdentifier=member["DBInstanceIdentifier"],
                Duration=EVENT_MINUTES,
            )
            for event in page["Events"]
        ]
    state, since = database_state(events, acu)
    return Database(cluster_id, state, since, acu)


def database_state(
    events: Sequence[dict[str, Any]], acu: float | None
) -> tuple[str, datetime | None]:
    """Return the state of an available cluster, and its beginning if an event shows it.

    RDS reports a paused cluster as available too; only its last event, or its size, differs.
    """
    for event in sorted(events, key=lambda event: event["Date"], reverse=True):
        for beginning, state in STATE_AFTER_EVENT.items():
            if event["Message"].startswith(beginning):
                return state, event["Date"]
    if acu is None:
        return "available", None
    return "awake" if acu else "paused", None
