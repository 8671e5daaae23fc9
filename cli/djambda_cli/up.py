"""`djambda up` and `down`: from a checkout to a working site on this machine, step by step.

Postgres and the AWS emulator, then what `djambda deploy --local` does (layer, synth, the CDK, the
release as in AWS), and a look at the site. Each step looks at what is there and does only what is
missing. If a step fails or is interrupted, what this run started is stopped again; but not for a
site that answers with an error, whose log one then wants to read.
"""

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from djambda_cli import site
from djambda_cli.deploy import asking, roll_out
from djambda_cli.deployment import Deployment, aws_errors, find
from djambda_cli.errors import CommandError
from djambda_cli.local_cloud import LocalCloud
from djambda_cli.options import DEFAULT_FOLDER, Folder, console
from djambda_cli.paths import ROOT, TOOLS
from djambda_cli.steps import Steps

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class Access:
    """What a person needs to use the deployed site."""

    url: str
    username: str
    password: str


def up(
    port: Annotated[
        int | None, typer.Option(help="Its port; 0 is any free one. Default: 4566 if free.")
    ] = None,
    owner: Annotated[
        int | None, typer.Option(help="Stop the cloud when this process ends.", hidden=True)
    ] = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Run the whole stack on this machine: a real deploy, a real Postgres, no AWS account.

    Example: `djambda up`
    """
    cloud, steps = LocalCloud(folder), Steps(console)
    access = bring_up(cloud, steps, port=port, owner=owner)
    site.look(find(local=True, folder=folder), steps)
    variables = os.path.relpath(cloud.variables_file, ROOT)
    console.print(
        f"""
  Site      [link={access.url}]{access.url}[/link]
  Admin     {access.url}admin/
  User      {access.username}
  Password  {escape(access.password)}

  Point aws and cdk at it   . {variables}
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
        console.print("The local cloud is stopped and its data are deleted.")
    elif was_running:
        console.print("The local cloud is stopped. Its data stay: djambda up brings it back.")
    else:
        console.print("The local cloud is not running.")


def bring_up(cloud: LocalCloud, steps: Steps, *, port: int | None, owner: int | None) -> Access:
    """Bring the local cloud up and deploy to it; returns how to get in.

    With `owner` (a process id) the cloud ends when that process does; without, it stays.
    Raises CommandError.
    """
    running = cloud.running()
    if running and port and running.port != port:
        raise CommandError(
            f"The local cloud is running already, on port {running.port}. "
            f"To move it: make down, then again with --port {port}."
        )
    started_here = running is None
    try:
        if started_here:
            with steps.step("Postgres and the AWS emulator"):
                cloud.start(port=port, owner=owner or os.getpid())
        access = _deploy(cloud, steps)
        if started_here and owner is None:
            cloud.release()
    except BaseException:
        if started_here:
            cloud.stop()
        raise
    return access


def _deploy(cloud: LocalCloud, steps: Steps) -> Access:
    deployment = find(local=True, folder=cloud.folder)
    if roll_out(deployment, steps, asking(yes=True)).changed:
        with steps.step("Emulator's state to disk"):
            cloud.save()
    access = _access(deployment)
    _write_variables(cloud, access)
    return access


def _access(deployment: Deployment) -> Access:
    ssm: SSMClient = deployment.client("ssm")
    with aws_errors():
        password = ssm.get_parameter(
            Name=f"{deployment.config.secrets_path}/superuser-password", WithDecryption=True
        )
    return Access(
        url=deployment.url,
        username=deployment.config.django_superuser_username,
        password=password["Parameter"]["Value"],
    )


def _write_variables(cloud: LocalCloud, access: Access) -> None:
    """Write what a shell sources to use `aws` and `cdk` on this cloud, with nothing left over."""
    exported = cloud.variables(cloud.require_running()) | {
        "SITE_URL": access.url,
        "DJANGO_SUPERUSER_USERNAME": access.username,
        "DJANGO_SUPERUSER_PASSWORD": access.password,
    }
    lines = [
        "# The local cloud, for a shell: . .local/variables",
        r"unset $(env | sed -n 's/^\(AWS_[A-Za-z0-9_]*\)=.*/\1/p') 2>/dev/null || true",
        *(f"export {name}={shlex.quote(value)}" for name, value in exported.items()),
        f'export PATH={shlex.quote(str(TOOLS))}:"$PATH"',
    ]
    cloud.variables_file.write_text("\n".join(lines) + "\n")
    cloud.variables_file.chmod(0o600)
