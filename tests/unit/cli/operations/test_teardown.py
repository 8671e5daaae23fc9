"""Deleting a stack: its inventory, the order of calls, and the resources that are kept."""

import io
from typing import Any

import pytest
from rich.console import Console

from djambda_cli.errors import CliError
from djambda_cli.operations.teardown import (
    Inventory,
    delete_stack,
    load_inventory,
    load_kept_resources,
)
from djambda_cli.steps import Steps
from tests.unit.cli.stack_fakes import STACK_ID, STACK_TYPE, FakeAws, Item, events, stack

TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Database": {"Type": "AWS::RDS::DBCluster", "DeletionPolicy": "Snapshot"},
        "Assets": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
        "Secrets": {
            "Type": "Custom::GeneratedSecrets",
            "Properties": {"Path": "/djambda/prod/my-app", "Keep": "true"},
        },
        "Django": {"Type": "AWS::Lambda::Function"},
        "Deleted": {"Type": "AWS::Lambda::Function"},
        "NotCreated": {"Type": "AWS::Lambda::Function"},
        "Network": {"Type": "AWS::EC2::VPC"},
        "Mail": {"Type": "AWS::SES::EmailIdentity", "DeletionPolicy": "RetainExceptOnCreate"},
        "Dkim": {"Type": "AWS::Route53::RecordSet", "DeletionPolicy": "RetainExceptOnCreate"},
    }
}
RESOURCES = [
    {
        "LogicalResourceId": name,
        "PhysicalResourceId": f"the-{name.lower()}",
        "ResourceStatus": "DELETE_COMPLETE" if name == "Deleted" else "CREATE_COMPLETE",
    }
    for name in TEMPLATE["Resources"]
    if name != "NotCreated"
]
SECRETS = ["/djambda/prod/my-app/secret-key", "/djambda/prod/my-app/superuser-password"]
INVENTORY = Inventory(
    clusters=["the-database"],
    keeps_snapshots=True,
    buckets=["the-assets"],
    keeps_buckets=True,
    secrets_path="/djambda/prod/my-app",
    parameters=SECRETS,
    keeps_parameters=True,
    kept_identities=["the-mail"],
    others=2,
    vpc="the-network",
)


def test_inventory_of_stack_and_template() -> None:
    aws = FakeAws(
        pages={
            "list_stack_resources": [{"StackResourceSummaries": RESOURCES}],
            "get_parameters_by_path": [{"Parameters": [{"Name": name}]} for name in SECRETS],
        },
        responses={"get_template": {"TemplateBody": TEMPLATE}},
    )

    assert load_inventory(aws.deployment(), stack("UPDATE_COMPLETE")) == INVENTORY


def test_kept_resources_come_with_the_command_to_delete_them() -> None:
    snapshots = [{"DBClusterSnapshots": [{"DBClusterSnapshotIdentifier": "the-last"}]}]
    aws = FakeAws(pages={"describe_db_cluster_snapshots": snapshots})

    kept = load_kept_resources(aws.deployment(), INVENTORY)

    assert [(resource.name, resource.delete) for resource in kept] == [
        (
            "the-last",
            "aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier the-last",
        ),
        ("the-assets", "aws s3 rb --force s3://the-assets"),
        ("/djambda/prod/my-app", f"aws ssm delete-parameters --names {' '.join(SECRETS)}"),
        ("the-mail", "aws sesv2 delete-email-identity --email-identity the-mail"),
    ]


def test_many_parameters_are_deleted_ten_at_a_time() -> None:
    names = [f"/djambda/prod/my-app/env/NAME_{number}" for number in range(21)]
    inventory = Inventory(
        secrets_path="/djambda/prod/my-app", keeps_parameters=True, parameters=names
    )

    [kept] = load_kept_resources(FakeAws().deployment(), inventory)

    groups = [
        command.removeprefix("aws ssm delete-parameters --names ").split()
        for command in kept.delete.split(" && ")
    ]
    assert [len(group) for group in groups] == [10, 10, 1]
    assert [name for group in groups for name in group] == names


def test_ephemeral_deployment_keeps_nothing() -> None:
    assert load_kept_resources(FakeAws().deployment(), Inventory(["db"], others=50)) == []


def delete(
    described: list[Item | None], reason: str, *interfaces: Item
) -> tuple[list[str], list[float]]:
    """Delete a stack that is then described so; return the calls, and the pauses in between.

    `reason` is the reason of a failure, and `interfaces` are in the stack's network.
    """
    rows = events(
        ("prod-my-app", STACK_TYPE, "DELETE_FAILED", "The following resource(s) failed: [Group]."),
        ("Group", "AWS::EC2::SecurityGroup", "DELETE_FAILED", reason),
        ("prod-my-app", STACK_TYPE, "DELETE_IN_PROGRESS", "User Initiated"),
    )
    aws = FakeAws(
        described,
        {"describe_stack_events": rows},
        {"describe_network_interfaces": {"NetworkInterfaces": list(interfaces)}},
    )
    pauses: list[float] = []
    delete_stack(
        aws.deployment(),
        stack("UPDATE_COMPLETE", EnableTerminationProtection=True),
        INVENTORY,
        Steps(Console(file=io.StringIO())),
        sleep=pauses.append,
    )
    return aws.calls, [pause for pause in pauses if pause]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("djambda_cli.aws.stacks.POLL_SECONDS", 0)


def test_protection_is_removed_before_the_deletion() -> None:
    calls, pauses = delete([stack("DELETE_IN_PROGRESS"), stack("DELETE_COMPLETE")], "")

    assert calls == [
        f"update_termination_protection {STACK_ID} False",
        "modify_db_cluster the-database False True",
        f"delete_stack {STACK_ID}",
    ]
    assert pauses == []


IN_USE = "resource sg-1 has a dependent object"


def test_deletion_is_retried_until_lambda_releases_its_network_interfaces() -> None:
    failed = stack("DELETE_FAILED")
    of_lambda = {"NetworkInterfaceId": "eni-1", "InterfaceType": "lambda"}

    calls, pauses = delete([failed, failed, stack("DELETE_COMPLETE")], IN_USE, of_lambda)

    assert calls.count(f"delete_stack {STACK_ID}") == 3
    assert pauses == [60, 60]


def test_deletion_is_not_retried_while_the_network_has_foreign_interfaces() -> None:
    restored_database = {
        "NetworkInterfaceId": "eni-2",
        "InterfaceType": "interface",
        "Description": "RDSNetworkInterface",
    }

    with pytest.raises(CliError, match=r"Delete eni-2 \(RDSNetworkInterface\), then") as error:
        delete([stack("DELETE_FAILED")], IN_USE, restored_database)

    assert IN_USE in error.value.output


def test_failed_deletion_names_the_resource_and_the_reason() -> None:
    with pytest.raises(CliError, match="prod-my-app is only partly deleted") as error:
        delete([stack("DELETE_FAILED")], "You are not authorized")

    assert error.value.output == "AWS::EC2::SecurityGroup Group: You are not authorized"
