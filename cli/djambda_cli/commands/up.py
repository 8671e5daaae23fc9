"""`djambda up`: start the local cloud and deploy the project to it.

Each step does only what is missing. An interruption stops the cloud that this command started, and
so does a cloud that does not start. After a failed deploy it keeps running, for its logs and for
`djambda env set`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.markup import escape

from djambda_cli.deployment import use_deployment
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud, domain_url
from djambda_cli.local.database import pause_after
from djambda_cli.operations.access import Access, load_access, write_variables
from djambda_cli.operations.confirm import confirmation
from djambda_cli.operations.rollout import roll_out
from djambda_cli.operations.site import check_site
from djambda_cli.operations.synthesis import provide_python, verify_project
from djambda_cli.options import DEFAULT_FOLDER, Folder
from djambda_cli.paths import CHECKOUT, create_state_folder, load_project
from djambda_cli.steps import Steps
from djambda_cli.terminal import stdout
from djambda_cli.tools import ensure_tools


def up(
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="The port; 0 selects a free one. Default: 4566 if it is free."
        ),
    ] = None,
    pause_minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=1440,
            help="Pause the database after this many minutes without sessions, as on AWS. "
            "Default: never.",
        ),
    ] = None,
    owner: Annotated[
        int | None, typer.Option(help="Stop the cloud when this process ends.", hidden=True)
    ] = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Run the whole stack on this machine: a real deploy, a real Postgres, no AWS account.

    Example: `djambda up`
    """
    cloud, steps = LocalCloud(folder), Steps(stdout)
    access = bring_up(cloud, steps, port=port, owner=owner)
    pause_after(cloud, pause_minutes)
    check_site(use_deployment(local=True, folder=folder), steps)
    variables = os.path.relpath(cloud.variables_file)
    stdout.print(summary(access, variables, cloud.folder_option), soft_wrap=True)


def bring_up(cloud: LocalCloud, steps: Steps, *, port: int | None, owner: int | None) -> Access:
    """Start the local cloud and deploy to it.

    With `owner` (a process id) the cloud stops when that process ends. Raises `CliError`.
    """
    project = load_project()
    verify_project(project)
    create_state_folder()
    is_running = _is_running(cloud, steps, port)
    provide_python(project, steps, cloud)
    ensure_tools()
    if is_running:
        with _kept_running(cloud):
            return deploy_to(cloud, steps)
    try:
        with steps.step("Start Postgres and the AWS emulator"):
            cloud.start(port=port, owner=owner or os.getpid())
    except BaseException:
        cloud.stop()
        raise
    try:
        with _kept_running(cloud):
            access = deploy_to(cloud, steps)
    except BaseException as error:
        if not isinstance(error, CliError):
            cloud.stop()
        elif owner is None:
            cloud.detach()
        raise
    if owner is None:
        cloud.detach()
    return access


def _is_running(cloud: LocalCloud, steps: Steps, port: int | None) -> bool:
    """Return whether the cloud runs. One that another version of djambda started is stopped.

    Raises `CliError` if it runs on another port.
    """
    running = cloud.running()
    if not running:
        return False
    if port and running.port != port:
        raise CliError(
            f"The local cloud is already running on port {running.port}. To change the port: "
            f"{cloud.command('down')}, then djambda up --port {port}"
        )
    if running.is_current:
        return True
    with steps.step("Stop the cloud of another version"):
        cloud.stop()
    return False


@contextmanager
def _kept_running(cloud: LocalCloud) -> Iterator[None]:
    """Add to an error that the cloud keeps running."""
    try:
        yield
    except CliError as error:
        raise CliError(
            f"{error}\nThe local cloud keeps running. When the cause is fixed: "
            f"{cloud.command('up')}. To stop it: {cloud.command('down')}",
            output=error.output,
        ) from None


def deploy_to(cloud: LocalCloud, steps: Steps) -> Access:
    """Deploy the project to the running cloud, and write its variables file."""
    deployment = use_deployment(local=True, folder=cloud.folder)
    deployed = roll_out(
        deployment,
        steps,
        confirm=confirmation(given=True, option=""),
        confirm_data_loss=confirmation(
            given=False, option=f"--allow-data-loss to `djambda deploy{cloud.options}`"
        ),
    )
    if deployed.changed:
        with steps.step("Save emulator state"):
            cloud.restart_emulator()
    access = load_access(deployment)
    write_variables(cloud, access)
    return access


def summary(access: Access, variables_file: str, folder: str = "") -> str:
    """Return the site's URLs and login, and the next commands, with rich's markup.

    `folder` is the option that selects the cloud's folder.
    """
    local = escape(f"--local{folder}")
    activate = "  Use djambda, cdk and aws in this shell   . .venv/bin/activate\n" * bool(CHECKOUT)
    admin = f"\n  Admin     {access.admin}" * bool(access.admin)
    login = f"""
  User      {escape(access.username)}
  Password  {escape(access.password)}
"""
    missing = f"\n  User      none. Create one: djambda manage {local} help createsuperuser\n"
    return f"""
  Site      [link={access.url}]{access.url}[/link]{admin}
  Domain    {domain_url(access.url)} (the site as with a custom domain)\
{login if access.username else missing}
{activate}  Point cdk and aws to the local cloud     . {variables_file}
  Run a management command                 djambda manage {local} check
  Show the status                          djambda status {local}
  Stop the local cloud                     djambda down{escape(folder)}
"""
