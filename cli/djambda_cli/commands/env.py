"""`djambda env list|set|unset`: the project's own variables."""

import json
from typing import Annotated

import typer

from djambda_cli.aws import variables
from djambda_cli.deployment import use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations.variables import Action, change
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stdout
from djambda_common.variables import ENV


def env(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    name: Annotated[str, typer.Argument(help="The variable to set or unset.")] = "",
    *,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Show, set or unset the project's environment variables.

    `set` asks for the value, or reads the standard input. `list` shows them with their values.

    Example: `djambda env set DJANGO_ADMIN_URL`
    """
    if (action is Action.LIST) == bool(name):
        raise CliError(f"{action} takes {'no name' if name else 'the name of a variable'}.")
    deployment = use_deployment(local=local, folder=folder)
    if action is not Action.LIST:
        change(deployment, ENV, action, name)
        return
    verify_target(deployment)
    client, path = deployment.client("ssm"), deployment.config.secrets_path
    values = variables.load(client, path, ENV)
    if as_json:
        stdout.print_json(json.dumps(values))
        return
    for key in sorted(values):
        # As JSON if the value is not one plain line.
        value = values[key]
        shown = value if value.isprintable() and value == value.strip() else json.dumps(value)
        stdout.print(f"{key}={shown}", markup=False, soft_wrap=True)
