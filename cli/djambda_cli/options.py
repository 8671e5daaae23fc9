"""What several verbs share: their options, and where they print."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from djambda_cli.paths import DEFAULT_CLOUD as DEFAULT_FOLDER

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

Local = Annotated[
    bool, typer.Option("--local", help="Work on the local cloud (make up) instead of AWS.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Folder = Annotated[
    Path,
    typer.Option(help="The local cloud's folder: its data, its state, its log.", hidden=True),
]

__all__ = ["DEFAULT_FOLDER", "Folder", "Json", "Local", "console", "errors"]
