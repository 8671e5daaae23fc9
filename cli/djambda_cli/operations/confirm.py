"""Confirmation by the person at the terminal."""

import sys
from collections.abc import Callable

import typer

from djambda_cli.errors import CliError

type Confirm = Callable[[str], None]
"""Asks a question. Raises `CliError` if the answer is no."""


def confirmation(*, yes: bool) -> Confirm:
    """Return a function that asks at the terminal, or agrees at once with `yes`."""

    def confirm(question: str) -> None:
        if yes:
            return
        if not sys.stdin.isatty():
            raise CliError(f"{question} Not a terminal. Pass --yes to confirm.")
        if not typer.confirm(question, err=True):
            raise CliError("Nothing was changed.")

    return confirm
