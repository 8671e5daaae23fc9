"""Delete a stack: an inventory of its data, the deletion, and the resources that it keeps.

The template decides which data CloudFormation keeps: unless the deployment is ephemeral, a final
snapshot of the database, the bucket, and the secrets that both need.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from djambda_cli.aws import stacks
from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.failures import failure_reason
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_cli.steps import Progress, Steps

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackResourceSummaryTypeDef, StackTypeDef

RETAINING = {"Retain", "RetainExceptOnCreate"}
GONE = "DELETE_COMPLETE"
NETWORK_IN_USE = re.compile(
    r"dependent object|DependencyViolation|has dependencies|currently in use"
)
"""EC2's messages for a subnet or security group that still has network interfaces; the events of a
stack have no error codes."""
RETRY_SECONDS = 60.0
ATTEMPTS = 45
"""Lambda may keep its network interfaces for 20, rarely 40 minutes after a function's deletion:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"""

STORAGE_COST = "about $0.02 a month for each GB"
"""For snapshots and for S3 in us-east-1, https://aws.amazon.com/rds/aurora/pricing and
https://aws.amazon.com/s3/pricing"""


PARAMETERS_AT_ONCE = 10
"""https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameters.html"""


@dataclass(frozen=True)
class KeptResource:
    """A resource that is still there after the deletion, and the command that deletes it."""

    description: str
    name: str
    cost: str
    delete: str


@dataclass(frozen=True)
class Inventory:
    """The resources of a stack, and which of them the deletion keeps.

    `secrets_path` is the path of the parameters, and `vpc` the id of the network, "" without one.
    """

    clusters: list[str] = field(default_factory=list)
    keeps_snapshots: bool = False
    buckets: list[str] = field(default_factory=list)
    keeps_buckets: bool = False
    secrets_path: str = ""
    parameters: list[str] = field(default_factory=list)
    keeps_parameters: bool = False
    kept_identities: list[str] = field(default_factory=list)
    others: int = 0
    vpc: str = ""


def load_inventory(deployment: Deployment, stack: "StackTypeDef") -> Inventory:
    """Return the inventory of a stack. Raises `CliError`."""
    client: CloudFormationClient = deployment.client("cloudformation")
    with aws_errors():
        body: Any = client.get_template(StackName=stack["StackId"])["TemplateBody"]
        template = json.loads(body) if isinstance(body, str) else body
        pages = client.get_paginator("list_stack_resources").paginate(StackName=stack["StackId"])
        resources = [summary for page in pages for summary in page["StackResourceSummaries"]]
    inventory = take_inventory(template, resources)
    if not inventory.secrets_path:
        return inventory
    return replace(inventory, parameters=_load_parameters(deployment, inventory.secrets_path))


def take_inventory(
    template: Mapping[str, Any], resources: "Sequence[StackResourceSummaryTypeDef]"
) -> Inventory:
    """Return the inventory of a stack with this template and these resources."""
    physical_ids = {
        resource["LogicalResourceId"]: resource.get("PhysicalResourceId", "")
        for resource in resources
        if resource["ResourceStatus"] != GONE
    }
    found: dict[str, list[Any]] = {}
    for name, resource in template.get("Resources", {}).items():
        if physical_ids.get(name):
            found.setdefault(resource["Type"], []).append((physical_ids[name], resource))
    clusters = found.pop("AWS::RDS::DBCluster", [])
    buckets = found.pop("AWS::S3::Bucket", [])
    secrets = [resource["Properties"] for _, resource in found.pop("Custom::GeneratedSecrets", [])]
    return Inventory(
        clusters=[cluster for cluster, _ in clusters],
        keeps_snapshots=any(
            # A snapshot is CloudFormation's default for clusters.
            cluster.get("DeletionPolicy", "Snapshot") == "Snapshot"
            for _, cluster in clusters
        ),
        buckets=[bucket for bucket, _ in buckets],
        keeps_buckets=any(bucket.get("DeletionPolicy") in RETAINING for _, bucket in buckets),
        secrets_path=secrets[0]["Path"] if secrets else "",
        keeps_parameters=any(properties.get("Keep") == "true" for properties in secrets),
        kept_identities=[
            name
            for name, identity in found.get("AWS::SES::EmailIdentity", [])
            if identity.get("DeletionPolicy") in RETAINING
        ],
        others=sum(
            resource.get("DeletionPolicy") not in RETAINING
            for kind in found.values()
            for _, resource in kind
        ),
        vpc=next((vpc for vpc, _ in found.get("AWS::EC2::VPC", [])), ""),
    )


