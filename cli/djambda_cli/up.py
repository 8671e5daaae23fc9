"""`djambda up`: from a checkout to a working site on this machine, step by step.

Postgres and the AWS emulator, the layer, the real `cdk bootstrap` and `cdk deploy` (which runs the
release as in AWS), and the first answer of the site. Each step looks at what is there and does
only what is missing. If a step fails or is interrupted, what this run started is stopped again.
"""

import http.client
import os
import shlex
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from djambda_cli import cdk, layer
from djambda_cli.errors import CommandError
from djambda_cli.local_cloud import ACCOUNT, REGION, LocalCloud, Running
from djambda_cli.paths import TOOLS
from djambda_cli.steps import Progress, Steps

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_ssm import SSMClient

STACK = "local-djambda"
FIRST_ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Site:
    """What a person needs to use the deployed site."""

    url: str
    username: str
    password: str


def up(cloud: LocalCloud, steps: Steps, *, port: int | None, owner: int | None) -> Site:
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
    if not layer.is_current(layer.this_machine()):
        with steps.step("Layer with Django's dependencies"):
            layer.build(layer.this_machine())
    running = cloud.require_running()
    cloud.isolate()
    cloudformation: CloudFormationClient = boto3.client("cloudformation")
    if _stack(cloudformation, "CDKToolkit") is None:
        with steps.step("CDK bootstrap") as progress:
            cdk.bootstrap(ACCOUNT, REGION, progress)
    before = _stack(cloudformation, STACK)
    with steps.step("CDK deploy, release of Django") as progress:
        cdk.deploy(STACK, cloud.folder / "cdk.out", progress)
    stack = _stack(cloudformation, STACK)
    if stack is None:
        raise CommandError(f"The stack {STACK} is not there after the deploy. See {cloud.log}")
    if before is None or stack["LastUpdatedTime"] != before["LastUpdatedTime"]:
        with steps.step("Emulator's state to disk"):
            cloud.save()
    site = _site(cloud, {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]})
    with steps.step("First answer of the site") as progress:
        _wait_for_first_answer(running, site, progress)
    _write_variables(cloud, running, site)
    return site


def _stack(cloudformation: "CloudFormationClient", name: str) -> "StackTypeDef | None":
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def _site(cloud: LocalCloud, outputs: dict[str, str]) -> Site:
    ssm: SSMClient = boto3.client("ssm")
    password = ssm.get_parameter(
        Name=f"{outputs['SecretsPath']}/superuser-password", WithDecryption=True
    )
    return Site(
        url=cloud.site_url(outputs["SiteUrl"]),
        username=os.environ["DJANGO_SUPERUSER_USERNAME"],
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
