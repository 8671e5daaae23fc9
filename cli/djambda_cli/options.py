"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from djambda_cli.paths import DEFAULT_CLOUD as DEFAULT_FOLDER

Local = Annotated[
    bool, typer.Option("--local", help="Use the local cloud (`djambda up`) instead of AWS.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Now = Annotated[
    bool,
    typer.Option("--now", help="Also deploy the live version's code with the new values."),
]
Rest = Annotated[list[str] | None, typer.Argument(hidden=True)]
Folder = Annotated[
    Path,
    typer.Option(help="The local cloud's folder, with its data, state and log.", hidden=True),
]

__all__ = ["DEFAULT_FOLDER", "Folder", "Json", "Local", "Now", "Rest"]
