"""`djambda destroy`: delete a deployment, and say before and after what that leaves.

An ordinary stack protects itself and its database against deletion. Only somebody who has typed its
name gets these protections taken away. What CloudFormation then deletes and what it leaves, the
template says: a final snapshot of the database, the bucket, and the secrets that both need.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from djambda_cli.aws import stacks
from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import Deployment, use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.steps import Progress, Steps
from djambda_cli.terminal import stderr, stdout

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

RETAINING = {"Retain", "RetainExceptOnCreate"}
GONE = {"DELETE_COMPLETE", "DELETE_SKIPPED"}
NETWORK = re.compile(r"dependent object|DependencyViolation|has dependencies|currently in use")
"""What EC2 says of a subnet or a security group while Lambda's interfaces are still in it."""
AGAIN_SECONDS = 60.0
TRIES = 45
"""Lambda gives its network interfaces back up to 20, seldom 40 minutes after the function's end:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"""

SNAPSHOT_COSTS = "about $0.02 a month for each GB"
BUCKET_COSTS = "about $0.02 a month for each GB"
"""https://aws.amazon.com/rds/aurora/pricing and https://aws.amazon.com/s3/pricing, us-east-1."""


@dataclass(frozen=True)
class Remains:
    """One thing that stays: what it is, its name on AWS, what it costs, how to delete it too."""

    what: str
    name: str
    costs: str
    delete: str


@dataclass
class Inventory:
    """What a stack has that somebody might miss; `network` is its VPC."""

    clusters: list[str] = field(default_factory=list)
    snapshots_stay: bool = False
    buckets: list[str] = field(default_factory=list)
    buckets_stay: bool = False
    parameters: list[str] = field(default_factory=list)
    parameters_stay: bool = False
    others: int = 0
    network: str = ""


