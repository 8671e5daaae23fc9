"""`djambda secret list|set|unset`: the project's own secrets."""

import json
from typing import Annotated

import typer

from djambda_cli.aws import variables
from djambda_cli.deployment import use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.operations.variables import Action, change
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stdout
from djambda_common.variables import SECRET


def secret(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    name: Annotated[str, typer.Argument(help="The secret to set or unset.")] = "",
    *,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Set or unset the project's secrets, which are environment variables as well.

    `set` asks for the value, or reads the standard input. `list` shows their names only.

    Example: `djambda secret set MAILGUN_API_KEY`
    """
    if (action is Action.LIST) == bool(name):
        raise CliError(f"{action} takes {'no name' if name else 'the name of a secret'}.")
    deployment = use_deployment(local=local, folder=folder)
    if action is not Action.LIST:
        change(deployment, SECRET, action, name)
        return
    verify_target(deployment)
    client, path = deployment.client("ssm"), deployment.config.secrets_path
    names = variables.load_names(client, path, SECRET)
    if as_json:
        stdout.print_json(json.dumps(names))
        return
    for key in names:
        stdout.print(key, markup=False)
