"""`djambda up` and `down`: from a checkout to a working site on this machine, step by step.

Postgres and the AWS emulator, then what `djambda deploy --local` does (layer, synth, the CDK, the
release as in AWS), and a look at the site. Each step looks at what is there and does only what is
missing. If a step fails or is interrupted, what this run started is stopped again; but not for a
site that answers with an error, whose log one then wants to read.
"""

import os
from typing import Annotated

import typer
from rich.markup import escape

from djambda_cli.commands.deploy import roll_out
from djambda_cli.deployment import use_deployment
from djambda_cli.errors import CliError
from djambda_cli.local import access
from djambda_cli.local.access import Access
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.operations import site
from djambda_cli.operations.confirm import confirmation
from djambda_cli.options import DEFAULT_FOLDER, Folder
from djambda_cli.paths import ROOT
from djambda_cli.steps import Steps
from djambda_cli.terminal import stdout


def up(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Its port; 0 is any free one. Default: 4566 if free."),
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
    found = bring_up(cloud, steps, port=port, owner=owner)
    site.look(use_deployment(local=True, folder=folder), steps)
    variables = os.path.relpath(cloud.variables_file, ROOT)
    stdout.print(
        f"""
  Site      [link={found.url}]{found.url}[/link]
  Admin     {found.url}admin/
  User      {found.username}
  Password  {escape(found.password)}

  djambda, cdk and aws      . .venv/bin/activate
  Point cdk and aws at it   . {variables}
  A management command      djambda manage --local check
  How it is                 djambda status --local
  Stop it                   djambda down
""",
        markup=True,
        soft_wrap=True,
    )


def down(
    wipe: Annotated[bool, typer.Option("--wipe", help="Delete its data and state too.")] = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Stop the local cloud; its data stay unless they are wiped.

    Example: `djambda down --wipe`
    """
    cloud = LocalCloud(folder)
    was_running = cloud.stop()
    if wipe:
        cloud.wipe()
        stdout.print("The local cloud is stopped and its data are deleted.")
    elif was_running:
        stdout.print("The local cloud is stopped. Its data stay: make up brings it back.")
    else:
        stdout.print("The local cloud is not running.")


def bring_up(cloud: LocalCloud, steps: Steps, *, port: int | None, owner: int | None) -> Access:
    """Bring the local cloud up and deploy to it; returns how to get in.

    With `owner` (a process id) the cloud ends when that process does; without, it stays.
    Raises CliError.
    """
    running = cloud.running()
    if running and port and running.port != port:
        raise CliError(
            f"The local cloud is running already, on port {running.port}. "
            f"To move it: make down, then again with --port {port}."
        )
    started_here = running is None
    try:
        if started_here:
            with steps.step("Postgres and the AWS emulator"):
                cloud.start(port=port, owner=owner or os.getpid())
        found = _deploy(cloud, steps)
        if started_here and owner is None:
            cloud.detach()
    except BaseException:
        if started_here:
            cloud.stop()
        raise
    return found


def _deploy(cloud: LocalCloud, steps: Steps) -> Access:
    deployment = use_deployment(local=True, folder=cloud.folder)
    if roll_out(deployment, steps, confirmation(yes=True)).changed:
        with steps.step("Emulator's state to disk"):
            cloud.restart_emulator()
    return access.renew(deployment, cloud)
