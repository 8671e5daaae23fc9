"""The deployment that a command works on: one stack, on AWS or in the local cloud.

The shell's variables select it (`. .variables` exports them). If they are unset, `.variables` is
read. `--local` selects the local cloud instead and ignores the caller's AWS configuration. Either
way the process then has the deployment's environment, so that boto3, the CDK and every command have
one code path.
"""

import os
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
from djambda_cli.local.environment import inherited
from djambda_cli.paths import CREATE_VARIABLES, ROOT
from djambda_cli.terminal import stderr
from djambda_common.names import ADMIN_PATH, NONE, REPLACED_SETTINGS, SUPERUSER, UNKNOWN

VARIABLES_FILE = ROOT / ".variables"

BOOTSTRAP_VERSION = "/cdk-bootstrap/hnb659fds/version"
"""The parameter in which the CDK's bootstrap stack records its version, with the default qualifier:
https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html"""


@dataclass(frozen=True)
class Deployment:
    """One deployment: its configuration, and the local cloud if `--local` selected it.

    `environment` contains the variables with which AWS's tools reach it. `emulator_port` is the
    emulator's port, even if its variables file selected it; None on AWS.
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
        """The proxy function's name."""
        return self.config.proxy_function_name

    @property
    def location(self) -> str:
        """A phrase for messages: "in the local cloud" or "in eu-west-1"."""
        if self.emulator_port:
            return "in the local cloud"
        return f"in {self.config.aws_default_region}"

    def command(self, words: str) -> str:
        """Return a `djambda` command line for this deployment, to show to the user."""
        return f"djambda {words}" + (self.local.options if self.local else "")

    def client(self, service: str, **config: Any) -> Any:
        """Return a boto3 client; `config` has the arguments of botocore's Config."""
        return boto3.client(service, config=ClientConfig(**config))  # type: ignore[call-overload]

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs. Raises `CliError` if it is not deployed."""
        with aws_errors():
            try:
                response = self.client("cloudformation").describe_stacks(StackName=self.stack)
            except ClientError as error:
                if "does not exist" in str(error):
                    raise CliError(
                        f"{self.stack} is not deployed {self.location}. "
                        f"Deploy it: {self.command('deploy')}"
                    ) from None
                raise
        [stack] = response["Stacks"]
        if not stack.get("Outputs"):
            raise CliError(
                f"{self.stack} {self.location} has no outputs: its first deploy has not finished "
                f"({stack['StackStatus']}). Find out why: {self.command('doctor')}"
            )
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @property
    def superuser(self) -> str:
        """The login of the superuser that the first deploy created, "" if there is none."""
        login = self.outputs.get(SUPERUSER, UNKNOWN)
        return {NONE: "", UNKNOWN: self.config.django_superuser_username}.get(login, login)

    @property
    def admin_url(self) -> str:
        """The URL of Django's admin, "" if the site has none. Unknown: as in a new project."""
        path = self.outputs.get(ADMIN_PATH, UNKNOWN)
        if path == NONE:
            return ""
        return self.url.removesuffix("/") + ("/admin/" if path == UNKNOWN else path)

    @property
    def replaced_settings(self) -> list[str]:
        """The project's settings that the deployment replaces, each with the reason."""
        replaced = self.outputs.get(REPLACED_SETTINGS, UNKNOWN)
        return [] if replaced in {NONE, UNKNOWN} else replaced.split("; ")

    @property
    def url(self) -> str:
        """The site's URL, with a slash at the end."""
        url = self.outputs["SiteUrl"]
        return emulator_url(url, self.emulator_port) if self.emulator_port else url


def use_deployment(*, local: bool, folder: Path) -> Deployment:
    """Resolve the deployment and replace this process's environment with its own.

    Raises `CliError` as `resolve_deployment` does.
    """
    deployment = resolve_deployment(os.environ, local=local, folder=folder)
    os.environ.clear()
    os.environ.update(deployment.environment)
    for warning in deprecations(os.environ):
        stderr.print(f"Warning: {warning}.", style="yellow")
    return deployment


def planned_deployment(*, local: bool, folder: Path) -> Deployment:
    """Return the deployment as `use_deployment` does, for commands that need no deployment yet.

    Without a configuration, it is the one in the local cloud, which need not be running. Raises
    `CliError` as `resolve_deployment` does.
    """
    local = local or not (os.environ.get("APP_NAME") or VARIABLES_FILE.exists())
    cloud = LocalCloud(folder)
    if not local or cloud.running():
        return use_deployment(local=local, folder=folder)
    configuration = cloud.configuration(os.environ)
    return Deployment(_read_config(inherited(os.environ) | configuration), cloud)


def resolve_deployment(environ: Mapping[str, str], *, local: bool, folder: Path) -> Deployment:
    """Return the deployment that the options, `environ` or `.variables` name.

    Raises `CliError` with every problem of the configuration.
    """
    cloud = LocalCloud(folder) if local else None
    environment = dict(environ)
    if cloud:
        environment = cloud.environment(environ)
    elif not environ.get("APP_NAME"):
        environment = _source_variables_file(environ)
    config = _read_config(environment)
    endpoint = urlsplit(environment.get("AWS_ENDPOINT_URL", ""))
    emulator_port = endpoint.port if endpoint.hostname == "127.0.0.1" else None
    return Deployment(config, cloud, environment=environment, emulator_port=emulator_port)


def _read_config(environment: Mapping[str, str]) -> Config:
    try:
        return Config.from_environment(environment)
    except ConfigurationError as error:
        create = "" if VARIABLES_FILE.exists() else f" To create .variables: {CREATE_VARIABLES}"
        raise CliError(
            f"The configuration is invalid:\n{error}\nSet these variables in .variables or in the "
            f"environment.{create}"
        ) from None


def verify_target(deployment: Deployment) -> None:
    """Verify that the credentials and the profile match the configured account and region.

    Raises `CliError` before any other request to AWS.
    """
    region, account = deployment.config.aws_default_region, deployment.config.aws_account_id
    with aws_errors():
        session = botocore.session.Session()
        source, selected = "AWS_REGION", os.environ.get("AWS_REGION")
        if not selected:
            source = f"The region of the profile {session.profile or 'default'}"
            selected = session.get_scoped_config().get("region") or region
    if selected != region:
        raise CliError(
            f"{source} is {selected}, but AWS_DEFAULT_REGION is {region}. Correct the wrong one. "
            f"To deploy to {region}: export AWS_REGION={region}"
        )
    with aws_errors():
        actual = deployment.client("sts").get_caller_identity()["Account"]
    if account and actual != account:
        raise CliError(
            f"These credentials belong to account {actual}, but AWS_ACCOUNT_ID is {account}. "
            "Log in to the right account, or select its profile with AWS_PROFILE."
        )


def _source_variables_file(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a shell, started with `environ`, after it sources `.variables`."""
    if not VARIABLES_FILE.exists():
        raise CliError(
            f"No deployment is configured. For AWS: {CREATE_VARIABLES}, then edit .variables. For "
            "the local cloud: add --local."
        )
    completed = subprocess.run(
        ["sh", "-c", "set -a && . ./.variables && env -0"],  # Also exports bare assignments.
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    if completed.returncode or completed.stderr:
        raise CliError(
            "Could not read .variables. Write each line as export NAME=value, without spaces "
            "around the =.",
            output=completed.stderr.encode(errors="surrogateescape").decode(errors="replace"),
        )
    pairs = (line.partition("=") for line in completed.stdout.split("\0") if line)
    return {name: value for name, _, value in pairs}
