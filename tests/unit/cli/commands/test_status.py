"""`djambda status` and `open`: what AWS's answers mean."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from djambda_cli.commands import status
from djambda_cli.commands.status import Database, Month, Unknown, Usage, ago, database_of, month_of
from djambda_cli.errors import CliError
from tests.unit.cli.aws_fakes import (
    THREE,
    FakeClient,
    FakeDeployment,
    deployment,
    lambda_client,
    refusal,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CREATED = datetime(2026, 11, 1, tzinfo=UTC)

# The database


def rds_event(message: str, minute: int) -> dict[str, Any]:
    return {"Message": message, "Date": NOW + timedelta(minutes=minute)}


def database(
    events: list[dict[str, Any]], sizes: list[float], cluster: str = "available"
) -> Database:
    points = [
        {"Timestamp": NOW + timedelta(minutes=minute), "Average": size}
        for minute, size in enumerate(sizes)
    ]
    clients = {
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
    return database_of(deployment(), clients)


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
def test_whether_the_database_sleeps(
    events: list[dict[str, Any]],
    sizes: list[float],
    state: str,
    since: int | None,
    acu: float | None,
) -> None:
    moment = None if since is None else NOW + timedelta(minutes=since)

    assert database(events, sizes) == Database("cluster", state, moment, acu)


def test_a_database_that_is_stopped() -> None:
    assert database([RESUMED], [], "stopped") == Database("cluster", "stopped", None, None)


# The month


def test_what_the_month_cost() -> None:
    month = Month(
        django=Usage(3000, 2, 900.0, 1024, "arm64"),
        front_door=Usage(3000, 0, 900.0, 256, "x86_64"),
        acu_hours=17.5,
    )

    assert month.dollars == {"database": 2.1, "lambda": 0.017, "api": 0.0105}


def test_use_is_summed_over_the_month() -> None:
    def statistics(**asked: Any) -> dict[str, Any]:
        statistic = asked["Statistics"][0]
        amount = {"Invocations": 10, "Errors": 1, "Duration": 1500, "ServerlessDatabaseCapacity": 2}
        return {
            "Datapoints": [
                {"Timestamp": NOW + timedelta(hours=hour), statistic: amount[asked["MetricName"]]}
                for hour in range(2)
            ]
        }

    resource = {"ResourceType": "AWS::RDS::DBCluster", "PhysicalResourceId": "cluster"}
    clients = {
        "cloudformation": FakeClient(
            list_stack_resources={"StackResourceSummaries": [resource]},
        ),
        "lambda": FakeClient(
            get_function_configuration={"MemorySize": 512, "Architectures": ["x86_64"]}
        ),
        "cloudwatch": FakeClient(get_metric_statistics=statistics),
    }
    usage = Usage(20, 2, 3.0, 512, "x86_64")

    assert month_of(deployment(), clients) == Month(usage, usage, 4.0)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now (12:00)"),
        (-5, "just now (12:00)"),
        (60, "1 minute ago (11:59)"),
        (3 * 3600, "3 hours ago (09:00)"),
        (86_400, "1 day ago (2026-11-23 12:00)"),
        (9 * 86_400, "9 days ago (2026-11-15 12:00)"),
    ],
)
def test_how_long_ago(seconds: int, said: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == said


# All of it


def whole(**clients: FakeClient) -> FakeDeployment:
    """A deployment of which little may be asked."""
    refused = refusal("AccessDeniedException")
    stack = {
        "StackName": "dev-shop",
        "StackStatus": "UPDATE_COMPLETE",
        "CreationTime": CREATED,
        "Outputs": [{"OutputKey": "SiteUrl", "OutputValue": "https://shop.example.com/"}],
    }
    return deployment(
        **{
            "cloudformation": FakeClient(
                describe_stacks={"Stacks": [stack]}, list_stack_resources=refused
            ),
            "lambda": lambda_client(*THREE, get_function_configuration=refused),
            "rds": FakeClient(),
            "cloudwatch": FakeClient(),
            "logs": FakeClient(filter_log_events={"events": []}),
            **clients,
        }
    )


def test_what_may_not_be_asked_is_unknown_and_the_rest_is_there() -> None:
    found = status.status_of(whole())

    assert found.url == "https://shop.example.com/"
    assert found.errors == []
    assert isinstance(found.database, Unknown)
    assert "AccessDeniedException" in found.database.reason
    known = found.as_json()
    assert json.loads(json.dumps(known["stack"], default=str))["status"] == "UPDATE_COMPLETE"
    assert known["live"]["number"] == 3
    assert [each["number"] for each in known["newer"]] == [4]
    assert (known["database"], known["month"], known["maintenance"]) == (None, None, None)


def test_nothing_deployed() -> None:
    missing = refusal("ValidationError", "Stack with id dev-shop does not exist")

    with pytest.raises(CliError, match=r"dev-shop is not deployed in eu-west-1"):
        status.status_of(whole(cloudformation=FakeClient(describe_stacks=missing)))


def test_a_first_deploy_that_is_under_way() -> None:
    stack = {"StackName": "dev-shop", "StackStatus": "CREATE_IN_PROGRESS", "CreationTime": CREATED}

    with pytest.raises(CliError, match=r"\(CREATE_IN_PROGRESS\)"):
        status.status_of(whole(cloudformation=FakeClient(describe_stacks={"Stacks": [stack]})))
