"""The state of the database cluster, from its events and its size."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from djambda_cli.aws.database import Database, load_database
from tests.unit.cli.aws_fakes import FakeClient

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def rds_event(message: str, minute: int) -> dict[str, Any]:
    return {"Message": message, "Date": NOW + timedelta(minutes=minute)}


def database(
    events: list[dict[str, Any]], sizes: list[float], cluster: str = "available"
) -> Database:
    points = [
        {"Timestamp": NOW + timedelta(minutes=minute), "Average": size}
        for minute, size in enumerate(sizes)
    ]
    clients: dict[str, Any] = {
        "cloudformation": FakeClient(
            list_stack_resources={
                "StackResourceSummaries": [
                    {"ResourceType": "AWS::S3::Bucket", "PhysicalResourceId": "bucket"},
                    {"ResourceType": "AWS::RDS::DBCluster", "PhysicalResourceId": "cluster"},
                ]
            }
        ),
        "rds": FakeClient(
            describe_db_clusters={
                "DBClusters": [
                    {
                        "Status": cluster,
                        "DBClusterMembers": [{"DBInstanceIdentifier": "writer"}],
                    }
                ]
            },
            describe_events={"Events": events},
        ),
        "cloudwatch": FakeClient(get_metric_statistics={"Datapoints": points[::-1]}),
    }
    return load_database(
        clients["cloudformation"], clients["rds"], clients["cloudwatch"], "dev-shop"
    )


PAUSED = rds_event("Successfully paused the DB instance.", 1)
RESUMING = rds_event("Initiated resume for the DB instance.", 2)
RESUMED = rds_event("Successfully resumed the DB instance.", 3)
ABOUT_TO = rds_event("Initiated pause for the DB instance.", 4)
BACKUP = rds_event("Finished DB instance backup", 9)


@pytest.mark.parametrize(
    ("events", "sizes", "state", "since", "acu"),
    [
        ([PAUSED, BACKUP], [0.5, 0], "paused", 1, 0),
        ([RESUMING, PAUSED], [0], "resuming", 2, 0),
        ([PAUSED, RESUMED, RESUMING], [0, 0.5], "awake", 3, 0.5),
        ([ABOUT_TO, RESUMED], [0.5], "awake", 4, 0.5),
        ([BACKUP], [0], "paused", None, 0),
        ([], [1.5], "awake", None, 1.5),
        ([], [], "available", None, None),
    ],
)
def test_database_state(
    events: list[dict[str, Any]],
    sizes: list[float],
    state: str,
    since: int | None,
    acu: float | None,
) -> None:
    moment = None if since is None else NOW + timedelta(minutes=since)

    assert database(events, sizes) == Database("cluster", state, moment, acu)


def test_stopped_database() -> None:
    assert database([RESUMED], [], "stopped") == Database("cluster", "stopped", None, None)
