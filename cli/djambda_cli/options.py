"""What several verbs share: their options, and where they print."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from djambda_cli.paths import DEFAULT_CLOUD as DEFAULT_FOLDER

UNWRAPPED = 10_000
"""The width where no terminal is: a line stays a line, also for who pastes from it."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else UNWRAPPED)
errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else UNWRAPPED)

Local = Annotated[
    bool, typer.Option("--local", help="Work on the local cloud (make up) instead of AWS.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Folder = Annotated[
    Path,
    typer.Option(help="The local cloud's folder: its data, its state, its log.", hidden=True),
]

__all__ = ["DEFAULT_FOLDER", "Folder", "Json", "Local", "console", "errors"]
