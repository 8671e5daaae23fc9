"""`djambda up` and `down`: from a checkout to a working site on this machine, step by step.

Postgres and the AWS emulator, then what `djambda deploy --local` does (layer, synth, the CDK, the
release as in AWS), and the first answer of the site. Each step looks at what is there and does
only what is missing. If a step fails or is interrupted, what this run started is stopped again.
"""

import http.client
import os
import shlex
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.markup import escape

from djambda_cli.deploy import asking, roll_out
from djambda_cli.deployment import Deployment, aws_errors, find
from djambda_cli.errors import CommandError
from djambda_cli.local_cloud import LocalCloud, Running
from djambda_cli.options import DEFAULT_FOLDER, Folder, console
from djambda_cli.paths import ROOT, TOOLS
from djambda_cli.steps import Progress, Steps

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

FIRST_ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Site:
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
    cloud = LocalCloud(folder)
    site = bring_up(cloud, Steps(console), port=port, owner=owner)
    variables = os.path.relpath(cloud.variables_file, ROOT)
    console.print(
        f"""
  Site      [link={site.url}]{site.url}[/link]
  Admin     {site.url}admin/
  User      {site.username}
  Password  {escape(site.password)}

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


def bring_up(cloud: LocalCloud, steps: Steps, *, port: int | None, owner: int | None) -> Site:
    """Bring the local cloud up and deploy to it; returns the site.

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
        site = _deploy(cloud, steps)
        if started_here and owner is None:
            cloud.release()
    except BaseException:
        if started_here:
            cloud.stop()
        raise
    return site


def _deploy(cloud: LocalCloud, steps: Steps) -> Site:
    deployment = find(local=True, folder=cloud.folder)
    if roll_out(deployment, steps, asking(yes=True)).changed:
        with steps.step("Emulator's state to disk"):
            cloud.save()
    running = cloud.require_running()
    site = _site(deployment)
    with steps.step("First answer of the site") as progress:
        _wait_for_first_answer(running, site, progress)
    _write_variables(cloud, running, site)
    return site


def _site(deployment: Deployment) -> Site:
    ssm: SSMClient = deployment.client("ssm")
    with aws_errors():
        password = ssm.get_parameter(
            Name=f"{deployment.config.secrets_path}/superuser-password", WithDecryption=True
        )
    return Site(
        url=deployment.url,
        username=deployment.config.django_superuser_username,
        password=password["Parameter"]["Value"],
    )


def _wait_for_first_answer(running: Running, site: Site, progress: Progress) -> None:
    """Ask for the home page until it is there; not every system resolves `*.localhost`."""
    url = urlsplit(site.url)
    deadline = time.monotonic() + FIRST_ANSWER_SECONDS
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=35)
        connection.request("GET", url.path, headers={"Host": url.netloc, "Accept": "text/html"})
        answer = connection.getresponse()
        page = answer.read().decode(errors="replace")
        connection.close()
        if answer.status == HTTPStatus.OK:
            return
        if time.monotonic() > deadline:
            raise CommandError(
                f"{site.url} answers {answer.status} instead of 200.", output=page[:2000]
            )
        progress(f"{answer.status} {answer.reason}")
        time.sleep(1)


def _write_variables(cloud: LocalCloud, running: Running, site: Site) -> None:
    """Write what a shell sources to use `aws` and `cdk` on this cloud, with nothing left over."""
    exported = cloud.variables(running) | {
        "SITE_URL": site.url,
        "DJANGO_SUPERUSER_USERNAME": site.username,
        "DJANGO_SUPERUSER_PASSWORD": site.password,
    }
    lines = [
        "# The local cloud, for a shell: . .local/variables",
        r"unset $(env | sed -n 's/^\(AWS_[A-Za-z0-9_]*\)=.*/\1/p') 2>/dev/null || true",
        *(f"export {name}={shlex.quote(value)}" for name, value in exported.items()),
        f'export PATH={shlex.quote(str(TOOLS))}:"$PATH"',
    ]
    cloud.variables_file.write_text("\n".join(lines) + "\n")
    cloud.variables_file.chmod(0o600)
