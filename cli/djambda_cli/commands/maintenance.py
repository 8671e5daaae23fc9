"""`djambda maintenance on|off`: close the site except for people with a link, and open it again."""

import hashlib
import json
import secrets
from enum import StrEnum
from typing import Annotated

import typer

from djambda_cli.aws.maintenance import set_digest
from djambda_cli.deployment import use_deployment, verify_target
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stderr, stdout
from djambda_common.names import MAINTENANCE_BYPASS


class Switch(StrEnum):
    """The state to set."""

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

    Visitors get a maintenance page (503) from the proxy, which wakes neither Django nor the
    database. `on` prints a bypass link for you.

    Example: `djambda maintenance on --local`
    """
    deployment = use_deployment(local=local, folder=folder)
    verify_target(deployment)
    url, link = deployment.url, None
    digest = ""
    if switch is Switch.ON:
        secret = secrets.token_urlsafe(24)
        digest = hashlib.sha256(secret.encode()).hexdigest()
        link = f"{url}?{MAINTENANCE_BYPASS}={secret}"
    set_digest(deployment.client("lambda"), deployment.proxy, digest)
    if as_json:
        stdout.print_json(json.dumps({"closed": link is not None, "link": link, "url": url}))
    elif link:
        stderr.print(
            f"{url} is closed: visitors get a 503 page. To bypass it, open:", soft_wrap=True
        )
        stdout.print(link, soft_wrap=True)
        stderr.print(f"To open the site again: {deployment.command('maintenance off')}")
    else:
        stderr.print(f"{url} is open.", soft_wrap=True)
