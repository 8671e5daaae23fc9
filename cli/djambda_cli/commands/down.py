"""`djambda down`: stop the local cloud."""

from typing import Annotated

import typer

from djambda_cli.local.cloud import LocalCloud
from djambda_cli.options import DEFAULT_FOLDER, Folder
from djambda_cli.terminal import stdout


def down(
    wipe: Annotated[bool, typer.Option("--wipe", help="Also delete its data and state.")] = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Stop the local cloud. Its data is kept unless you pass `--wipe`.

    Example: `djambda down --wipe`
    """
    cloud = LocalCloud(folder)
    was_running = cloud.stop()
    if wipe:
        cloud.wipe()
        stdout.print("Stopped the local cloud and deleted its data.")
    elif was_running:
        stdout.print(
            f"Stopped the local cloud. Its data is kept. To start it again: {cloud.command('up')}",
            soft_wrap=True,
        )
    else:
        stdout.print("The local cloud is not running.")
