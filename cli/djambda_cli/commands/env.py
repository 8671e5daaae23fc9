"""`djambda env list|set|unset|import|export`: the project's own variables."""

import json
from typing import Annotated

import typer

from djambda_cli.aws import variables
from djambda_cli.deployment import use_deployment, verify_target
from djambda_cli.operations.variables import Action, change, export, require_target
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local, Now, Rest
from djambda_cli.terminal import stdout
from djambda_common.variables import ENV


def env(  # noqa: PLR0913 (one parameter per option)
    action: Annotated[Action, typer.Argument(help="What to do.")],
    target: Annotated[
        str,
        typer.Argument(help="The variable, or the .env file; - is the standard input or output."),
    ] = "",
    rest: Rest = None,
    *,
    now: Now = False,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Show, set, unset, import or export the project's environment variables.

    `set` prompts for the value, or reads it from the standard input. `import` reads a .env file;
    variables whose names or values look secret become secrets. `list` and `export` show values.

    Example: `djambda env set DJANGO_ADMIN_URL`
    """
    require_target(ENV, action, target, rest, now=now)
    deployment = use_deployment(local=local, folder=folder)
    if action is Action.EXPORT:
        export(deployment, ENV, target)
        return
    if action is not Action.LIST:
        change(deployment, ENV, action, target, now=now)
        return
    verify_target(deployment)
    values = variables.load(deployment.client("ssm"), deployment.config.secrets_path, ENV)
    if as_json:
        stdout.print_json(json.dumps(values))
        return
    for key in sorted(values):
        # As JSON if the value is not one plain line.
        value = values[key]
        shown = value if value.isprintable() and value == value.strip() else json.dumps(value)
        stdout.print(f"{key}={shown}", markup=False, soft_wrap=True)
