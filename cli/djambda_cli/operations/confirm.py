"""Confirmation by the person at the terminal, or by an option for each kind of change."""

import sys
from collections.abc import Callable

import typer

from djambda_cli.errors import CliError

type Confirm = Callable[[str], None]
"""Asks a question. Raises `CliError` if the answer is no."""


def confirmation(*, given: bool, option: str) -> Confirm:
    """Return a function that asks at the terminal, or agrees at once if it is `given`.

    `option` is the option that gives it, which the error without a terminal names.
    """

    def confirm(question: str) -> None:
        if given:
            return
        if not sys.stdin.isatty():
            raise CliError(f"{question} Cannot ask without a terminal. To confirm, pass {option}.")
        if not typer.confirm(question, err=True):
            raise CliError("Nothing was changed.")

    return confirm
