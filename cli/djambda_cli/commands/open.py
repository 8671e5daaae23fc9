"""`djambda open`: open the site in the browser."""

from typing import Annotated

import typer

from djambda_cli.deployment import use_deployment
from djambda_cli.errors import CliError
from djambda_cli.options import DEFAULT_FOLDER, Folder, Local
from djambda_cli.terminal import stderr, stdout


def open(  # noqa: A001 (the command's name)
    *,
    admin: Annotated[bool, typer.Option("--admin", help="Open the admin instead.")] = False,
    local: Local = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Open the site in the browser and print its URL.

    Example: `djambda open --admin`
    """
    deployment = use_deployment(local=local, folder=folder)
    url = deployment.admin_url if admin else deployment.url
    if not url:
        raise CliError("The site has no admin: its URLconf includes no admin site.")
    stdout.print(url, soft_wrap=True)
    if typer.launch(url):
        stderr.print("Could not start a browser.", style="dim")
