"""`djambda secret list|set|unset|import|export`: the project's own secrets."""

import json
from typing import Annotated

import typer

from djambda_cli.aws import variables
from djambda_cli.deployment import use_deployment, verify_target
from djambda_cli.operations.variables import Action, change, export, require_target
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local, Now, Rest
from djambda_cli.terminal import stdout
from djambda_common.variables import SECRET


def secret(  # noqa: PLR0913 (one parameter per option)
    action: Annotated[Action, typer.Argument(help="What to do.")],
    target: Annotated[
        str,
        typer.Argument(help="The secret, or the .env file; - is the standard input or output."),
    ] = "",
    rest: Rest = None,
    *,
    now: Now = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Set, unset, import or export the project's secrets, which are also environment variables.

    `set` prompts for the value, or reads it from the standard input. `import` stores each variable
    of a .env file as a secret. `list` shows only names. `export` writes the values to a new file
    that only you can read, or with - to the standard output.

    Example: `djambda secret set MAILGUN_API_KEY`
    """
    require_target(SECRET, action, target, rest, now=now)
    deployment = use_deployment(local=local, folder=folder)
    if action is Action.EXPORT:
        export(deployment, SECRET, target)
        return
    if action is not Action.LIST:
        change(deployment, SECRET, action, target, now=now)
        return
    verify_target(deployment)
    names = variables.names(deployment.client("ssm"), deployment.config.secrets_path, SECRET)
    if as_json:
        stdout.print_json(json.dumps(names))
        return
    for key in names:
        stdout.print(key, markup=False)