def delete_stack(
    deployment: Deployment,
    stack: "StackTypeDef",
    inventory: Inventory,
    steps: Steps,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Remove the deletion protection, delete the stack, and wait until it is gone.

    Raises `CliError` with the resource that could not be deleted and the reason.
    """
    client: CloudFormationClient = deployment.client("cloudformation")
    if stack.get("EnableTerminationProtection") or inventory.clusters:
        with steps.step("Remove deletion protection"):
            stacks.set_termination_protection(client, stack["StackId"], enabled=False)
            for cluster in inventory.clusters:
                _unprotect(deployment, cluster)
    with steps.step("Delete stack (up to 40 minutes)") as progress:
        for attempt in range(1, ATTEMPTS + 1):
            with aws_errors():
                client.delete_stack(StackName=stack["StackId"])
            status = _wait_until_deleted(client, stack["StackId"], progress, sleep)
            if status == GONE:
                return
            reason = failure_reason(client, deployment.client("logs"), stack) or status
            if attempt == ATTEMPTS or not NETWORK_IN_USE.search(reason):
                raise CliError(
                    f"{deployment.stack} is only partly deleted: see above. Fix the cause, then "
                    "run this command again.",
                    output=reason,
                )
            if foreign := foreign_network_interfaces(deployment, inventory.vpc):
                raise CliError(
                    f"{deployment.stack} is only partly deleted: its network contains resources "
                    f"that are not part of the stack. Delete {', '.join(foreign)}, then run this "
                    "command again.",
                    output=reason,
                )
            progress("Lambda has not released its network interfaces yet; retrying in a minute")
            sleep(RETRY_SECONDS)


def foreign_network_interfaces(deployment: Deployment, vpc: str) -> list[str]:
    """Return the VPC's network interfaces that are not of Lambda, such as a restored database's.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html
    """
    try:
        interfaces = deployment.client("ec2").describe_network_interfaces(
            Filters=[{"Name": "vpc-id", "Values": [vpc]}]
        )["NetworkInterfaces"]
    except (BotoCoreError, ClientError):  # The permission may be missing.
        return []
    return [
        f"{interface['NetworkInterfaceId']} ({interface.get('Description') or 'no description'})"
        for interface in interfaces
        if interface.get("InterfaceType") != "lambda"
    ]


def load_kept_resources(deployment: Deployment, inventory: Inventory) -> list[KeptResource]:
    """Return the resources that are still there after the deletion. Raises `CliError`."""
    kept = []
    if inventory.keeps_snapshots:
        delete = "aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier"
        kept += [
            KeptResource("Snapshot of the database", name, STORAGE_COST, f"{delete} {name}")
            for name in _load_snapshots(deployment, inventory.clusters)
        ]
    if inventory.keeps_buckets:
        kept += [
            KeptResource(
                "Uploads and static files", name, STORAGE_COST, f"aws s3 rb --force s3://{name}"
            )
            for name in inventory.buckets
        ]
    if inventory.keeps_parameters and inventory.parameters:
        kept.append(
            KeptResource(
                "Secrets, including the password of a database restored from the snapshot",
                inventory.secrets_path,
                "free",
                " && ".join(
                    f"aws ssm delete-parameters --names {' '.join(names)}"
                    for names in batched(inventory.parameters, PARAMETERS_AT_ONCE, strict=False)
                ),
            )
        )
    kept += [
        KeptResource(
            "Identity in SES, with its records in the hosted zone",
            name,
            "free",
            f"aws sesv2 delete-email-identity --email-identity {name}",
        )
        for name in inventory.kept_identities
    ]
    return kept


def _load_parameters(deployment: Deployment, path: str) -> list[str]:
    pages = (
        deployment.client("ssm")
        .get_paginator("get_parameters_by_path")
        .paginate(Path=path, Recursive=True)
    )
    with aws_errors():
        return [parameter["Name"] for page in pages for parameter in page["Parameters"]]


def _load_snapshots(deployment: Deployment, clusters: list[str]) -> list[str]:
    rds = deployment.client("rds")
    with aws_errors():
        return [
            snapshot["DBClusterSnapshotIdentifier"]
            for cluster in clusters
            for page in rds.get_paginator("describe_db_cluster_snapshots").paginate(
                DBClusterIdentifier=cluster, SnapshotType="manual"
            )
            for snapshot in page["DBClusterSnapshots"]
        ]


def _unprotect(deployment: Deployment, cluster: str) -> None:
    with aws_errors():
        try:
            deployment.client("rds").modify_db_cluster(
                DBClusterIdentifier=cluster, DeletionProtection=False, ApplyImmediately=True
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "DBClusterNotFoundFault":
                raise


def _wait_until_deleted(
    client: "CloudFormationClient",
    stack_id: str,
    progress: Progress,
    sleep: Callable[[float], None],
) -> str:
    """Return the status in which the deletion ends. By its id, a deleted stack is still found."""
    while True:
        sleep(stacks.POLL_SECONDS)
        stack = stacks.describe(client, stack_id)
        if stack is None:
            return GONE
        if not stacks.is_busy(stack):
            return stack["StackStatus"]
        newest = next(stacks.events(client, stack_id), None)
        if newest:
            status = newest["ResourceStatus"].replace("_", " ").lower()
            progress(f"{status} {newest['LogicalResourceId']}")
