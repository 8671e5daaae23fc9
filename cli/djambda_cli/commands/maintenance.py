"""`djambda maintenance on|off`: close the site to all but those with a link, and open it again.

The front door does the work (`awslambda/maintenance.py`), told by a variable of its environment.
CloudFormation does not know that variable; a deploy meanwhile leaves it alone or, where it sets the
front door's environment anew, `djambda deploy` puts it back.
"""

import hashlib
import json
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import Deployment, use_deployment, verify_target
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stderr, stdout
from djambda_common.names import MAINTENANCE_BYPASS, MAINTENANCE_VARIABLE

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class Switch(StrEnum):
    """What to do."""

    ON = "on"
    OFF = "off"


def maintenance(
    switch: Annotated[Switch, typer.Argument(help="on closes the site, off opens it.")],
    *,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Close the site for maintenance, or open it again.

    Visitors get a page (503) from the front door; Django and the database can sleep on. `on` prints
    a link that lets you in.

    Example: `djambda maintenance on --local`
    """
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    url = deployment.url
    link = None
    if switch is Switch.ON:
        secret = secrets.token_urlsafe(24)
        set_digest(deployment, hashlib.sha256(secret.encode()).hexdigest())
        link = f"{url}?{MAINTENANCE_BYPASS}={secret}"
    else:
        set_digest(deployment, "")
    if as_json:
        stdout.print_json(json.dumps({"closed": link is not None, "link": link, "url": url}))
    elif link:
        stderr.print(f"{url} is closed: visitors get 503. Only this link lets in:", soft_wrap=True)
        stdout.print(link, soft_wrap=True)
        stderr.print(f"Open the site again: {deployment.command('maintenance off')}")
    else:
        stderr.print(f"{url} is open.", soft_wrap=True)


def digest(deployment: Deployment) -> str:
    """What the front door compares with; "" while the site is open."""
    return _variables(deployment).get(MAINTENANCE_VARIABLE, "")


def set_digest(deployment: Deployment, digest: str) -> None:
    """Close the site with the SHA-256 of a secret, or open it with ""; wait until it is so."""
    variables = {
        name: value
        for name, value in _variables(deployment).items()
        if name != MAINTENANCE_VARIABLE
    }
    if digest:
        variables[MAINTENANCE_VARIABLE] = digest
    front_door: LambdaClient = deployment.client("lambda")
    with aws_errors():
        front_door.update_function_configuration(
            FunctionName=deployment.proxy, Environment={"Variables": variables}
        )
        front_door.get_waiter("function_updated").wait(FunctionName=deployment.proxy)


def _variables(deployment: Deployment) -> dict[str, str]:
    front_door: LambdaClient = deployment.client("lambda")
    with aws_errors():
        found = front_door.get_function_configuration(FunctionName=deployment.proxy)
    return dict(found.get("Environment", {}).get("Variables", {}))
