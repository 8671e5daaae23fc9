"""`djambda destroy`: delete a deployment, after confirmation with the stack's name."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from djambda_cli.aws import stacks
from djambda_cli.deployment import Deployment, use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations.interruption import report_continuation
from djambda_cli.operations.teardown import (
    STORAGE_COST,
    Inventory,
    KeptResource,
    delete_stack,
    load_inventory,
    load_kept_resources,
)
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr, stdout


def destroy(
    *,
    confirm: Annotated[
        str,
        typer.Option(metavar="NAME", help="The stack's name. Confirms the deletion in a script."),
    ] = "",
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Delete the deployment. Lists what is deleted and kept, then asks for the stack's name.

    Unless the deployment is ephemeral, a final snapshot of the database, the bucket with all files
    and the secrets are kept.

    Example: `djambda destroy --confirm prod-my-app`
    """
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    steps = Steps(stderr)
    client = deployment.client("cloudformation")
    stack = stacks.describe(client, deployment.stack)
    if stack and stacks.is_busy(stack):
        with steps.step("Wait for another operation") as progress:
            stack = stacks.wait_until_idle(client, deployment.stack, progress)
    if stack is None:
        stderr.print(f"Nothing to delete: {deployment.stack} does not exist {deployment.location}.")
        if as_json:
            stdout.print_json(json.dumps({"destroyed": None, "kept": []}))
        return
    inventory = load_inventory(deployment, stack)
    print_plan(deployment, inventory)
    require_name(deployment, confirm)
    with report_continuation(deployment, "the deletion"):
        delete_stack(deployment, stack, inventory, steps)
    if deployment.local:
        deployment.local.reset_site()
    kept = load_kept_resources(deployment, inventory)
    if as_json:
        result = {"destroyed": deployment.stack, "kept": [asdict(resource) for resource in kept]}
        stdout.print_json(json.dumps(result))
    else:
        print_result(deployment, kept)


def plan(inventory: Inventory) -> tuple[list[str], list[str]]:
    """Return the deleted and the kept resources, with rich's markup: data is red."""
    deleted, kept = [], []
    for cluster in inventory.clusters:
        deleted.append(f"[red]The database {escape(cluster)} and its backups[/red]")
        if inventory.keeps_snapshots:
            kept.append(f"A final snapshot of the database ({STORAGE_COST})")
    for bucket in inventory.buckets:
        if inventory.keeps_buckets:
            kept.append(f"The bucket {escape(bucket)} with all files ({STORAGE_COST})")
        else:
            deleted.append(f"[red]The bucket {escape(bucket)} with all uploads[/red]")
    if inventory.parameters:
        secrets = f"The secrets under {escape(inventory.secrets_path)} in SSM"
        if inventory.keeps_parameters:
            kept.append(f"{secrets} (free)")
        else:
            deleted.append(secrets)
    kept += [
        f"The identity {escape(name)} in SES, which other deployments may use (free)"
        for name in inventory.kept_identities
    ]
    deleted.append(f"The site, its functions and their logs: {inventory.others} other resources")
    kept.append("The CDK's bootstrap stack, which all stacks of the account use")
    return deleted, kept


def print_plan(deployment: Deployment, inventory: Inventory) -> None:
    """Print the deleted and the kept resources."""
    deleted, kept = plan(inventory)
    stderr.print(f"Delete {deployment.stack} {deployment.location}", highlight=False)
    for title, lines in (("Deleted", deleted), ("Kept", kept)):
        stderr.print(f"\n{title}:")
        for line in lines:
            stderr.print(f"  {line}", soft_wrap=True)
    stderr.print()


def require_name(deployment: Deployment, name: str) -> None:
    """Raise `CliError` unless the name, from the option or the terminal, is the stack's."""
    if not name:
        if not sys.stdin.isatty():
            raise CliError(
                "Nothing was deleted: cannot ask without a terminal. To confirm: "
                f"{deployment.command(f'destroy --confirm {deployment.stack}')}"
            )
        name = typer.prompt("To confirm, type the stack's name", err=True)
    if name.strip() != deployment.stack:
        raise CliError(
            f"Nothing was deleted: the name is {deployment.stack}, not {name.strip()!r}."
        )


def print_result(deployment: Deployment, kept: list[KeptResource]) -> None:
    """Print the kept resources, their cost, and the commands that delete them."""
    stderr.print(f"\n{deployment.stack} is deleted.")
    for resource in kept:
        stdout.print(
            f"\nKept: {resource.description}\n"
            f"  Name    {resource.name}\n"
            f"  Cost    {resource.cost}\n"
            f"  Delete  {resource.delete}",
            soft_wrap=True,
        )
