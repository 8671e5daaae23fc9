"""What a verb works on: one deployment of the site, on AWS or in the local cloud.

The shell's variables say which (`. .variables` sets them); where they are unset, `.variables` is
read; `--local` takes the local cloud instead, and then nothing of the caller's AWS set-up counts.
Either way the process's environment is that of the deployment from then on, for boto3 and for the
CDK, so that every verb has one code path.
"""

import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from awscdk.config import Config, ConfigurationError, deprecations
from djambda_cli.aws.errors import aws_errors
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud, emulator_url
from djambda_cli.paths import DEFAULT_CLOUD, ROOT
from djambda_cli.terminal import stderr

VARIABLES_FILE = ROOT / ".variables"

BOOTSTRAP_VERSION = "/cdk-bootstrap/hnb659fds/version"
"""The parameter by which a template of the CDK sees its bootstrap stack; the qualifier is its
default, https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html"""


@dataclass(frozen=True)
class Deployment:
    """One site: its configuration, and the local cloud that `--local` has chosen.

    `environment` is what AWS's tools need to reach it. `emulator_port` is the emulator's port, also
    if `. .local/variables` selected it; None on AWS.
    """

    config: Config
    local: LocalCloud | None
    environment: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False)
    emulator_port: int | None = field(default=None, kw_only=True)

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.config.name

    @property
    def function(self) -> str:
        """The Django function's name."""
        return self.config.django_function_name

    @property
    def proxy(self) -> str:
        """The front door's name."""
        return self.config.proxy_function_name

    @property
    def location(self) -> str:
        """Where it is, for people: "in the local cloud" or "in eu-west-1"."""
        if self.emulator_port:
            return "in the local cloud"
        return f"in {self.config.aws_default_region}"

    def command(self, words: str) -> str:
        """One of our command lines for this deployment, to be shown and typed."""
        line = f"djambda {words}"
        if self.local:
            line += " --local"
            if self.local.folder != DEFAULT_CLOUD:
                line += f" --folder {shlex.quote(str(self.local.folder))}"
        return line

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client; `config` as for botocore's Config."""
        return boto3.client(service, config=ClientConfig(**config))  # type: ignore[call-overload]

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs. Raises CliError if it is not deployed."""
        with aws_errors():
            try:
                found = self.client("cloudformation").describe_stacks(StackName=self.stack)
            except ClientError as error:
                if "does not exist" in str(error):
                    raise CliError(
                        f"{self.stack} is not deployed {self.location}. "
                        f"Deploy it: {self.command('deploy')}"
                    ) from None
                raise
        [stack] = found["Stacks"]
        if not stack.get("Outputs"):
            raise CliError(
                f"{self.stack} {self.location} was never deployed whole ({stack['StackStatus']}). "
                f"Look: {self.command('doctor')}"
            )
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    @property
    def url(self) -> str:
        """The site, with a slash at the end."""
        url = self.outputs["SiteUrl"]
        return emulator_url(url, self.emulator_port) if self.emulator_port else url


def use_deployment(*, local: bool, folder: Path) -> Deployment:
    """Resolve the deployment and make its environment this process's own, for boto3 and the CDK.

    Raises `CliError` as `resolve_deployment` does.
    """
    deployment = resolve_deployment(os.environ, local=local, folder=folder)
    os.environ.clear()
    os.environ.update(deployment.environment)
    for warning in deprecations(os.environ):
        stderr.print(f"Warning: {warning}.", style="yellow")
    return deployment


def resolve_deployment(environ: Mapping[str, str], *, local: bool, folder: Path) -> Deployment:
    """Return the deployment that the options, `environ` or `.variables` name.

    Raises `CliError` with every problem of the configuration.
    """
    cloud = LocalCloud(folder) if local else None
    environment = dict(environ)
    if cloud:
        environment = cloud.environment(environ)
    elif not environ.get("APP_NAME"):
        environment |= _read_variables_file()
    try:
        config = Config.from_environment(environment)
    except ConfigurationError as error:
        raise CliError(
            f"The configuration is invalid:\n{error}\nSet these variables in .variables "
            "(.variables.template lists all of them) or in the environment."
        ) from None
    endpoint = urlsplit(environment.get("AWS_ENDPOINT_URL", ""))
    emulator_port = endpoint.port if endpoint.hostname == "127.0.0.1" else None
    return Deployment(config, cloud, environment=environment, emulator_port=emulator_port)


def verify_target(deployment: Deployment) -> None:
    """See that credentials and set-up lead to the account and region of the variables.

    Raises CliError, and nothing else was asked of AWS by then.
    """
    region, account = deployment.config.aws_default_region, deployment.config.aws_account_id
    with aws_errors():
        set_up = botocore.session.Session()
        profile = set_up.profile or "default"
        source, named = "AWS_REGION", os.environ.get("AWS_REGION")
        if not named:
            source = f"The profile {profile}"
            named = set_up.get_scoped_config().get("region") or region
    if named != region:
        raise CliError(
            f"{source} says {named}, and AWS_DEFAULT_REGION is {region}. Correct the one that is "
            f"wrong; if it is right to deploy to {region}: export AWS_REGION={region}"
        )
    with aws_errors():
        actual = deployment.client("sts").get_caller_identity()["Account"]
    if account and actual != account:
        raise CliError(
            f"These credentials are of account {actual}, and AWS_ACCOUNT_ID is {account}. "
            "Log in to that one, or choose its profile with AWS_PROFILE."
        )


def _read_variables_file() -> dict[str, str]:
    """Return the variables that a shell exports after sourcing `.variables`."""
    if not VARIABLES_FILE.exists():
        raise CliError(
            "No deployment is configured. For AWS: cp .variables.template .variables, then fill it "
            "in. For the local cloud: add --local."
        )
    done = subprocess.run(
        ["sh", "-c", "set -a && . ./.variables && env -0"],  # Also exports bare assignments.
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    if done.returncode or done.stderr:
        raise CliError(
            "The shell cannot read .variables. Each line has the form export NAME=value, without "
            "spaces around the =.",
            output=done.stderr.encode(errors="surrogateescape").decode(errors="replace"),
        )
    pairs = (line.partition("=") for line in done.stdout.split("\0") if line)
    return {name: value for name, _, value in pairs}
