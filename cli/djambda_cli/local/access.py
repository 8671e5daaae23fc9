"""How to get into the local cloud's site: what `up` prints, and what `. .local/variables` sets.

Each deploy to the local cloud writes that file anew, and `destroy` removes it: the site's address
and its superuser's password are those of one stack.
"""

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import Deployment
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.paths import TOOLS
from djambda_common.names import SUPERUSER_PASSWORD

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class Access:
    """What a person needs to use the deployed site."""

    url: str
    username: str
    password: str


def renew(deployment: Deployment, cloud: LocalCloud) -> Access:
    """Ask for the site's, and write the variables file with it. Raises CliError."""
    ssm: SSMClient = deployment.client("ssm")
    with aws_errors():
        password = ssm.get_parameter(
            Name=f"{deployment.config.secrets_path}/{SUPERUSER_PASSWORD}", WithDecryption=True
        )
    found = Access(
        url=deployment.url,
        username=deployment.config.django_superuser_username,
        password=password["Parameter"]["Value"],
    )
    _write_variables(cloud, found)
    return found


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
