"""What a verb works on: one deployment of the site, on AWS or in the local cloud.

The shell's variables say which (`. .variables` sets them); where they are unset, `.variables` is
read; `--local` takes the local cloud instead, and then nothing of the caller's AWS set-up counts.
Either way the process's environment is that of the deployment from then on, for boto3 and for the
CDK, so that every verb has one code path.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from djambda_cli.errors import CommandError
from djambda_cli.local_cloud import LocalCloud, emulated
from djambda_cli.paths import DEFAULT_CLOUD, ROOT

sys.path.append(str(ROOT / "awscdk"))  # The stack's package is not installed.
from awscdk.config import Config, ConfigurationError

VARIABLES_FILE = ROOT / ".variables"
ALIAS = "live"

BOOTSTRAP_VERSION = "/cdk-bootstrap/hnb659fds/version"
"""The parameter by which a template of the CDK sees its bootstrap stack; the qualifier is its
default, https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html"""

NOT_READY = {
    "ResourceConflictException",
    "ResourceNotReadyException",
    "TooManyRequestsException",
}
"""Errors of https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html that pass."""

CREDENTIALS = (
    "AWS does not know these credentials, or they have expired. Log in again (aws sso login, or "
    "new keys), then look: aws sts get-caller-identity"
)
KNOWN_ERRORS = {
    "ExpiredToken": CREDENTIALS,
    "ExpiredTokenException": CREDENTIALS,
    "InvalidClientTokenId": CREDENTIALS,
    "RequestExpired": CREDENTIALS,
    "UnrecognizedClientException": CREDENTIALS,
}
"""https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html"""


@dataclass(frozen=True)
class Deployment:
    """One site: its configuration, and the local cloud that `--local` has chosen.

    `emulator_port` is that of the emulator in which it is, also where `. .local/variables` leads
    there; None on AWS.
    """

    config: Config
    local: LocalCloud | None
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
        return f"{self.config.name}-proxy"

    @property
    def place(self) -> str:
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
        """The stack's outputs. Raises CommandError if it is not deployed."""
        with aws_errors():
            try:
                found = self.client("cloudformation").describe_stacks(StackName=self.stack)
            except ClientError as error:
                if "does not exist" in str(error):
                    raise CommandError(
                        f"{self.stack} is not deployed {self.place}. "
                        f"Deploy it: {self.command('deploy')}"
                    ) from None
                raise
        [stack] = found["Stacks"]
        if not stack.get("Outputs"):
            raise CommandError(
                f"{self.stack} {self.place} was never deployed whole ({stack['StackStatus']}). "
                f"Look: {self.command('doctor')}"
            )
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    @property
    def url(self) -> str:
        """The site, with a slash at the end."""
        url = self.outputs["SiteUrl"]
        return emulated(url, self.emulator_port) if self.emulator_port else url


def find(*, local: bool, folder: Path) -> Deployment:
    """The deployment that the options, the environment or `.variables` name.

    Raises CommandError with every problem of the configuration.
    """
    cloud = LocalCloud(folder) if local else None
    if cloud:
        cloud.require_running()
        cloud.isolate()
    elif not os.environ.get("APP_NAME"):
        _read_variables_file()
    try:
        config = Config.from_environment(os.environ)
    except ConfigurationError as error:
        raise CommandError(
            f"The configuration cannot be used:\n{error}\nSet these in .variables "
            "(.variables.template has them all), or in the environment."
        ) from None
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    emulator_port = endpoint.port if endpoint.hostname == "127.0.0.1" else None
    return Deployment(config, cloud, emulator_port=emulator_port)


def check_place(deployment: Deployment) -> None:
    """See that credentials and set-up lead to the account and region of the variables.

    Raises CommandError, and nothing else was asked of AWS by then.
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
        raise CommandError(
            f"{source} says {named}, and AWS_DEFAULT_REGION is {region}. Correct the one that is "
            f"wrong; if it is right to deploy to {region}: export AWS_REGION={region}"
        )
    with aws_errors():
        actual = deployment.client("sts").get_caller_identity()["Account"]
    if account and actual != account:
        raise CommandError(
            f"These credentials are of account {actual}, and AWS_ACCOUNT_ID is {account}. "
            "Log in to that one, or choose its profile with AWS_PROFILE."
        )


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn what AWS and the way to it can say into a CommandError that says what to do."""
    try:
        yield
    except (NoCredentialsError, NoRegionError):
        raise CommandError(
            "There are no AWS credentials here. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or log in with: aws sso login. For the local cloud: --local"
        ) from None
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in KNOWN_ERRORS:
            raise CommandError(KNOWN_ERRORS[code], output=str(error)) from None
        if "AccessDenied" in code:
            raise CommandError(
                "These credentials may not do that: the policy of their user or role lacks "
                "the action that is named above.",
                output=str(error),
            ) from None
        raise CommandError(
            f"AWS refused {error.operation_name}: what it said is above.", output=str(error)
        ) from None
    except BotoCoreError as error:
        raise CommandError(
            "AWS could not be asked. Look at the network, the region and the profile.",
            output=str(error),
        ) from None


def _read_variables_file() -> None:
    """Have the shell read `.variables`, as `. .variables` does, and take what it exports."""
    if not VARIABLES_FILE.exists():
        raise CommandError(
            "No deployment is configured here. For AWS: cp .variables.template .variables, and "
            "fill it in. For the local cloud: --local"
        )
    done = subprocess.run(
        ["sh", "-c", "set -a && . ./.variables && env -0"],  # Also what lacks its `export`.
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    if done.returncode or done.stderr:
        raise CommandError(
            "The shell cannot read .variables. A line there is: export NAME=value, without blanks "
            "around the =.",
            output=done.stderr.encode(errors="surrogateescape").decode(errors="replace"),
        )
    for line in done.stdout.split("\0"):
        name, _, value = line.partition("=")
        if name:
            os.environ[name] = value