def destroy(
    *,
    confirm: Annotated[
        str,
        typer.Option(metavar="NAME", help="The stack's name, for scripts: nothing is asked then."),
    ] = "",
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Delete the deployment, after showing what goes and what stays and asking for its name.

    Unless it is an ephemeral deployment, a final snapshot of the database stays, and so do the
    bucket with all files and the secrets. Without the --confirm option you are asked.

    Example: `djambda destroy --confirm prod-my-app`
    """
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    steps = Steps(stderr)
    stack = stacks.describe(deployment.client("cloudformation"), deployment.stack)
    if stack and stacks.is_busy(stack):
        with steps.step("Wait for what is under way") as progress:
            stack = stacks.wait_until_idle(
                deployment.client("cloudformation"), deployment.stack, progress
            )
    if stack is None:
        stderr.print(
            f"{deployment.stack} is not deployed {deployment.location}: nothing to destroy."
        )
        if as_json:
            stdout.print_json(json.dumps({"destroyed": None, "stays": []}))
        return
    inventory = take_inventory(deployment, stack)
    _show(deployment, inventory)
    _have_the_name(deployment, confirm)
    remove(deployment, stack, inventory, steps)
    if deployment.local:
        deployment.local.reset_site()
    stays = remains(deployment, inventory)
    if as_json:
        stdout.print_json(
            json.dumps({"destroyed": deployment.stack, "stays": [asdict(each) for each in stays]})
        )
    else:
        _report(deployment, stays)


def take_inventory(deployment: Deployment, stack: "StackTypeDef") -> Inventory:
    """What is in the stack, and what its template says about that when it is deleted."""
    cloudformation_: CloudFormationClient = deployment.client("cloudformation")
    found = Inventory()
    with aws_errors():
        body = cloudformation_.get_template(StackName=stack["StackId"])["TemplateBody"]
        template: dict[str, Any] = json.loads(body) if isinstance(body, str) else dict(body)
        pages = cloudformation_.get_paginator("list_stack_resources").paginate(
            StackName=stack["StackId"]
        )
        resources = [each for page in pages for each in page["StackResourceSummaries"]]
        deployed = {
            each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in resources
        }
        exist = {
            each["LogicalResourceId"] for each in resources if each["ResourceStatus"] not in GONE
        }
        skipped = {
            each["LogicalResourceId"]
            for each in resources
            if each["ResourceStatus"] == "DELETE_SKIPPED"
        }
    for name, resource in template.get("Resources", {}).items():
        physical = deployed.get(name)
        if not physical or name not in exist | skipped:
            continue
        policy = resource.get("DeletionPolicy", "Snapshot" if _is_cluster(resource) else "Delete")
        match resource["Type"]:
            case "AWS::RDS::DBCluster":
                found.clusters.append(physical)
                found.snapshots_stay |= policy == "Snapshot"
            case "AWS::S3::Bucket":
                found.buckets.append(physical)
                found.buckets_stay |= policy in RETAINING
            case "Custom::GeneratedSecrets":
                path = resource["Properties"]["Path"]
                found.parameters = _parameters(deployment, path)
                found.parameters_stay = resource["Properties"].get("Keep") == "true"
            case type_:
                found.others += 1
                if type_ == "AWS::EC2::VPC":
                    found.network = physical
    return found


def remove(
    deployment: Deployment,
    stack: "StackTypeDef",
    inventory: Inventory,
    steps: Steps,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Take the protections away, delete the stack, and wait until it is gone.

    Raises CliError with what could not be deleted and why.
    """
    client: CloudFormationClient = deployment.client("cloudformation")
    if stack.get("EnableTerminationProtection") or inventory.clusters:
        with steps.step("Protection against deletion off"), aws_errors():
            client.update_termination_protection(
                StackName=stack["StackId"], EnableTerminationProtection=False
            )
            for cluster in inventory.clusters:
                _unprotect(deployment, cluster)
    with steps.step("Deletion (up to 40 minutes)") as progress:
        for left in reversed(range(TRIES)):
            with aws_errors():
                client.delete_stack(StackName=stack["StackId"])
            status = _wait(client, stack["StackId"], progress, sleep)
            if status == "DELETE_COMPLETE":
                return
            reason = stacks.failure_reason(client, deployment.client("logs"), stack) or status
            if not left or not NETWORK.search(reason):
                raise CliError(
                    f"{deployment.stack} is deleted in part only: what stopped it is above. "
                    "Remove the cause, then run this again.",
                    output=reason,
                )
            if strangers := _strangers(deployment, inventory.network):
                raise CliError(
                    f"{deployment.stack} is deleted in part only: something that is not the "
                    f"stack's is still in its network. Remove {', '.join(strangers)}, then run "
                    "this again.",
                    output=reason,
                )
            progress("Lambda has not given its network interfaces back yet: again in a minute")
            sleep(AGAIN_SECONDS)


def _strangers(deployment: Deployment, network: str) -> list[str]:
    """Network interfaces in the VPC that are not Lambda's, such as a restored database's.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html
    """
    try:
        found = deployment.client("ec2").describe_network_interfaces(
            Filters=[{"Name": "vpc-id", "Values": [network]}]
        )
    except (BotoCoreError, ClientError):  # Not everybody may look.
        return []
    return [
        f"{each['NetworkInterfaceId']} ({each.get('Description') or 'without a description'})"
        for each in found["NetworkInterfaces"]
        if each.get("InterfaceType") != "lambda"
    ]


def remains(deployment: Deployment, inventory: Inventory) -> list[Remains]:
    """What is still there after the deletion, and how to delete it."""
    found = []
    if inventory.snapshots_stay:
        delete = "aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier"
        found += [
            Remains("the database's snapshot", name, SNAPSHOT_COSTS, f"{delete} {name}")
            for name in _snapshots(deployment, inventory.clusters)
        ]
    if inventory.buckets_stay:
        found += [
            Remains(
                "uploads and static files", name, BUCKET_COSTS, f"aws s3 rb --force s3://{name}"
            )
            for name in inventory.buckets
        ]
    if inventory.parameters_stay and inventory.parameters:
        found.append(
            Remains(
                "the secrets; a database restored from the snapshot has the password there",
                inventory.parameters[0].rpartition("/")[0],
                "nothing",
                f"aws ssm delete-parameters --names {' '.join(inventory.parameters)}",
            )
        )
    return found


def _is_cluster(resource: dict[str, Any]) -> bool:
    return bool(resource["Type"] == "AWS::RDS::DBCluster")


def _parameters(deployment: Deployment, path: str) -> list[str]:
    pages = deployment.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path)
    with aws_errors():
        return [each["Name"] for page in pages for each in page["Parameters"]]


