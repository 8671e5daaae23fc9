"""Set, unset and list the project's variables and secrets. Values are never arguments."""

import sys
from enum import StrEnum
from getpass import getpass

from djambda_cli.aws import variables
from djambda_cli.deployment import Deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.terminal import stderr
from djambda_common.variables import problem_of

TAKES_EFFECT = (
    "It takes effect in each instance of the function that starts from now on, in all versions."
)


class Action(StrEnum):
    """The action on the variables."""

    LIST = "list"
    SET = "set"
    UNSET = "unset"


def read_value(name: str) -> str:
    """Return a value from the terminal, without echo, or from the standard input.

    The line break after a single line is not part of the value.
    """
    if sys.stdin.isatty():
        return getpass(f"{name}: ")
    try:
        value = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise CliError(f"Could not set {name}: the standard input is not UTF-8.") from None
    return value.removesuffix("\n").removesuffix("\r") if value.count("\n") == 1 else value


def change(deployment: Deployment, kind: str, action: Action, name: str) -> None:
    """Set or unset a variable. Raises `CliError` if its name or value is not possible."""
    verify_target(deployment)
    client, path = deployment.client("ssm"), deployment.config.secrets_path
    if action is Action.UNSET:
        if not variables.delete(client, path, kind, name):
            raise CliError(
                f"{name} is not set. To list what is set: {deployment.command(f'{kind} list')}"
            )
        stderr.print(f"{name} is unset. {TAKES_EFFECT}")
        return
    if problem := problem_of(name):  # Before a person enters the value.
        raise CliError(f"{problem}. Nothing was changed.")
    value = read_value(name)
    if problem := problem_of(name, value):
        raise CliError(f"{problem}. Nothing was changed.")
    variables.store(client, path, kind, name, value)
    stderr.print(f"{name} is set. {TAKES_EFFECT}")
