"""The site of the local cloud: its URL and superuser, and the variables file for a shell.

They belong to one stack: each local deploy writes the file, and `djambda destroy` deletes it.
"""

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import Deployment
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.paths import ROOT, TOOLS
from djambda_common.names import SUPERUSER_PASSWORD

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class Access:
    """The site's URLs and its superuser; `admin` and `username` are "" if there is none."""

    url: str
    admin: str
    username: str
    password: str


def load_access(deployment: Deployment) -> Access:
    """Return the deployed site's URL and superuser. Raises `CliError`."""
    ssm: SSMClient = deployment.client("ssm")
    with aws_errors():
        password = ssm.get_parameter(
            Name=f"{deployment.config.secrets_path}/{SUPERUSER_PASSWORD}", WithDecryption=True
        )
    return Access(
        url=deployment.url,
        admin=deployment.admin_url,
        username=deployment.superuser,
        password=password["Parameter"]["Value"],
    )


def write_variables(cloud: LocalCloud, access: Access) -> None:
    """Write the file that selects this cloud for `aws` and `cdk` in a shell.

    Sourcing it first unsets all other AWS variables, so that these tools cannot reach a real
    account.
    """
    exported = cloud.variables(cloud.require_running(), os.environ) | {
        "SITE_URL": access.url,
        "DJANGO_SUPERUSER_USERNAME": access.username,
        "DJANGO_SUPERUSER_PASSWORD": access.password,
    }
    lines = [
        f"# Selects the local cloud in a shell: . {os.path.relpath(cloud.variables_file, ROOT)}",
        r"unset $(env | sed -n 's/^\(AWS_[A-Za-z0-9_]*\)=.*/\1/p') 2>/dev/null || true",
        *(f"export {name}={shlex.quote(value)}" for name, value in exported.items()),
        f'export PATH={shlex.quote(str(TOOLS))}:"$PATH"',
    ]
    cloud.variables_file.write_text("\n".join(lines) + "\n")
    cloud.variables_file.chmod(0o600)