def _snapshots(deployment: Deployment, clusters: list[str]) -> list[str]:
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
    try:
        deployment.client("rds").modify_db_cluster(
            DBClusterIdentifier=cluster, DeletionProtection=False, ApplyImmediately=True
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "DBClusterNotFoundFault":
            raise


def _wait(
    client: "CloudFormationClient",
    stack_id: str,
    progress: Progress,
    sleep: Callable[[float], None],
) -> str:
    """The status in which the deletion ends; by its id, a deleted stack is still found."""
    while True:
        sleep(stacks.POLL_SECONDS)
        stack = stacks.describe(client, stack_id)
        if stack is None:
            return "DELETE_COMPLETE"
        if not stacks.is_busy(stack):
            return stack["StackStatus"]
        newest = next(stacks.events(client, stack_id), None)
        if newest:
            status = newest["ResourceStatus"].replace("_", " ").lower()
            progress(f"{status} {newest['LogicalResourceId']}")


def _have_the_name(deployment: Deployment, given: str) -> None:
    """Raises CliError unless somebody types the stack's name, or has given it."""
    if not given:
        if not sys.stdin.isatty():
            raise CliError(
                "Nothing was deleted. In a script: "
                f"{deployment.command(f'destroy --confirm {deployment.stack}')}"
            )
        given = typer.prompt("The stack's name, to delete it", err=True)
    if given.strip() != deployment.stack:
        raise CliError(
            f"Nothing was deleted: {given.strip()!r} is not the name, {deployment.stack}."
        )


def _show(deployment: Deployment, inventory: Inventory) -> None:
    """What goes, in red where it is data, and what stays."""
    goes, stays = [], []
    for name in inventory.clusters:
        goes.append(f"[red]the database {escape(name)}, its backups included[/red]")
        if inventory.snapshots_stay:
            stays.append(f"a final snapshot of the database ({SNAPSHOT_COSTS})")
    for name in inventory.buckets:
        if inventory.buckets_stay:
            stays.append(f"the bucket {escape(name)}, with all files ({BUCKET_COSTS})")
        else:
            goes.append(f"[red]the bucket {escape(name)}, with all uploads[/red]")
    if inventory.parameters:
        path = inventory.parameters[0].rpartition("/")[0]
        (stays if inventory.parameters_stay else goes).append(
            f"the secrets below {escape(path)} in SSM{' (free)' * inventory.parameters_stay}"
        )
    goes.append(f"the site, its functions, their logs: {inventory.others} other resources")
    stays.append("what cdk bootstrap has made: it is the whole account's")
    stderr.print(f"{deployment.stack} {deployment.location}", highlight=False)
    for title, things in (("Goes", goes), ("Stays", stays)):
        for number, thing in enumerate(things):
            stderr.print(f"  {'' if number else title:<7}{thing}", soft_wrap=True)


def _report(deployment: Deployment, stays: list[Remains]) -> None:
    stderr.print(f"\n{deployment.stack} is deleted.")
    for each in stays:
        stdout.print(f"\nStays: {each.what}: {each.name}", soft_wrap=True)
        stdout.print(f"  Costs   {each.costs}", soft_wrap=True)
        stdout.print(f"  Delete  {each.delete}", soft_wrap=True)
