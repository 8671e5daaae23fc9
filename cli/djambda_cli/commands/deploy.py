"""`djambda deploy`: deploy the project."""

import json
from typing import Annotated

import typer

from djambda_cli.deployment import use_deployment
from djambda_cli.operations.access import load_access, write_variables
from djambda_cli.operations.checks_mail import unverified_address
from djambda_cli.operations.confirm import confirmation
from djambda_cli.operations.interruption import report_continuation
from djambda_cli.operations.rollout import roll_out
from djambda_cli.operations.site import check_site
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr, stdout


def deploy(
    *,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", help="Do not ask before bootstrapping the CDK. Does not allow data loss."
        ),
    ] = False,
    allow_data_loss: Annotated[
        bool,
        typer.Option(
            "--allow-data-loss",
            help="Do not ask before a resource that holds data is replaced or removed.",
        ),
    ] = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Deploy the project: layer, infrastructure, code, migrations, static files.

    The previous version stays live until the deploy has succeeded, and remains live if it fails.
    You are asked before a resource that holds data is replaced or removed, and before the first
    deploy to an account and region bootstraps the CDK there. Each question has a separate option.

    Example: `djambda deploy`
    """
    deployment = use_deployment(local=local, folder=folder)
    steps = Steps(stderr)
    with report_continuation(deployment, "the deploy"):
        deployed = roll_out(
            deployment,
            steps,
            confirm=confirmation(given=yes, option="--yes"),
            confirm_data_loss=confirmation(given=allow_data_loss, option="--allow-data-loss"),
        )
    if deployment.local:
        write_variables(deployment.local, load_access(deployment))
    if deployed.changed:
        undo = deployed.previous and deployment.command(f"rollback {deployed.previous}")
        check_site(deployment, steps, undo=undo)
        if deployment.config.mail_from and (address := unverified_address(deployment)):
            stderr.print(
                f"\n  Mail: AWS has mailed a link to {address}. Open it within 24 hours, so that "
                "the site can send.",
                soft_wrap=True,
            )
    if as_json:
        result = {"url": deployed.url, "version": deployed.version, "changed": deployed.changed}
        stdout.print_json(json.dumps(result))
        return
    stderr.print("" if deployed.changed else "\n  No changes since the last deploy.")
    stdout.print(f"  Site      {deployed.url}\n  Version   {deployed.version}", soft_wrap=True)
