"""`djambda maintenance on|off`: close the site to all but those with a link, and open it again.

The front door does the work (`awslambda/maintenance.py`), told by a variable of its environment.
CloudFormation does not know that variable; a deploy meanwhile leaves it alone or, where it sets the
front door's environment anew, `djambda deploy` puts it back.
"""

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
    client = deployment.client("lambda")
    url = deployment.url
    link = None
    if switch is Switch.ON:
        secret = secrets.token_urlsafe(24)
        set_digest(client, deployment.proxy, hashlib.sha256(secret.encode()).hexdigest())
        link = f"{url}?{MAINTENANCE_BYPASS}={secret}"
    else:
        set_digest(client, deployment.proxy, "")
    if as_json:
        stdout.print_json(json.dumps({"closed": link is not None, "link": link, "url": url}))
    elif link:
        stderr.print(f"{url} is closed: visitors get 503. Only this link lets in:", soft_wrap=True)
        stdout.print(link, soft_wrap=True)
        stderr.print(f"Open the site again: {deployment.command('maintenance off')}")
    else:
        stderr.print(f"{url} is open.", soft_wrap=True)
