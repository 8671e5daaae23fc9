"""`djambda sleep --local`: pause the local database, as Aurora does by itself."""

from typing import Annotated

import typer

from djambda_cli.deployment import use_deployment
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.local.database import pause_now
from djambda_cli.local.pause import REFUSAL_SECONDS, RESUME_SECONDS
from djambda_cli.options import DEFAULT_FOLDER, Folder, Local
from djambda_cli.terminal import stderr


def sleep(
    *,
    seconds: Annotated[
        float,
        typer.Option(
            min=0,
            max=600,
            help="The time that the database needs to resume. Aurora needs about 15 s, "
            "and 30 s or more after a day.",
        ),
    ] = RESUME_SECONDS,
    local: Local = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Pause the local cloud's database, to see what the first visitor after a pause sees.

    The next connection resumes it. Connections wait while it resumes, then get errors for a few
    seconds, then succeed. Idle sessions are ended; while others are open, the command fails.

    Example: `djambda sleep --local --seconds 35`
    """
    if not local:
        raise CliError(
            "Only the local database can be paused by a command: djambda sleep --local. "
            "On AWS, the database pauses after DB_PAUSE_MINUTES without sessions."
        )
    deployment = use_deployment(local=True, folder=folder)
    pause_now(LocalCloud(folder), seconds)
    stderr.print(
        f"The database is paused. The next connection resumes it: connections wait for {seconds:g} "
        f"s, then get errors for {REFUSAL_SECONDS:g} s. Visit {deployment.url}",
        soft_wrap=True,
    )
