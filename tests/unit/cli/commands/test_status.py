"""`djambda status`, `open` and `rollback`: what AWS's answers mean."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from djambda_cli.aws import versions
from djambda_cli.commands import rollback, status
from djambda_cli.commands.status import Database, Month, Unknown, Usage, ago, database_of, month_of
from djambda_cli.errors import CliError
from djambda_cli.operations import site
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr
from tests.unit.cli.aws_fakes import FakeClient, FakeDeployment, deployment, refusal

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:dev-shop-djambda-lambda"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CREATED = datetime(2026, 11, 1, tzinfo=UTC)


def published(number: str, **changes: Any) -> dict[str, Any]:
    """One version as Lambda lists it."""
    return {
        "Version": number,
        "LastModified": "2026-11-24T09:00:00.000+0000",
        "Architectures": ["arm64"],
        "MemorySize": 1024,
        "Timeout": 900,
        "Layers": [{"Arn": "arn:aws:lambda:eu-west-1:123456789012:layer:deps:4", "CodeSize": 1}],
        "Environment": {"Variables": {"RELEASE": f"release{number}", "DEBUG": ""}},
    } | changes


def lambda_(*listed: dict[str, Any], live: str = "3", **answers: Any) -> FakeClient:
    """Lambda with these versions."""
    alias = {"AliasArn": f"{ARN}:live", "FunctionVersion": live, "RevisionId": "r1"}
    usual = {
        "get_alias": alias,
        "list_versions_by_function": {"Versions": [published("$LATEST"), *listed]},
        "list_tags": {"Tags": {}},
    }
    return FakeClient(**{**usual, **answers})


def history(*listed: dict[str, Any], **answers: Any) -> versions.History:
    """The history of a function with these versions."""
    client = lambda_(*listed, **answers)
    return versions.history(deployment(**{"lambda": client}), client)  # type: ignore[arg-type]


THREE = tuple(published(number) for number in "234")


def test_versions_with_the_newest_first() -> None:
    past = history(*THREE, published("10"))

    assert [(each.number, each.is_live) for each in past.versions] == [
        (10, False),
        (4, False),
        (3, True),
        (2, False),
    ]
    assert [each.number for each in past.newer] == [10, 4]
    assert past.live.when == datetime(2026, 11, 24, 9, tzinfo=UTC)


def test_the_commit_is_a_tag_of_the_function() -> None:
    tags = {
        "Project": "djambda",
        "djambda:version:3": f"release3 {'a' * 40} changed",
        "djambda:version:2": f"of-a-stack-before {'b' * 40}",
    }
    past = history(*THREE, list_tags={"Tags": tags})

    assert {each.number: each.short_commit for each in past.versions} == {
        4: "unknown",
        3: "aaaaaaaaaa and changes",
        2: "unknown",
    }
    assert past.live.as_json() == {
        "number": 3,
        "published": "2026-11-24T09:00:00.000+0000",
        "release": "release3",
        "commit": f"{'a' * 40} changed",
        "is_live": True,
        "architecture": "arm64",
        "memory": 1024,
        "timeout": 900,
        "layers": ["arn:aws:lambda:eu-west-1:123456789012:layer:deps:4"],
    }


def test_no_version_yet() -> None:
    with pytest.raises(CliError, match=r"dev-shop-djambda-lambda has no live version"):
        history(get_alias=refusal("ResourceNotFoundException"))


def test_a_commit_is_recorded_for_the_newest_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "commit_of_checkout", lambda: "c" * 40)
    old = {f"djambda:version:{number}": "release x" for number in range(30)}
    client = lambda_(
        *THREE,
        list_tags={"Tags": old},
        get_function_configuration={"FunctionArn": ARN},
        tag_resource={},
        untag_resource={},
    )

    assert versions.record_commit(deployment(**{"lambda": client})) == "c" * 40
    calls = dict(client.asked)
    assert calls["tag_resource"] == {
        "Resource": ARN,
        "Tags": {"djambda:version:4": f"release4 {'c' * 40}"},
    }
    assert calls["untag_resource"]["TagKeys"] == [f"djambda:version:{n}" for n in range(10)]


def test_a_commit_that_is_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "commit_of_checkout", lambda: "later")
    client = lambda_(*THREE, list_tags={"Tags": {"djambda:version:4": "release4 earlier"}})

    assert versions.record_commit(deployment(**{"lambda": client})) == "earlier"


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
            "lambda": lambda_(*THREE, get_function_configuration=refused),
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


# Going back


@pytest.mark.parametrize(("asked", "number"), [(None, 2), (4, 4), (2, 2)])
def test_the_version_to_go_to(asked: int | None, number: int) -> None:
    assert rollback.chosen(history(*THREE), asked).number == number


def test_a_version_that_is_not_there() -> None:
    with pytest.raises(CliError, match=r"There is no version 9\. There are: 4, 3, 2"):
        rollback.chosen(history(*THREE), 9)


def test_no_version_before() -> None:
    with pytest.raises(CliError, match="there is none before it"):
        rollback.chosen(history(*THREE, live="2"), None)


def test_what_is_different_is_told_without_values() -> None:
    variables = {"RELEASE": "release2", "POSTGRES_USER": "secret-looking"}
    past = history(
        published("2", MemorySize=512, Environment={"Variables": variables}, Layers=[]),
        published("3"),
    )

    assert rollback.differences(past.live, past.versions[1]) == [
        "code: release3 becomes release2",
        "layer: deps:4 becomes none",
        "memory: 1024 MB becomes 512 MB",
        "variables: DEBUG, POSTGRES_USER",
    ]
    assert rollback.differences(past.live, past.live) == []


def answer(payload: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"Payload": io.BytesIO(json.dumps(payload).encode())} | more


def ask_migrations(*answers: Any) -> tuple[set[str] | None, list[str]]:
    """What the version says, and what the person saw meanwhile."""
    remaining = iter(answers)
    client = FakeClient(invoke=lambda **_: next(remaining))
    told: list[str] = []
    target = history(*THREE).live
    found = rollback.migrations_of(deployment(), client, target, told.append)  # type: ignore[arg-type]
    assert client.asked[0][1]["Qualifier"] == "3"
    return found, told


def test_migrations_come_from_the_code_of_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback, "PAUSE", 0)
    asleep = refusal("ResourceNotReadyException")

    assert ask_migrations(asleep, answer({"output": "core.0001 auth.0001\n"})) == (
        {"core.0001", "auth.0001"},
        ["Lambda gets it ready"],
    )


def test_a_version_that_does_not_start() -> None:
    broken = answer({"errorMessage": "No module named 'x'"}, FunctionError="Unhandled")

    with pytest.raises(CliError, match="Version 3 does not start") as error:
        ask_migrations(broken)
    assert error.value.output == "No module named 'x'"


def test_a_version_that_starts_but_cannot_tell() -> None:
    failed = answer({"errorMessage": "`shell -c x` failed"}, FunctionError="Unhandled")

    assert ask_migrations(failed) == (None, [])


def test_a_site_that_cannot_be_reached_from_here_is_no_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = [{"OutputKey": "SiteUrl", "OutputValue": "https://127.0.0.1:1/prod/"}]
    stack = {"StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}
    open_ = FakeClient(get_function_configuration={})
    here = deployment(
        cloudformation=FakeClient(describe_stacks={"Stacks": [stack]}), **{"lambda": open_}
    )

    site.look(here, Steps(stderr))

    assert "! https://127.0.0.1:1/prod/ cannot be reached from here" in capsys.readouterr().err


def test_the_alias_moves_only_from_where_it_was_seen() -> None:
    client = FakeClient(update_alias=refusal("PreconditionFailedException"))

    with pytest.raises(CliError, match="Somebody else has changed"):
        rollback.move(deployment(), client, history(*THREE).versions[-1], "r1")  # type: ignore[arg-type]
    [(_, asked)] = client.asked
    assert asked == {
        "FunctionName": "dev-shop-djambda-lambda",
        "Name": "live",
        "FunctionVersion": "2",
        "RevisionId": "r1",
    }
